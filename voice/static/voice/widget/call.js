// One call from press to receipt: wires microphone, connection, playback, captions, session and view. The page's entry
// point: starts a Call on every [data-parley-call] element.

import { AdmissionRefused, requestSession, sendRating } from "./admission.js";
import { restAudio, wakeAudio, watchInterruptions } from "./audio_context.js";
import * as captions from "./captions.js";
import { createCaptcha } from "./captcha.js";
import { Connection, socketUrl } from "./connection.js";
import { EchoHint } from "./echo_hint.js";
import { isAlreadyAllowed, levelOf, listMicrophones, Microphone } from "./microphone.js";
import { Playback } from "./playback.js";
import * as preferences from "./preferences.js";
import * as protocol from "./protocol.js";
import { obeyPage, toldOf } from "./remote.js";
import { isActive, newSession, reduce, tickDueAt } from "./session.js";
import * as strings from "./strings.js";
import { View } from "./view.js";
import { WakeLock } from "./wake_lock.js";

const CLOCK_PERIOD_MS = 250;
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
      onTypeInstead: () => this.start(false),
      onConsent: (agrees) => this.consented(agrees),
      onContinue: () => this.explained(),
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
    this.forgetCall();
    obeyPage(this);
    window.addEventListener("offline", () => this.followNetwork(true));
    window.addEventListener("online", () => this.followNetwork(false));
    window.addEventListener("pagehide", () => isActive(this.session) && this.leave());
    this.render();
  }

  forgetCall() {
    this.attempt = new AbortController();
    this.connection = this.microphone = this.playback = null;
    this.stopWatching = () => {};
    this.echo = new EchoHint();
    this.microphoneLevel = 0;
    this.typedCount = 0;
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

  primary() {
    if (this.session.phase === "live") {
      this.hangUp();
    } else if (isActive(this.session)) {
      this.dispatch({ type: "cancelled" });
    } else {
      this.start(this.session.phase === "ended" ? this.session.voice : true);
    }
  }

  // Starting, in order: sound (in the tap), consent, microphone, captcha (solved meanwhile), admission, socket.

  async start(voice) {
    if (isActive(this.session)) {
      return;
    }
    clearInterval(this.retryClock);
    this.forgetCall();
    this.captions = captions.noCaptions();
    const context = voice ? this.wakeSound() : null;
    const asks_consent = Boolean(this.config.consentVersion);
    this.dispatch({ type: "start", voice, explained: preferences.isMicrophoneExplained(), asks_consent });
    if (voice && !context) {
      this.fail("audio_unavailable");
      return;
    }
    this.clock = setInterval(() => this.render(), CLOCK_PERIOD_MS);
    this.solved = this.captcha.solve();
    this.solved.catch(() => {}); // Looked at when it is its turn.
    this.context = context;
    if (!this.session.consenting) {
      await this.proceed();
    }
  }

  async consented(agrees) {
    if (!this.session.consenting) {
      return;
    }
    if (this.session.voice) {
      wakeAudio();
    }
    this.dispatch({ type: "consented", agrees });
    await this.proceed();
  }

  async proceed() {
    if (!this.session.voice) {
      await this.admit();
      return;
    }
    const { signal } = this.attempt;
    if (this.session.explaining && (await isAlreadyAllowed()) && !signal.aborted && this.session.explaining) {
      this.explained();
    } else if (!this.session.explaining) {
      await this.openAudio();
    }
  }

  wakeSound() {
    try {
      return wakeAudio();
    } catch {
      return null;
    }
  }

  async explained() {
    if (!this.session.explaining) {
      return;
    }
    wakeAudio();
    preferences.rememberMicrophoneExplained();
    this.dispatch({ type: "explained" });
    await this.openAudio();
  }

  async openAudio() {
    const { signal } = this.attempt;
    this.microphone = new Microphone(this.context, this.config.workletMicrophone, {
      onFrame: (pcm) => this.hearCaller(pcm),
      onLost: () => this.note("microphone_lost"),
    });
    this.playback = new Playback(this.context, this.config.workletPlayback, { onReport: (report) => this.reportPlayback(report) });
    try {
      await this.microphone.open();
      await this.playback.open();
    } catch (error) {
      this.failUnlessLeft(signal, error.code?.startsWith?.("microphone_") ? error.code : "audio_unavailable");
      return;
    }
    if (signal.aborted) {
      return;
    }
    this.dispatch({ type: "microphone_ready" });
    this.applyGate();
    this.showDevices();
    await this.admit();
  }

  async admit() {
    const { signal } = this.attempt;
    const { voice } = this.session;
    try {
      const captcha = await this.solved;
      if (signal.aborted) {
        return;
      }
      this.dispatch({ type: "captcha_solved" });
      const { language } = this.config;
      const request = { agent: this.config.agent, captcha, voice, language, ...this.consentGiven() };
      const admitted = await requestSession(this.config.sessionsUrl, request, { csrfToken: this.config.csrfToken, signal });
      this.connect(admitted, voice);
    } catch (error) {
      if (error instanceof AdmissionRefused) {
        this.failUnlessLeft(signal, error.code, { message: error.sentence, retry_after_s: error.retry_after_s });
      } else {
        this.failUnlessLeft(signal, error.code === "captcha_failed" ? error.code : "internal_error");
      }
    }
  }

  // With the version of the wording that was shown: an answer to another one is none.
  consentGiven() {
    const { consent } = this.session;
    return consent === null ? {} : { consent, consent_version: this.config.consentVersion };
  }

  connect(admitted, voice) {
    this.dispatch({ type: "admitted", session_id: admitted.id });
    this.connection = new Connection({
      onMessage: (message) => this.receive(message),
      onAudio: (pcm) => this.hearAgent(pcm),
      onClose: (code) => this.dispatch({ type: "closed", code }),
    });
    this.modelReason = admitted.model_reason;
    this.connection.open(socketUrl(admitted.websocket_url, window.location.href), admitted.ticket, voice);
  }

  failUnlessLeft(signal, code, details = {}) {
    if (!signal.aborted) {
      this.fail(code, details);
    }
  }

  fail(code, details = {}) {
    this.dispatch({ type: "failed", failure: { code, ...details } });
    this.view.announce("error", { code, message: details.message ?? "", fatal: true });
  }

  // During the call

  hearAgent(pcm) {
    this.followNetwork(false);
    this.playback?.push(pcm);
  }

  // The socket outlives a short break of the network: until it gives up, the call goes on where it was.
  followNetwork(heldUp) {
    if (this.session.phase === "live" && heldUp !== this.session.heldUp) {
      this.dispatch({ type: "network", heldUp });
    }
  }

  receive(message) {
    this.followNetwork(false);
    const handlers = {
      "session.started": () => this.started(message),
      "state.changed": () => this.followTurns(message.state),
      "audio.begin": () => this.playback?.begin(message.item_id),
      "audio.end": () => this.playback?.end(message.item_id),
      "audio.clear": () => this.interrupted(message.item_id),
      "caption.delta": () => this.caption(captions.applyDelta(this.captions, message)),
      "caption.final": () => this.caption(captions.applyFinal(this.captions, message)),
    };
    handlers[message.type]?.();
    this.dispatch({ type: "message", message });
    const told = toldOf(message);
    if (told) {
      this.view.announce(...told);
    }
  }

  started(message) {
    this.wakeLock.hold();
    if (message.model_served !== message.model_asked) {
      const text = strings.modelReplaced(message.model_asked, message.model_served, this.modelReason);
      this.dispatch({ type: "notice", code: "model_replaced", message: text });
    }
    if (this.session.voice) {
      this.stopWatching = watchInterruptions(this.context, (isPaused) => this.soundPaused(isPaused));
      this.view.visualiser.run(() => this.loudness());
    }
  }

  followTurns(state) {
    if (state === "thinking") {
      this.captions = captions.keepPlaceForCaller(this.captions);
    } else if (state === "listening") {
      this.captions = captions.givePlaceUp(this.captions);
    }
  }

  caption(next) {
    this.captions = next;
  }

  interrupted(item_id) {
    this.playback?.clear(item_id);
    if (this.echo.interrupted()) {
      this.note("echo");
    }
  }

  note(code) {
    this.dispatch({ type: "notice", code, message: "" });
  }

  soundPaused(isPaused) {
    if (isPaused) {
      this.note("sound_paused");
    } else {
      this.dispatch({ type: "notice_dismissed", code: "sound_paused" });
    }
  }

  loudness() {
    if (this.session.shown === "speaking") {
      return this.playback?.level() ?? 0;
    }
    return this.session.shown === "listening" && !this.session.muted ? this.microphoneLevel : 0;
  }

  // Frames come every 40 ms, which is also the echo hint's clock.
  hearCaller(pcm) {
    this.microphoneLevel = levelOf(pcm);
    if (this.session.phase !== "live") {
      return;
    }
    if (this.session.playing) {
      this.echo.record(this.microphoneLevel, this.playback.level());
    }
    this.connection.sendAudio(pcm);
    if (this.connection.isHeldUp) {
      this.followNetwork(true);
    }
  }

  reportPlayback(report) {
    if (report.item_id !== null && this.connection?.isOpen) {
      this.connection.send(protocol.playbackReport(report.item_id, report.played_ms, this.connection.receivedBytes));
    }
    this.view.announce("playback", report);
    this.dispatch({ type: "playback", playing: report.is_playing });
  }

  sendText(text) {
    if (!this.connection?.isOpen) {
      return false;
    }
    try {
      this.connection.send(protocol.textSend(text));
    } catch {
      this.note("text_refused");
      return false;
    }
    this.typedCount += 1;
    this.captions = captions.addTyped(this.captions, text, `typed ${this.typedCount}`);
    this.render();
    return true;
  }

  toggleMute() {
    const muted = !this.session.muted;
    this.microphone.setMuted(muted);
    this.connection.send(protocol.microphoneState(muted));
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
    const { connection } = this;
    this.playback?.stop();
    this.microphone?.stop();
    connection.send(protocol.sessionEnd());
    this.dispatch({ type: "hanging_up" });
    this.receiptTimer = setTimeout(() => connection.close(), RECEIPT_TIMEOUT_MS);
  }

  /** The page is going away: say so, so that nothing is held for a caller who left. */
  leave() {
    this.connection?.send(protocol.sessionEnd());
    this.dispatch(this.session.phase === "live" ? { type: "closed", code: "network_lost" } : { type: "cancelled" });
  }

  tearDown() {
    this.attempt.abort();
    clearInterval(this.clock);
    clearTimeout(this.receiptTimer);
    this.stopWatching();
    this.wakeLock.release();
    this.view.visualiser.stop();
    this.microphone?.stop();
    this.connection?.close();
    this.letFarewellEnd();
    this.keepRetryClock();
    this.view.announce("ended", { session_id: this.session.session_id, ended: this.session.ended, failure: this.session.failure });
  }

  letFarewellEnd() {
    const { playback } = this;
    const isFarewell = this.session.ended?.reason === "agent_hung_up";
    const stop = () => {
      playback?.stop();
      if (!isActive(this.session)) {
        restAudio();
      }
    };
    if (isFarewell && playback) {
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
