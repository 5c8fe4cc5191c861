// Is the assistant interrupting itself through the loudspeaker? Compares the microphone's loudness with what was being
// played when an answer was cut off. Pure, and slow to accuse: a wrong hint is worse than none.

export const LEVEL_PERIOD_MS = 40;
const WINDOW_LEVELS = 30; // 1.2 s before the interruption
const LAG_LEVELS_MAX = 6; // loudspeaker to microphone and back through the device: up to 240 ms
const CORRELATION_MIN = 0.75;
const PLAYED_LEVEL_MIN = 0.01; // quieter playback cannot echo
const INTERRUPTIONS_BEFORE_HINT = 2;

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Pearson's correlation of two equally long lists; 0 when either does not vary. */
export function correlation(left, right) {
  const leftMean = mean(left);
  const rightMean = mean(right);
  let product = 0;
  let leftSquares = 0;
  let rightSquares = 0;
  for (let index = 0; index < left.length; index += 1) {
    const leftDelta = left[index] - leftMean;
    const rightDelta = right[index] - rightMean;
    product += leftDelta * rightDelta;
    leftSquares += leftDelta * leftDelta;
    rightSquares += rightDelta * rightDelta;
  }
  const spread = Math.sqrt(leftSquares * rightSquares);
  return spread > 1e-9 ? product / spread : 0;
}

/** Whether the microphone followed the loudspeaker, up to a short delay, over the whole window. */
export function isEchoLike(microphoneLevels, playedLevels) {
  if (playedLevels.length < WINDOW_LEVELS || microphoneLevels.length !== playedLevels.length || mean(playedLevels) < PLAYED_LEVEL_MIN) {
    return false;
  }
  for (let lag = 0; lag <= LAG_LEVELS_MAX; lag += 1) {
    const heard = microphoneLevels.slice(lag);
    const played = playedLevels.slice(0, playedLevels.length - lag);
    if (correlation(heard, played) >= CORRELATION_MIN) {
      return true;
    }
  }
  return false;
}

export class EchoHint {
  constructor() {
    this.microphone = [];
    this.played = [];
    this.suspected = 0;
    this.isGiven = false;
  }

  /** Note both levels (0..1), once every LEVEL_PERIOD_MS while the assistant speaks. */
  record(microphoneLevel, playedLevel) {
    this.microphone = [...this.microphone, microphoneLevel].slice(-WINDOW_LEVELS);
    this.played = [...this.played, playedLevel].slice(-WINDOW_LEVELS);
  }

  /** The answer was cut off. True once a call, when the loudspeaker is the likely culprit for the second time. */
  interrupted() {
    if (isEchoLike(this.microphone, this.played)) {
      this.suspected += 1;
    }
    this.microphone = [];
    this.played = [];
    if (this.isGiven || this.suspected < INTERRUPTIONS_BEFORE_HINT) {
      return false;
    }
    this.isGiven = true;
    return true;
  }
}
