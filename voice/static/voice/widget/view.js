// The only code that touches the page: shows a session in the call's markup (_call.html) and passes on what is pressed.

import * as format from "./format.js";
import * as preferences from "./preferences.js";
import { secondsKept } from "./reconnect.js";
import { isActive, stateOf } from "./session.js";
import { SpaceBar } from "./space_bar.js";
import * as strings from "./strings.js";
import { CaptionsView } from "./view_captions.js";
import { EndedView } from "./view_ended.js";
import { Visualiser } from "./visualiser.js";

// A second press this soon after the button changed its meaning was meant for the first meaning.
const PRESS_GUARD_MS = 600;
const COPIED_MS = 2000;
// What can still be typed about when speaking fails.
const TYPING_HELPS = /^(microphone_|audio_|model_unavailable|connection_too_slow|resume_too_late)/;
// Where it is the sound that fails, typing is the way on.
const SOUND_FAILS = /^(microphone_|audio_)/;

const PRIMARY_ICONS = { talk: "microphone", cancel: "close", end: "phone", retry: "microphone", again: "microphone" };

function kindOfPrimary(session) {
  if (session.phase === "live") {
    return "end";
  }
  const isOver = session.phase === "ended" || session.failure?.code === "resume_too_late";
  return isActive(session) ? "cancel" : isOver ? "again" : { idle: "talk", failed: "retry" }[session.phase];
}

function hintFor(session, isPressed, now_ms) {
  const state = stateOf(session);
  if (session.phase !== "live") {
    return "";
  }
  if (session.ending) {
    return strings.HINTS.ending;
  }
  if (state === "reconnecting") {
    return strings.keptFor(secondsKept(session.away.until_ms, now_ms));
  }
  if (session.choosing === true) {
    return strings.HINTS.switchingToVoice;
  }
  if (!session.voice) {
    return state === "listening" ? strings.HINTS.typed : "";
  }
  if (session.holdToTalk && !session.muted) {
    return isPressed ? strings.HINTS.holdToTalkPressed : strings.HINTS.holdToTalk;
  }
  return strings.HINTS[state] ?? "";
}

// What takes the focus while the caller is asked something. Nobody's yes is preselected: the question has it.
function questionOf(session) {
  if (session.consenting) {
    return "consent-title";
  }
  return session.explaining ? "continue" : "";
}

// Text set again is announced again: only touch what changed.
function setText(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

export class View {
  /** handlers: onPrimary, onTypeInstead, onMode(voice), onConsent(agrees), onContinue, onMute, onDevice(id), onHoldChoice(bool), onHold(bool), onText(text),
   *  onRate({stars, comment}), onDismiss(code), onCaptions(bool), onSaveSaid. */
  constructor(root, handlers) {
    this.root = root;
    this.handlers = handlers;
    this.parts = new Map([...root.querySelectorAll("[data-role]")].map((element) => [element.dataset.role, element]));
    this.captions = new CaptionsView(this.part("captions"));
    this.ended = new EndedView((name) => this.part(name), handlers.onRate);
    this.visualiser = new Visualiser(this.part("bars"));
    this.isPressed = false;
    this.primaryChangedAt_ms = -PRESS_GUARD_MS;
    this.listen();
  }

  part(name) {
    return this.parts.get(name);
  }

  get config() {
    return this.root.dataset;
  }

  /** Whether the page says of no voice model that it is there (_status_banner.html). */
  get offersVoice() {
    return this.root.querySelector("[data-offers-voice=false]") === null;
  }

  listen() {
    const { handlers } = this;
    this.onClick("primary", () => this.pressPrimary());
    this.onClick("type-instead", handlers.onTypeInstead);
    this.onClick("mode", () => handlers.onMode(this.part("mode").dataset.voice === "true"));
    this.onClick("consent-yes", () => handlers.onConsent(true));
    this.onClick("consent-no", () => handlers.onConsent(false));
    this.onClick("continue", handlers.onContinue);
    this.onClick("mute", handlers.onMute);
    this.onClick("trouble-copy", () => this.copySessionId("trouble-copy"));
    this.onClick("ended-copy", () => this.copySessionId("ended-copy"));
    this.part("devices").addEventListener("change", (event) => handlers.onDevice(event.target.value));
    this.part("captions-choice").checked = preferences.wantsCaptions();
    this.part("captions-choice").addEventListener("change", (event) => handlers.onCaptions(event.target.checked));
    this.onClick("save-said", handlers.onSaveSaid);
    this.part("hold-choice").addEventListener("change", (event) => handlers.onHoldChoice(event.target.checked));
    this.part("composer").addEventListener("submit", (event) => this.submitText(event));
    this.listenToHold();
    this.allowToStart();
  }

  // A press before anybody listens would be lost without a word: until now the buttons could not be pressed.
  allowToStart() {
    for (const name of ["primary", "type-instead"]) {
      this.part(name).disabled = false;
    }
  }

  onClick(name, handler) {
    // A notice has no "no".
    this.part(name)?.addEventListener("click", () => handler());
  }

  pressPrimary() {
    const isTooSoon = performance.now() - this.primaryChangedAt_ms < PRESS_GUARD_MS;
    if (!isTooSoon && this.part("primary").getAttribute("aria-disabled") !== "true") {
      this.handlers.onPrimary();
    }
  }

  submitText(event) {
    event.preventDefault();
    const field = event.target.elements.text;
    const text = field.value.trim();
    if (text !== "" && this.handlers.onText(text)) {
      field.value = "";
    }
  }

  // Push to talk: the button by pointer, and the space bar anywhere nobody types.
  listenToHold() {
    const button = this.part("hold");
    const press = () => this.hold(true);
    const release = () => this.hold(false);
    button.addEventListener("pointerdown", (event) => {
      button.setPointerCapture(event.pointerId);
      press();
    });
    for (const type of ["pointerup", "pointercancel", "blur"]) {
      button.addEventListener(type, release);
    }
    button.addEventListener("contextmenu", (event) => event.preventDefault());
    window.addEventListener("blur", release);
    const spaceBar = new SpaceBar({ isWanted: () => !button.hidden, onHold: (isPressed) => this.hold(isPressed) });
    document.addEventListener("keydown", (event) => spaceBar.down(event));
    document.addEventListener("keyup", (event) => spaceBar.up(event));
    this.part("hold-choice").addEventListener("keydown", (event) => this.toggleByEnter(event));
  }

  // While the space bar is speech, it cannot untick the box; a button has Enter for that, a checkbox has nothing.
  toggleByEnter(event) {
    if (event.key === "Enter" && !event.repeat) {
      event.preventDefault();
      event.target.click();
    }
  }

  hold(isPressed) {
    const isChange = isPressed !== this.isPressed && (!isPressed || !this.part("hold").hidden);
    if (isChange) {
      this.isPressed = isPressed;
      this.part("hold").setAttribute("aria-pressed", String(isPressed));
      this.handlers.onHold(isPressed);
    }
  }

  /** Show a session. now_ms is on the session's clock. */
  render(session, captions, now_ms) {
    const state = stateOf(session);
    this.root.dataset.state = state;
    this.root.dataset.typed = String(!session.voice && session.phase === "live");
    setText(this.part("state"), this.stateText(session, state));
    setText(this.part("hint"), hintFor(session, this.isPressed, now_ms));
    setText(this.part("told-once"), this.toldOnce(session, now_ms));
    this.part("state").hidden = this.part("hint").hidden = session.phase === "failed";
    this.renderPrimary(session, now_ms);
    this.renderControls(session);
    this.renderMeter(session, now_ms);
    this.renderTrouble(session);
    this.renderNotices(session);
    this.renderTasks(session);
    this.captions.render(captions, session.agent_name || this.config.agentName);
    this.ended.render(session);
    this.part("save-said").hidden = captions.entries.length === 0;
    this.renderPanels(session, captions);
    this.followState(session, state);
  }

  // A countdown is for the eyes; whoever listens is told once how long the call is kept, and when it goes on.
  toldOnce(session, now_ms) {
    this.part("hint").setAttribute("aria-hidden", String(session.away !== null));
    if (session.away && !this.wasAway) {
      this.told = strings.keptFor(secondsKept(session.away.until_ms, now_ms));
    } else if (!session.away && this.wasAway) {
      this.told = session.phase === "live" ? strings.HINTS.back : "";
    }
    this.wasAway = session.away !== null;
    return session.phase === "live" ? (this.told ?? "") : "";
  }

  stateText(session, state) {
    if (session.ended?.isWhileAway) {
      return strings.STATES.endedAway;
    }
    if (session.explaining || session.consenting) {
      return strings.STATES.explaining;
    }
    return state === "listening" && !session.voice ? strings.HINTS.typedListening : strings.STATES[state];
  }

  renderPanels(session, captions) {
    const isLive = session.phase === "live";
    this.part("consent").hidden = !session.consenting;
    this.part("explain").hidden = !session.explaining;
    this.part("check").hidden = session.phase !== "solving" && !(session.phase === "failed" && /^captcha/.test(session.failure.code));
    this.part("composer").hidden = !isLive || session.ending;
    this.part("ended").hidden = session.phase !== "ended";
    const isTalking = isLive || session.phase === "ended" || captions.entries.length > 0;
    this.part("conversation").hidden = !isTalking;
  }

  renderPrimary(session, now_ms) {
    const kind = kindOfPrimary(session);
    const button = this.part("primary");
    const wait_s = this.secondsToWait(session, now_ms);
    if (button.dataset.kind !== kind) {
      this.primaryChangedAt_ms = button.dataset.kind ? performance.now() : -PRESS_GUARD_MS;
      button.dataset.kind = kind;
      this.part("primary-icon").setAttribute("href", `#icon-${PRIMARY_ICONS[kind]}`);
    }
    button.hidden = session.phase === "failed" && !strings.troubleFor(session.failure.code).canRetry;
    button.setAttribute("aria-disabled", String(wait_s > 0 || (session.phase === "live" && session.ending)));
    setText(this.part("primary-label"), wait_s > 0 ? strings.retryIn(wait_s) : strings.BUTTONS[kind]);
  }

  secondsToWait(session, now_ms) {
    const retryAt_ms = session.failure?.retry_at_ms ?? null;
    return session.phase !== "failed" || retryAt_ms === null ? 0 : Math.max(0, Math.ceil((retryAt_ms - now_ms) / 1000));
  }

  renderControls(session) {
    const isVoiceLive = session.phase === "live" && session.voice;
    const isResting = !isActive(session);
    const typingHelps = session.phase !== "failed" || TYPING_HELPS.test(session.failure.code);
    const mute = this.part("mute");
    this.part("microphone").hidden = !isVoiceLive;
    mute.setAttribute("aria-pressed", String(session.muted));
    this.part("hold").hidden = !isVoiceLive || !session.holdToTalk || session.muted;
    this.part("type-instead").hidden = !isResting || !typingHelps;
    this.root.dataset.soundFails = String(session.phase === "failed" && SOUND_FAILS.test(session.failure.code));
    this.renderMode(session);
    this.part("hold-option").hidden = !(session.phase === "idle" || isVoiceLive);
    this.part("hold-choice").checked = session.holdToTalk;
    this.part("captions-option").hidden = !isVoiceLive;
    // A typed conversation is nothing but its captions.
    this.part("captions").hidden = isVoiceLive && !this.part("captions-choice").checked;
  }

  // The way from speaking to typing and back. What the server does not hear of yet cannot be pressed twice.
  renderMode(session) {
    const button = this.part("mode");
    const isWaiting = session.away !== null || session.choosing === true;
    button.hidden = session.phase !== "live" || session.ending;
    button.dataset.voice = String(!session.voice);
    button.setAttribute("aria-disabled", String(isWaiting));
    this.part("mode-icon").setAttribute("href", session.voice ? "#icon-keyboard" : "#icon-microphone");
    setText(this.part("mode-label"), session.voice ? strings.BUTTONS.typeInstead : strings.BUTTONS[session.spoke ? "talkAgain" : "talkInstead"]);
  }

  renderMeter(session, now_ms) {
    const isLive = session.phase === "live";
    this.part("meter").hidden = !isLive;
    if (isLive) {
      setText(this.part("elapsed"), format.clock(now_ms - session.started_at_ms));
      setText(this.part("credits"), format.credits(session.used_micro));
      this.part("credits-pair").hidden = !session.shows_prices;
      const left = format.timeLeft(now_ms - session.started_at_ms, session.max_duration_ms);
      setText(this.part("left"), left);
      this.part("left-pair").hidden = left === "";
    }
  }

  renderTrouble(session) {
    const isFailed = session.phase === "failed";
    const panel = this.part("trouble");
    if (isFailed && session.failure !== this.shownFailure) {
      const { title, remedy } = strings.troubleFor(session.failure.code, session.failure.message);
      panel.dataset.code = session.failure.code;
      setText(this.part("trouble-title"), title);
      setText(this.part("trouble-remedy"), remedy);
    }
    this.shownFailure = session.failure;
    panel.hidden = !isFailed;
    this.part("trouble-copy").hidden = !isFailed || session.session_id === "";
    this.sessionId = session.session_id;
  }

  renderNotices(session) {
    if (session.notices === this.shownNotices) {
      return;
    }
    this.shownNotices = session.notices;
    const box = this.part("notices");
    const isShown = (notice) => [...box.children].some((element) => element.dataset.code === notice.code);
    for (const element of [...box.children]) {
      if (!session.notices.some((notice) => notice.code === element.dataset.code)) {
        element.remove();
      }
    }
    box.append(...session.notices.filter((notice) => !isShown(notice)).map((notice) => this.noticeElement(notice)));
  }

  noticeElement(notice) {
    const element = document.createElement("div");
    const text = document.createElement("p");
    const button = document.createElement("button");
    element.className = "call__notice";
    element.dataset.code = notice.code;
    text.textContent = strings.noticeText(notice);
    button.type = "button";
    button.setAttribute("aria-label", strings.BUTTONS.dismiss);
    button.append(icon("close"));
    button.addEventListener("click", () => this.handlers.onDismiss(notice.code));
    element.append(text, button);
    return element;
  }

  renderTasks(session) {
    if (session.tasks !== this.shownTasks) {
      this.shownTasks = session.tasks;
      this.part("tasks").replaceChildren(...session.tasks.map(taskElement));
    }
  }

  // Move the focus along when the element that had it goes away, and to what needs reading when a call is over.
  followState(session, state) {
    const asked = questionOf(session);
    if (state === this.followedState && asked === this.wasAsked && session.voice === this.wasVoice) {
      return;
    }
    const hadFocus = this.root.contains(document.activeElement);
    const lostFocus = document.activeElement === document.body && this.followedState !== undefined;
    if (asked && asked !== this.wasAsked) {
      this.part(asked).focus();
    } else if (hadFocus && document.activeElement.closest("[hidden]")) {
      this.part("primary").focus();
    } else if (lostFocus && this.wasAsked) {
      this.part("primary").focus();
    }
    if (session.phase === "live" && (!isActivePhase(this.followedState) || session.voice !== this.wasVoice)) {
      this.focusForTalking(session, hadFocus || lostFocus);
    }
    this.followedState = state;
    this.wasVoice = session.voice;
    this.wasAsked = asked;
    // Google's box waits for a press; ours needs nobody.
    const mustTick = state === "solving" && this.config.captcha === "recaptcha";
    const mode = session.voice ? "voice" : "text";
    this.announce("state", { state, mode, session_id: session.session_id, asks: asked !== "" || mustTick });
  }

  // What the caller needs first in a call that has just begun. Nobody is taken away from elsewhere on the page to speak.
  focusForTalking(session, isWithUs) {
    if (!session.voice) {
      this.focusComposer(isWithUs);
    } else if (isWithUs && !this.part("hold").hidden) {
      this.part("hold").focus();
    }
  }

  // In mid-call the words that say why should stay in sight: only where the place to type is out of it does the page move.
  focusComposer(isWithUs) {
    const isBegun = isActivePhase(this.followedState);
    if (isWithUs || !isBegun) {
      this.part("composer").elements.text.focus({ preventScroll: false });
    }
  }

  renderDevices(devices, currentId) {
    const options = devices.map(({ deviceId, label }, index) => {
      const option = document.createElement("option");
      option.value = deviceId;
      option.textContent = label || strings.fill(strings.PAGE.microphone_number, { count: index + 1 });
      option.selected = deviceId === currentId;
      return option;
    });
    this.part("devices").replaceChildren(...options);
  }

  async copySessionId(name) {
    const label = this.part(name).querySelector("span");
    try {
      await navigator.clipboard.writeText(this.sessionId);
      label.textContent = strings.BUTTONS.copied;
    } catch {
      // No clipboard (an insecure page, a refusal): show it, so that it can be selected.
      label.textContent = this.sessionId;
      return;
    }
    setTimeout(() => {
      label.textContent = strings.BUTTONS.copySessionId;
    }, COPIED_MS);
  }

  /** Let the caller keep a text as a file: made here, never sent anywhere. */
  saveFile(name, text) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
    link.download = name;
    link.click();
    URL.revokeObjectURL(link.href);
  }

  /** Tell the page around the call, as a DOM event "parley:<name>". */
  announce(name, detail) {
    this.root.dispatchEvent(new CustomEvent(`parley:${name}`, { bubbles: true, detail }));
  }
}

const isActivePhase = (state) => ["listening", "thinking", "working", "speaking", "muted", "reconnecting"].includes(state);

function icon(name) {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  const use = document.createElementNS(namespace, "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

function taskElement(task) {
  const card = document.createElement("div");
  const title = document.createElement("h2");
  const facts = document.createElement("dl");
  card.className = "call__task";
  facts.className = "facts";
  title.append(icon("check"), strings.TASKS[task.name] ?? format.humanised(task.name));
  for (const [name, value] of Object.entries(task.fields)) {
    const term = document.createElement("dt");
    const description = document.createElement("dd");
    term.textContent = format.humanised(name);
    description.textContent = value;
    facts.append(term, description);
  }
  card.append(title, facts);
  return card;
}
