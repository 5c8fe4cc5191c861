// Both directions of the call's sound: the caller's microphone and the assistant's voice. Opened for a spoken call, or in
// mid-call when a typed one becomes spoken; the microphone can go while what is being said is heard to its end.

import { wakeAudio, watchInterruptions } from "./audio_context.js";
import { levelOf, Microphone } from "./microphone.js";
import { Playback } from "./playback.js";

export class Sound {
  /** Handlers: onFrame(pcm, level), onLost(), onReport(report), onPause(isPaused). */
  constructor({ workletMicrophone, workletPlayback }, { onFrame, onLost, onReport, onPause }) {
    this.worklets = { microphone: workletMicrophone, playback: workletPlayback };
    this.handlers = { onFrame, onLost, onReport, onPause };
    this.context = this.microphone = this.playback = null;
    this.stopWatching = () => {};
    this.isStopped = false;
    this.callerLevel = 0;
  }

  /** Call inside a tap. Answers whether this browser can make sound at all. */
  wake() {
    try {
      this.context = wakeAudio();
      return true;
    } catch {
      return false;
    }
  }

  /** Ask for the microphone and get ready to speak. Throws an error with `code`: microphone_... or audio_unavailable. */
  async open() {
    try {
      await this.openMicrophone();
      await this.openPlayback();
    } catch (error) {
      this.stopListening();
      throw error.code?.startsWith?.("microphone_") ? error : Object.assign(new Error("no sound"), { code: "audio_unavailable" });
    }
  }

  async openMicrophone() {
    this.stopListening();
    this.microphone = new Microphone(this.context, this.worklets.microphone, {
      onFrame: (pcm) => this.hear(pcm),
      onLost: () => this.handlers.onLost(),
    });
    await this.microphone.open();
  }

  async openPlayback() {
    if (this.isStopped || this.playback) {
      return;
    }
    const playback = new Playback(this.context, this.worklets.playback, { onReport: (report) => this.handlers.onReport(report) });
    await playback.open();
    if (this.isStopped) {
      playback.stop();
      return;
    }
    this.playback = playback;
    this.stopWatching = watchInterruptions(this.context, (isPaused) => this.handlers.onPause(isPaused));
  }

  hear(pcm) {
    this.callerLevel = levelOf(pcm);
    this.handlers.onFrame(pcm, this.callerLevel);
  }

  get isListening() {
    return this.microphone !== null;
  }

  get assistantLevel() {
    return this.playback?.level() ?? 0;
  }

  /** Let go of the microphone; what is still to be heard of the assistant is heard. */
  stopListening() {
    this.microphone?.stop();
    this.microphone = null;
    this.callerLevel = 0;
  }

  stop() {
    this.isStopped = true;
    this.stopWatching();
    this.stopListening();
    this.stopPlaying();
  }

  stopPlaying() {
    this.playback?.stop();
    this.playback = null;
  }
}
