// One call from press to receipt: starting.js begins it, live.js carries it, session.js knows where it stands, view.js shows
// it. The page's entry point: makes a Call of every [data-parley-call] element.

import { sendRating } from "./admission.js";
import { restAudio } from "./audio_context.js";
import * as captions from "./captions.js";
import { createCaptcha } from "./captcha.js";
import { Live } from "./live.js";
import { listMicrophones } from "./microphone.js";
import * as preferences from "./preferences.js";
import { obeyPage } from "./remote.js";
import { isActive, newSession, reduce, tickDueAt } from "./session.js";
import { Sound } from "./sound.js";
import { Starting } from "./starting.js";
import * as strings from "./strings.js";
import { View } from "./view.js";
import { WakeLock } from "./wake_lock.js";

const CLOCK_PERIOD_MS = 250;
// A clock that stood still for this long belongs to a device that slept.
const SLEPT_MS_MIN = 10_000;
// How long to wait for the receipt after hanging up.
const RECEIPT_TIMEOUT_MS = 6_000;
// A farewell that was already on its way when the call ended is heard to its end, within reason.
const FAREWELL_MS_MAX = 8_000;

const now = () => performance.now();

export class Call {
  constructor(root) {
    this.root = root;
    this.view = new View(root, {
      onPrimary: () => this.primary(),
      onTypeInstead: () => this.type(),
      onMode: (voice) => this.live?.chooseMode(voice),
      onConsent: (agrees) => this.starting.consented(agrees),
      onContinue: () => this.starting.explained(),
      onMute: () => this.toggleMute(),
      onDevice: (deviceId) => this.useDevice(deviceId),
      onHoldChoice: (isOn) => this.chooseHoldToTalk(isOn),
      onHold: () => this.applyGate(),
      onText: (text) => this.sendText(text),
      onCaptions: (isOn) => this.chooseCaptions(isOn),
      onSaveSaid: () => this.saveSaid(),
      onRate: (rating) => this.rate(rating),
      onDismiss: (code) => this.dispatch({ type: "notice_dismissed", code }),
    });
    this.config = this.view.config;
    this.captcha = createCaptcha(this.config.captcha, {
      widget: this.view.part("altcha"),
      challengeUrl: this.config.challengeUrl,
      container: this.view.part("recaptcha"),
      siteKey: this.config.recaptchaSitekey,
    });
    this.session = newSession({
      holdToTalk: preferences.prefersHoldToTalk(),
      shows_prices: this.config.showsPrices === "true",
      agent_name: this.config.agentName,
    });
    this.captions = captions.noCaptions();
    this.wakeLock = new WakeLock();
    this.starting = this.live = null;
    this.clockedAt_ms = Date.now();
    this.sound = this.newSound();
    obeyPage(this);
    this.watchPage();
    this.render();
  }

  newSound() {
    return new Sound(this.config, {
      onFrame: (pcm, level) => this.live?.hearCaller(pcm, level),
      onLost: () => this.note("microphone_lost"),
      onReport: (report) => this.live?.reportPlayback(report),
      onPause: (isPaused) => this.soundPaused(isPaused),
    });
  }

  // The network goes and comes, a lid is shut and opened, the page is left.
  watchPage() {
    window.addEventListener("offline", () => this.live?.line.wentOffline());
    window.addEventListener("online", () => this.live?.tryNow());
    window.addEventListener("pageshow", () => this.seenAgain());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.seenAgain());
    window.addEventListener("pagehide", () => isActive(this.session) && this.leave());
  }

  seenAgain() {
    if (this.hasSlept()) {
      this.live?.line.slept();
    }
    this.live?.tryNow();
  }

  // By the wall's clock: the other one may stand still while the device sleeps.
  hasSlept() {
    const slept = Date.now() - this.clockedAt_ms > SLEPT_MS_MIN;
    this.clockedAt_ms = Date.now();
    return slept;
  }

  // Everything that happens to the call passes here: one place where state changes and the page follows.
  dispatch(event) {
    const before = this.session;
    this.session = reduce(before, event, now());
    this.render();
    clearTimeout(this.tick);
    const due_ms = tickDueAt(this.session);
    if (due_ms !== null) {
      this.tick = setTimeout(() => this.dispatch({ type: "tick" }), Math.max(0, due_ms - now()));
    }
    if (isActive(before) && !isActive(this.session)) {
      this.tearDown();
    }
  }

  render() {
    this.view.render(this.session, this.captions, now());
  }

  note(code) {
    this.dispatch({ type: "notice", code, message: "" });
  }

  fail(code, details = {}) {
    this.dispatch({ type: "failed", failure: { code, ...details } });
    this.view.announce("error", { code, message: details.message ?? "", fatal: true });
  }

  // Starting

  primary() {
    const { phase, voice, spoke, failure } = this.session;
    if (phase === "live") {
      this.hangUp();
    } else if (isActive(this.session)) {
      this.dispatch({ type: "cancelled" });
    } else {
      const isAgain = phase === "ended" || failure?.code === "resume_too_late";
      this.start(isAgain ? voice || spoke : true);
    }
  }

  type() {
    return this.start(false);
  }

  async start(isSpeechWanted) {
    if (isActive(this.session)) {
      return;
    }
    this.isSpeechWanted = isSpeechWanted;
    clearInterval(this.retryClock);
    this.captions = captions.noCaptions();
    this.live?.forget();
    this.live = null;
    this.sound = this.newSound();
    this.starting = new Starting(this, this.starting?.keepsake());
    this.clockedAt_ms = Date.now();
    this.clock = setInterval(() => this.keepTime(), CLOCK_PERIOD_MS);
    // Who cannot be answered aloud is not asked for a microphone.
    await this.starting.begin(isSpeechWanted && this.view.offersVoice);
  }

  keepTime() {
    // A lid that is shut need not hide the page. One that is hidden has its timers slowed down, which is no sleep.
    if (this.hasSlept() && document.visibilityState === "visible") {
      this.live?.line.slept();
    }
    this.render();
  }

  connect(admitted, voice) {
    this.dispatch({ type: "admitted", session_id: admitted.id });
    this.live = new Live(this, admitted, voice);
  }

  // During the call

  sendText(text) {
    return this.live?.sendText(text) ?? false;
  }

  soundPaused(isPaused) {
    if (isPaused) {
      this.note("sound_paused");
    } else {
      this.dispatch({ type: "notice_dismissed", code: "sound_paused" });
    }
  }

  get microphone() {
    return this.sound.microphone;
  }

  toggleMute() {
    const muted = !this.session.muted;
    this.microphone?.setMuted(muted);
    this.live.tellMuted(muted);
    this.dispatch({ type: "muted", muted });
  }

  chooseHoldToTalk(enabled) {
    preferences.rememberHoldToTalk(enabled);
    this.dispatch({ type: "hold_to_talk", enabled });
    this.applyGate();
  }

  chooseCaptions(isOn) {
    preferences.rememberCaptions(isOn);
    this.render();
  }

  saveSaid() {
    const names = { caller: strings.PAGE.caller, agent: this.session.agent_name || strings.PAGE.assistant };
    this.view.saveFile(`${this.session.session_id || "parley"}.txt`, captions.asText(this.captions, names));
  }

  applyGate() {
    this.microphone?.setGate(!this.session.holdToTalk || this.view.isPressed);
    this.render();
  }

  async useDevice(deviceId) {
    const { microphone } = this;
    try {
      await microphone.use(deviceId);
      this.dispatch({ type: "notice_dismissed", code: "microphone_lost" });
    } catch {
      this.note("microphone_lost");
    }
    this.showDevices();
  }

  async showDevices() {
    const devices = await listMicrophones();
    this.view.renderDevices(devices, this.microphone?.deviceId ?? "");
  }

  // Ending

  hangUp() {
    if (this.session.ending) {
      return;
    }
    const { live } = this;
    this.sound.stopPlaying();
    this.sound.stopListening();
    this.dispatch({ type: "hanging_up" });
    live.hangUp();
    this.receiptTimer = setTimeout(() => live.line.close(), RECEIPT_TIMEOUT_MS);
  }

  /** The page is going away: say so, so that nothing is held for a caller who left. */
  leave() {
    this.live?.hangUp();
    this.dispatch(this.session.phase === "live" ? { type: "closed", code: "network_lost" } : { type: "cancelled" });
  }

  tearDown() {
    this.starting.leave();
    clearInterval(this.clock);
    clearTimeout(this.receiptTimer);
    this.wakeLock.release();
    this.view.visualiser.stop();
    this.sound.stopListening();
    this.live?.end();
    this.letFarewellEnd();
    this.keepRetryClock();
    this.view.announce("ended", { session_id: this.session.session_id, ended: this.session.ended, failure: this.session.failure });
  }

  letFarewellEnd() {
    const { sound } = this;
    const isFarewell = this.session.ended?.reason === "agent_hung_up";
    const stop = () => {
      sound.stop();
      if (!isActive(this.session)) {
        restAudio();
      }
    };
    if (isFarewell && sound.playback) {
      setTimeout(stop, FAREWELL_MS_MAX);
    } else {
      stop();
    }
  }

  // "Try again in 20 s" has to count down.
  keepRetryClock() {
    const retryAt_ms = this.session.failure?.retry_at_ms ?? null;
    if (this.session.phase === "failed" && retryAt_ms !== null) {
      this.retryClock = setInterval(() => {
        this.render();
        if (now() >= retryAt_ms) {
          clearInterval(this.retryClock);
        }
      }, CLOCK_PERIOD_MS);
    }
  }

  async rate({ stars, comment }) {
    const token = this.session.ended.rating_token;
    await sendRating(this.config.sessionsUrl, this.session.session_id, { token, stars, comment }, { csrfToken: this.config.csrfToken });
    this.view.announce("rated", { stars });
  }
}

for (const root of document.querySelectorAll("[data-parley-call]")) {
  strings.use(JSON.parse(document.getElementById("parley-words").textContent));
  new Call(root);
}
