// The assistant's voice: hands arriving audio to the playback worklet and its reports to the call.

import { loadWorklet } from "./audio_context.js";

export class Playback {
  /** onReport({ item_id, played_ms, is_playing, is_final, delay_ms, underruns }). */
  constructor(audioContext, workletUrl, { onReport }) {
    this.context = audioContext;
    this.workletUrl = workletUrl;
    this.onReport = onReport;
    this.node = null;
    this.analyser = null;
    this.wave = null;
  }

  /** Throws what the worklet's file failed with. */
  async open() {
    await loadWorklet(this.context, this.workletUrl);
    this.node = new AudioWorkletNode(this.context, "parley-playback", {
      numberOfInputs: 0,
      numberOfOutputs: 1,
      outputChannelCount: [1],
    });
    this.node.port.onmessage = ({ data }) => this.onReport(data);
    this.analyser = this.context.createAnalyser();
    this.analyser.fftSize = 1024;
    this.wave = new Float32Array(this.analyser.fftSize);
    this.node.connect(this.analyser).connect(this.context.destination);
  }

  begin(item_id) {
    this.tell({ type: "begin", item_id });
  }

  /** pcm: ArrayBuffer of 16-bit samples; it is handed over, not copied. */
  push(pcm) {
    this.node?.port.postMessage({ type: "audio", pcm }, [pcm]);
  }

  end(item_id) {
    this.tell({ type: "end", item_id });
  }

  clear(item_id) {
    this.tell({ type: "clear", item_id });
  }

  /** Be silent at once, whatever was being said. */
  clearAll() {
    this.tell({ type: "clear", item_id: null });
  }

  tell(message) {
    this.node?.port.postMessage(message);
  }

  /** How loud the voice is right now: root mean square, 0..1. */
  level() {
    if (!this.analyser) {
      return 0;
    }
    this.analyser.getFloatTimeDomainData(this.wave);
    let squares = 0;
    for (const sample of this.wave) {
      squares += sample * sample;
    }
    return Math.sqrt(squares / this.wave.length);
  }

  stop() {
    this.tell({ type: "stop" });
    if (this.node) {
      this.node.port.onmessage = null;
      this.node.disconnect();
      this.analyser.disconnect();
    }
    this.node = this.analyser = null;
  }
}
