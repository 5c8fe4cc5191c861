// A microphone that a test speaks into: getUserMedia gives a stream that carries whatever microphone.say() is handed.
(() => {
  let context, output;
  navigator.mediaDevices.getUserMedia = async (constraints) => {
    context ??= new AudioContext({ sampleRate: 48_000 });
    await context.resume();
    output = context.createMediaStreamDestination();
    output.channelCount = 1;
    // A destination nothing is connected to delivers no frames at all, which no real microphone does.
    const silence = context.createConstantSource();
    silence.offset.value = 0;
    silence.connect(output);
    silence.start();
    window.microphone.constraints = constraints;
    return output.stream;
  };
  window.microphone = {
    constraints: null,
    // Whether anybody listens: a stream that was asked for and not let go of.
    isOn: () => output?.stream.getTracks().some((track) => track.readyState === "live") ?? false,
    // Speaks a WAV file given in base64; resolves to when its last audible sample was said (performance.now, ms).
    async say(base64) {
      const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      const speech = await context.decodeAudioData(bytes.buffer);
      const samples = speech.getChannelData(0);
      let last = samples.length - 1;
      while (last > 0 && Math.abs(samples[last]) < 0.01) last -= 1;
      const source = context.createBufferSource();
      source.buffer = speech;
      source.connect(output);
      const startsAt = context.currentTime + 0.05;
      const startsAtMs = performance.now() + 50;
      source.start(startsAt);
      await new Promise((resolve) => source.addEventListener("ended", resolve));
      return startsAtMs + (last / speech.sampleRate) * 1000;
    },
  };
})();
