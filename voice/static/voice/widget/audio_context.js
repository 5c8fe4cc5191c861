// The page's one AudioContext: made and woken inside a tap, kept for the next call (iOS allows no second one lightly).

import { SAMPLE_RATE } from "./protocol.js";

let context = null;
const loaded = new Map(); // context -> set of worklet URLs

/** Call inside a tap, before anything is awaited: only then may it make sound on every browser. */
export function wakeAudio() {
  if (!context || context.state === "closed") {
    const Context = window.AudioContext ?? window.webkitAudioContext;
    context = new Context({ sampleRate: SAMPLE_RATE, latencyHint: "interactive" });
    loaded.set(context, new Set());
  }
  // Not awaited: the promise may stay open for as long as the device holds the sound back.
  context.resume().catch(() => {});
  return context;
}

/** Load a worklet module once for each context. Throws when the file cannot be loaded. */
export async function loadWorklet(audioContext, url) {
  const urls = loaded.get(audioContext);
  if (!urls.has(url)) {
    await audioContext.audioWorklet.addModule(url);
    urls.add(url);
  }
}

export function restAudio() {
  if (context && context.state === "running") {
    context.suspend().catch(() => {});
  }
}

/**
 * Watch for the device taking the sound away (a phone call, an alarm: iOS says "interrupted"). onChange(isPaused).
 * Tries to go on when the page is seen again or touched. Answers a function that stops watching.
 */
export function watchInterruptions(audioContext, onChange) {
  const isPaused = () => audioContext.state === "interrupted" || audioContext.state === "suspended";
  const changed = () => onChange(isPaused());
  const goOn = () => {
    if (isPaused() && document.visibilityState === "visible") {
      audioContext.resume().catch(() => {});
    }
  };
  audioContext.addEventListener("statechange", changed);
  document.addEventListener("visibilitychange", goOn);
  document.addEventListener("pointerdown", goOn, true);
  document.addEventListener("keydown", goOn, true);
  return () => {
    audioContext.removeEventListener("statechange", changed);
    document.removeEventListener("visibilitychange", goOn);
    document.removeEventListener("pointerdown", goOn, true);
    document.removeEventListener("keydown", goOn, true);
  };
}
