// Notes, in one page, when each message came in and when the assistant's voice was first audible after each silence.
(() => {
  const AUDIBLE = 0.005;
  const POLL_MS = 4;
  const QUIET_MS = 400;
  const heard = { messages: [], onsets: [], lastSoundAt: 0, isOver: false };
  window.heard = heard;

  // The voice is whatever is connected to a context's output.
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (target, ...rest) {
    if (target instanceof AudioDestinationNode) {
      const analyser = target.context.createAnalyser();
      analyser.fftSize = 512;
      connect.call(this, analyser);
      listenTo(analyser);
    }
    return connect.call(this, target, ...rest);
  };

  function listenTo(analyser) {
    const wave = new Float32Array(analyser.fftSize);
    setInterval(() => {
      analyser.getFloatTimeDomainData(wave);
      const now = performance.now();
      const first = wave.findIndex((sample) => Math.abs(sample) > AUDIBLE);
      if (first < 0) {
        return;
      }
      // Between two clauses there is a short silence too; only what follows a long one begins an answer.
      if (now - heard.lastSoundAt > QUIET_MS) {
        heard.onsets.push(now - ((wave.length - first) / analyser.context.sampleRate) * 1000);
      }
      heard.lastSoundAt = now;
    }, POLL_MS);
  }

  const RealWebSocket = window.WebSocket;
  window.WebSocket = class extends RealWebSocket {
    constructor(...args) {
      super(...args);
      this.addEventListener("message", ({ data }) => {
        const at = performance.now();
        const message = typeof data === "string" ? JSON.parse(data) : { type: "audio" };
        heard.isOver ||= message.type === "session.ended" || message.type === "error";
        const isRepeat = message.type === "audio" && heard.messages.at(-1)?.what === "audio";
        if (!isRepeat) {
          heard.messages.push({ at, what: message.state ?? message.speaker ?? message.type });
        }
      });
    }
  };
})();
