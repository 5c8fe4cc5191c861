// Cuts the microphone's samples into 40 ms frames of signed 16-bit PCM. While closed (muted, or push-to-talk not pressed)
// the frames are silence, so that the server's clock of the conversation goes on.

const FRAME_SAMPLES = 960; // 40 ms at 24 kHz

class MicrophoneProcessor extends AudioWorkletProcessor {
  constructor() {
    super();
    this.isOpen = true;
    this.isRunning = true;
    this.frame = new Int16Array(FRAME_SAMPLES);
    this.filled = 0;
    this.port.onmessage = ({ data }) => this.receive(data);
  }

  receive(message) {
    if (message.type === "open") {
      this.isOpen = message.open;
    } else if (message.type === "stop") {
      this.isRunning = false;
    }
  }

  process([channels]) {
    const samples = channels?.[0];
    if (samples) {
      for (const sample of samples) {
        this.take(this.isOpen ? sample : 0);
      }
    }
    return this.isRunning;
  }

  take(sample) {
    const clipped = Math.max(-1, Math.min(1, sample));
    this.frame[this.filled] = Math.round(clipped * 32767);
    this.filled += 1;
    if (this.filled === FRAME_SAMPLES) {
      const full = this.frame;
      this.port.postMessage(full.buffer, [full.buffer]);
      this.frame = new Int16Array(FRAME_SAMPLES);
      this.filled = 0;
    }
  }
}

registerProcessor("parley-microphone", MicrophoneProcessor);
