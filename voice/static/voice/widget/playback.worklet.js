// Renders the assistant's voice from the jitter buffer, and says four times a second how much of it was really heard.

import { JitterBuffer, SAMPLE_RATE } from "./jitter_buffer.js";

const REPORT_SAMPLES = SAMPLE_RATE / 4;

class PlaybackProcessor extends AudioWorkletProcessor {
  constructor() {
    super();
    this.buffer = new JitterBuffer();
    this.sinceReport = 0;
    this.wasBuffered = false;
    this.isRunning = true;
    this.port.onmessage = ({ data }) => this.receive(data);
  }

  receive(message) {
    const handlers = {
      audio: () => this.buffer.push(new Int16Array(message.pcm), currentTime * 1000),
      begin: () => this.buffer.begin(message.item_id),
      end: () => this.buffer.end(message.item_id),
      clear: () => this.report(this.buffer.clear(message.item_id), { isFinal: true }),
      stop: () => {
        this.isRunning = false;
      },
    };
    handlers[message.type]();
  }

  process(_inputs, [channels]) {
    this.buffer.render(channels[0], currentTime * 1000);
    for (const heard of this.buffer.takeFinished()) {
      this.report(heard, { isFinal: true });
    }
    this.reportOnTime(channels[0].length);
    return this.isRunning;
  }

  reportOnTime(samples) {
    const isBuffered = this.buffer.buffered > 0;
    this.sinceReport += samples;
    if (isBuffered !== this.wasBuffered || (isBuffered && this.sinceReport >= REPORT_SAMPLES)) {
      this.report(this.buffer.position(), { isFinal: false });
    }
    this.wasBuffered = isBuffered;
  }

  report(position, { isFinal }) {
    this.sinceReport = 0;
    this.port.postMessage({
      ...position,
      is_final: isFinal,
      is_playing: this.buffer.flowing || this.buffer.buffered > 0,
      delay_ms: this.buffer.delay_ms,
      underruns: this.buffer.underruns,
    });
  }
}

registerProcessor("parley-playback", PlaybackProcessor);
