// The caller's microphone: asked for, listed, switched, muted, and let go of at the end.

import { loadWorklet } from "./audio_context.js";
import { causeOf } from "./permission.js";

const CONSTRAINTS = { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true };

export class MicrophoneUnavailable extends Error {
  constructor(code) {
    super(code);
    this.name = "MicrophoneUnavailable";
    this.code = code;
  }
}

async function openStream(deviceId) {
  const isSupported = Boolean(navigator.mediaDevices?.getUserMedia);
  if (!isSupported) {
    throw new MicrophoneUnavailable(causeOf(null, { isSecure: window.isSecureContext, isSupported }));
  }
  try {
    const audio = deviceId ? { ...CONSTRAINTS, deviceId: { exact: deviceId } } : CONSTRAINTS;
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    throw new MicrophoneUnavailable(causeOf(error, { isSecure: window.isSecureContext, isSupported, isDelegated: isDelegated() }));
  }
}

// In a frame, the page around has to hand the microphone on. Browsers that cannot say are taken to have it.
function isDelegated() {
  const policy = document.permissionsPolicy ?? document.featurePolicy;
  return policy?.allowsFeature?.("microphone") ?? true;
}

/** Whether the browser will let us listen without asking. False where it cannot say. */
export async function isAlreadyAllowed() {
  try {
    return (await navigator.permissions.query({ name: "microphone" })).state === "granted";
  } catch {
    return false;
  }
}

/** How loud a frame of 16-bit samples is: root mean square, 0..1. */
export function levelOf(pcm) {
  const samples = new Int16Array(pcm);
  let squares = 0;
  for (const sample of samples) {
    squares += sample * sample;
  }
  return Math.sqrt(squares / samples.length) / 32768;
}

export class Microphone {
  /** Handlers: onFrame(ArrayBuffer of 1920 bytes), onLost() when the device went away. */
  constructor(audioContext, workletUrl, { onFrame, onLost }) {
    this.context = audioContext;
    this.workletUrl = workletUrl;
    this.handlers = { onFrame, onLost };
    this.stream = null;
    this.source = null;
    this.node = null;
    this.isMuted = false;
    this.isGateOpen = true;
    this.isStopped = false;
  }

  /** Ask for the microphone and start the frames. Throws MicrophoneUnavailable, or what the worklet failed with. */
  async open() {
    await this.use(null);
    await loadWorklet(this.context, this.workletUrl);
    if (this.isStopped) {
      return;
    }
    this.node = new AudioWorkletNode(this.context, "parley-microphone", { numberOfInputs: 1, numberOfOutputs: 0 });
    this.node.port.onmessage = ({ data }) => this.handlers.onFrame(data);
    this.source.connect(this.node);
    this.applyGate();
  }

  /** Switch to another device, or the default one for null. The old one goes on if the new one cannot be had. */
  async use(deviceId) {
    const stream = await openStream(deviceId);
    if (this.isStopped) {
      stopTracks(stream);
      return;
    }
    const old = this.stream;
    this.source?.disconnect();
    this.stream = stream;
    this.source = this.context.createMediaStreamSource(stream);
    this.track.addEventListener("ended", () => this.stream === stream && this.handlers.onLost());
    if (this.node) {
      this.source.connect(this.node);
    }
    stopTracks(old);
    this.applyGate();
  }

  get track() {
    return this.stream.getAudioTracks()[0];
  }

  get deviceId() {
    return this.stream ? (this.track.getSettings().deviceId ?? "") : "";
  }

  setMuted(isMuted) {
    this.isMuted = isMuted;
    this.applyGate();
  }

  /** For push-to-talk: nothing but silence leaves while the gate is closed. */
  setGate(isOpen) {
    this.isGateOpen = isOpen;
    this.applyGate();
  }

  applyGate() {
    if (this.stream) {
      // A disabled track also puts the browser's own recording light out.
      this.track.enabled = !this.isMuted;
    }
    this.node?.port.postMessage({ type: "open", open: !this.isMuted && this.isGateOpen });
  }

  stop() {
    this.isStopped = true;
    this.source?.disconnect();
    this.node?.port.postMessage({ type: "stop" });
    if (this.node) {
      this.node.port.onmessage = null;
    }
    stopTracks(this.stream);
    this.stream = this.source = this.node = null;
  }
}

function stopTracks(stream) {
  for (const track of stream?.getTracks() ?? []) {
    track.stop();
  }
}

/** The microphones there are: [{ deviceId, label }]. Labels are empty until the microphone has been allowed. */
export async function listMicrophones() {
  const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  return devices.filter((device) => device.kind === "audioinput").map(({ deviceId, label }) => ({ deviceId, label }));
}
