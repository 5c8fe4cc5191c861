// A call under way: what the server says and the caller does, until somebody ends it. One Live a call.

import * as captions from "./captions.js";
import { socketUrl } from "./connection.js";
import { EchoHint } from "./echo_hint.js";
import { LateReceipt } from "./late_receipt.js";
import { Line } from "./line.js";
import * as protocol from "./protocol.js";
import { toldOf } from "./remote.js";
import * as strings from "./strings.js";

// How long the server may take to be spoken with again; beyond that we go on in writing.
const VOICE_ANSWER_MS_MAX = 15_000;
// Once we are back, the server tells what we missed well within this: of what it has been sent, too.
const CATCH_UP_MS = 3_000;

export class Live {
  /** `call` has isSpeechWanted, session, dispatch, note, fail, view, sound, captions and wakeLock; `admitted` is what the server let in. */
  constructor(call, admitted, voice) {
    this.call = call;
    this.modelReason = admitted.model_reason;
    this.echo = new EchoHint();
    this.typedCount = 0;
    this.line = new Line({
      onMessage: (message) => this.receive(message),
      onAudio: (pcm) => call.sound.playback?.push(pcm),
      onAway: (until_ms) => call.dispatch({ type: "away", until_ms }),
      onBack: () => call.dispatch({ type: "back" }),
      onClose: (code) => this.closed(code),
    });
    this.line.open(socketUrl(admitted.websocket_url, window.location.href), admitted.ticket, voice);
  }

  end() {
    clearTimeout(this.voiceTimer);
    clearTimeout(this.lostTimer);
    this.line.close();
  }

  closed(code) {
    this.call.dispatch({ type: "closed", code });
    if (code === "resume_too_late" && this.line.lastResume) {
      const { url, lastResume } = this.line;
      this.late = new LateReceipt(url, lastResume, (message) => this.call.dispatch({ type: "message", message }));
    }
  }

  /** The network is back, or the page is seen again. */
  tryNow() {
    this.line.tryNow();
    this.late?.tryNow();
  }

  /** Nobody asks for this call's receipt any more. */
  forget() {
    this.late?.stop();
  }

  receive(message) {
    const { call } = this;
    const before = call.session;
    this.play(message);
    this.caption(message);
    call.dispatch({ type: "message", message });
    this.follow(message, before);
    const told = toldOf(message);
    if (told) {
      call.view.announce(...told);
    }
  }

  play(message) {
    const { playback } = this.call.sound;
    const handlers = {
      "audio.begin": () => playback?.begin(message.item_id),
      "audio.end": () => playback?.end(message.item_id),
      "audio.clear": () => this.interrupted(message.item_id),
    };
    handlers[message.type]?.();
  }

  caption(message) {
    const { call } = this;
    const changes = {
      "caption.delta": (list) => captions.applyDelta(list, message),
      "caption.final": (list) => captions.applyFinal(list, message),
      "state.changed": (list) => captions.followTurns(list, message.state),
    };
    call.captions = changes[message.type]?.(call.captions) ?? call.captions;
  }

  follow(message, before) {
    const handlers = {
      "session.started": () => this.started(message),
      "session.resumed": () => this.resumed(message),
      "model.changed": () => this.modelChanged(message, before),
      notice: () => message.code === "voice_unavailable" && this.stayTyped(),
    };
    handlers[message.type]?.();
  }

  started(message) {
    const { call } = this;
    call.wakeLock.hold();
    if (call.isSpeechWanted && !message.voice) {
      this.becomeTyped("starts_typed");
    } else if (message.model_served !== message.model_asked) {
      const text = strings.modelReplaced(message.model_asked, message.model_served, this.modelReason);
      call.dispatch({ type: "notice", code: "model_replaced", message: text });
    }
    if (message.voice) {
      this.showVoice();
    }
  }

  // While we were away the caller went on pressing; while they were, the server may have moved.
  resumed(message) {
    const { session, sound } = this.call;
    if (session.ending) {
      this.line.send(protocol.sessionEnd());
    } else if (message.voice !== session.voice && session.choosing !== null) {
      this.line.send(protocol.modeChoose(session.choosing));
    } else if (message.voice && !session.voice) {
      this.line.send(protocol.modeChoose(false));
    } else if (!message.voice && session.voice) {
      this.call.dispatch({ type: "message", message: { type: "model.changed", ...message, reason: "" } });
      this.becomeTyped("moved_to_text");
    }
    if (sound.isListening) {
      this.line.send(protocol.microphoneState(session.muted));
    }
    clearTimeout(this.lostTimer);
    this.lostTimer = setTimeout(() => this.sendLostTurns(), CATCH_UP_MS);
  }

  // What was typed into a socket that was dead already has gone nowhere.
  sendLostTurns() {
    for (const text of captions.untoldTurns(this.call.captions)) {
      this.line.send(protocol.textSend(text));
    }
  }

  modelChanged({ model_served, reason, voice }, before) {
    const { call } = this;
    clearTimeout(this.voiceTimer);
    call.dispatch({ type: "notice_dismissed", code: "one_moment" });
    if (before.voice && !call.session.voice) {
      this.becomeTyped("moved_to_text");
    } else if (!before.voice && call.session.voice) {
      this.becomeSpoken();
    } else if (voice === call.session.voice && reason) {
      call.dispatch({ type: "notice", code: "model_changed", message: strings.modelChanged(model_served, reason) });
    }
  }

  // Spoken and typed

  /** The caller presses "Type instead" or "Talk again". */
  async chooseMode(voice) {
    const { session } = this.call;
    if (!this.line.isOpen || session.ending || session.choosing === voice || (session.voice === voice && session.choosing === null)) {
      return;
    }
    await (voice ? this.askToSpeak() : this.askToType());
  }

  askToType() {
    const { call } = this;
    call.sound.playback?.clearAll();
    call.dispatch({ type: "mode_asked", voice: false });
    this.line.send(protocol.modeChoose(false));
    this.becomeTyped();
  }

  async askToSpeak() {
    const { call } = this;
    const canSound = call.sound.wake();
    call.dispatch({ type: "mode_asked", voice: true });
    try {
      if (!canSound) {
        throw Object.assign(new Error("no sound"), { code: "audio_unavailable" });
      }
      await call.sound.open();
    } catch (error) {
      this.stayTyped();
      this.explainWithoutMicrophone(error.code);
      return;
    }
    call.applyGate();
    call.showDevices();
    this.line.send(protocol.modeChoose(true));
    this.voiceTimer = setTimeout(() => {
      this.stayTyped();
      call.note("voice_unavailable");
    }, VOICE_ANSWER_MS_MAX);
  }

  explainWithoutMicrophone(code) {
    const { title, remedy } = strings.troubleFor(code);
    this.call.dispatch({ type: "notice", code, message: `${title}. ${remedy}` });
  }

  stayTyped() {
    clearTimeout(this.voiceTimer);
    this.call.dispatch({ type: "mode_refused" });
    this.becomeTyped();
  }

  /** From here on nobody is listened to; `why` is the notice that says so, where the caller did not ask for it. */
  becomeTyped(why = "") {
    const { call } = this;
    call.sound.stopListening();
    call.view.visualiser.stop();
    if (why) {
      call.note(why);
    }
  }

  becomeSpoken() {
    const { call } = this;
    if (!call.sound.isListening) {
      // Nobody is listened to who did not ask for it.
      this.askToType();
      return;
    }
    for (const code of ["moved_to_text", "starts_typed", "voice_unavailable"]) {
      call.dispatch({ type: "notice_dismissed", code });
    }
    if (call.session.muted) {
      call.toggleMute();
    }
    this.showVoice();
  }

  showVoice() {
    this.call.view.visualiser.run(() => this.loudness());
  }

  loudness() {
    const { session, sound } = this.call;
    if (session.shown === "speaking") {
      return sound.assistantLevel;
    }
    return session.shown === "listening" && !session.muted && !session.away ? sound.callerLevel : 0;
  }

  // Sound

  // Frames come every 40 ms, which is also the echo hint's clock.
  hearCaller(pcm, level) {
    const { session, sound } = this.call;
    if (session.phase !== "live" || !session.voice) {
      return;
    }
    if (session.playing) {
      this.echo.record(level, sound.assistantLevel);
    }
    this.line.sendAudio(pcm);
  }

  interrupted(item_id) {
    this.call.sound.playback?.clear(item_id);
    if (this.echo.interrupted()) {
      this.call.note("echo");
    }
  }

  reportPlayback(report) {
    const { call } = this;
    if (report.item_id !== null) {
      this.line.reportPlayed(report.item_id, report.played_ms);
    }
    call.view.announce("playback", report);
    call.dispatch({ type: "playback", playing: report.is_playing });
  }

  // The caller's hands

  sendText(text) {
    const { call } = this;
    if (!this.line.isOpen) {
      call.note("text_waits");
      return false;
    }
    try {
      this.line.send(protocol.textSend(text));
    } catch {
      call.note("text_refused");
      return false;
    }
    this.typedCount += 1;
    call.captions = captions.addTyped(call.captions, text, `typed ${this.typedCount}`);
    call.dispatch({ type: "notice_dismissed", code: "text_waits" });
    return true;
  }

  tellMuted(muted) {
    this.line.send(protocol.microphoneState(muted));
  }

  /** Say goodbye now, or as soon as we are back. */
  hangUp() {
    this.line.send(protocol.sessionEnd());
    this.line.tryNow();
  }
}
