// What this browser remembers between calls. Storage may be forbidden; then nothing is remembered, and nothing breaks.

const EXPLAINED = "parley.microphone_explained";
const HOLD_TO_TALK = "parley.hold_to_talk";
const CAPTIONS_OFF = "parley.captions_off";

function read(key) {
  try {
    return localStorage.getItem(key) === "1";
  } catch {
    return false;
  }
}

function write(key, value) {
  try {
    localStorage.setItem(key, value ? "1" : "0");
  } catch {
    // Private mode.
  }
}

export const isMicrophoneExplained = () => read(EXPLAINED);
export const rememberMicrophoneExplained = () => write(EXPLAINED, true);
export const prefersHoldToTalk = () => read(HOLD_TO_TALK);
export const rememberHoldToTalk = (isOn) => write(HOLD_TO_TALK, isOn);
export const wantsCaptions = () => !read(CAPTIONS_OFF);
export const rememberCaptions = (isOn) => write(CAPTIONS_OFF, !isOn);
