// A call's way from the press to the line, in order: sound (in the tap), consent, microphone, captcha (solved meanwhile),
// admission. One Starting a try.

import { AdmissionRefused, requestSession } from "./admission.js";
import { wakeAudio } from "./audio_context.js";
import { isAlreadyAllowed } from "./microphone.js";
import * as preferences from "./preferences.js";

// A check that was solved, and not used, serves the next try for this long; the server refuses an old one.
const SOLVED_MS_MAX = 90_000;
const NOTHING_KEPT = Object.freeze({ solved: null, solvedAt_ms: 0, consent: null });

export class Starting {
  /** `kept` is what an earlier try leaves (keepsake): what the caller has answered and solved they are not asked again. */
  constructor(call, kept = NOTHING_KEPT) {
    this.call = call;
    this.kept = kept;
    this.left = new AbortController();
    this.isCaptchaSpent = false;
  }

  /** What the next try need not ask again: of a call that stopped at its microphone, before it was asked for. */
  keepsake() {
    const { failure, consent } = this.call.session;
    const stopsAtSound = /^(microphone_|audio_)/.test(failure?.code ?? "");
    const isFresh = performance.now() - this.solvedAt_ms < SOLVED_MS_MAX;
    return stopsAtSound && !this.isCaptchaSpent && isFresh ? { solved: this.solved, solvedAt_ms: this.solvedAt_ms, consent } : NOTHING_KEPT;
  }

  leave() {
    this.left.abort();
  }

  get isLeft() {
    return this.left.signal.aborted;
  }

  async begin(voice) {
    const { call, kept } = this;
    const hasSound = !voice || call.sound.wake();
    const asks_consent = Boolean(call.config.consentVersion) && kept.consent === null;
    this.solved = kept.solved ?? call.captcha.solve();
    this.solvedAt_ms = kept.solved ? kept.solvedAt_ms : performance.now();
    this.solved.catch(() => {}); // Looked at when it is its turn.
    call.dispatch({ type: "start", voice, explained: preferences.isMicrophoneExplained(), asks_consent, consent: kept.consent });
    if (!hasSound) {
      call.fail("audio_unavailable");
    } else if (!call.session.consenting) {
      await this.proceed();
    }
  }

  async consented(agrees) {
    const { call } = this;
    if (!call.session.consenting) {
      return;
    }
    if (call.session.voice) {
      wakeAudio();
    }
    call.dispatch({ type: "consented", agrees });
    await this.proceed();
  }

  async proceed() {
    const { session } = this.call;
    if (!session.voice) {
      await this.admit();
    } else if (!session.explaining) {
      await this.openSound();
    } else if ((await isAlreadyAllowed()) && !this.isLeft) {
      await this.explained();
    }
  }

  async explained() {
    const { call } = this;
    if (!call.session.explaining) {
      return;
    }
    wakeAudio();
    preferences.rememberMicrophoneExplained();
    call.dispatch({ type: "explained" });
    await this.openSound();
  }

  async openSound() {
    const { call } = this;
    try {
      await call.sound.open();
    } catch (error) {
      this.fail(error.code);
      return;
    }
    if (this.isLeft) {
      return;
    }
    call.dispatch({ type: "microphone_ready" });
    call.applyGate();
    call.showDevices();
    await this.admit();
  }

  async admit() {
    const { call } = this;
    const { voice } = call.session;
    try {
      const captcha = await this.solved;
      if (this.isLeft) {
        return;
      }
      call.dispatch({ type: "captcha_solved" });
      this.isCaptchaSpent = true;
      const request = { agent: call.config.agent, captcha, voice, language: call.config.language, ...this.consentGiven() };
      const options = { csrfToken: call.config.csrfToken, signal: this.left.signal };
      call.connect(await requestSession(call.config.sessionsUrl, request, options), voice);
    } catch (error) {
      if (error instanceof AdmissionRefused) {
        this.fail(error.code, { message: error.sentence, retry_after_s: error.retry_after_s });
      } else {
        this.fail(error.code === "captcha_failed" ? error.code : "internal_error");
      }
    }
  }

  // With the version of the wording that was shown: an answer to another one is none.
  consentGiven() {
    const { consent } = this.call.session;
    return consent === null ? {} : { consent, consent_version: this.call.config.consentVersion };
  }

  fail(code, details = {}) {
    if (!this.isLeft) {
      this.call.fail(code, details);
    }
  }
}
