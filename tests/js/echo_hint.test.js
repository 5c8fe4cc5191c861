import assert from "node:assert/strict";
import test from "node:test";

import { correlation, EchoHint, isEchoLike } from "../../voice/static/voice/widget/echo_hint.js";

const LENGTH = 30;
const played = Array.from({ length: LENGTH }, (_, index) => 0.06 + 0.05 * Math.sin(index * 1.1) * Math.cos(index * 0.37));
const echoOf = (levels, lag) => levels.map((_, index) => (index < lag ? 0.002 : levels[index - lag] * 0.3));
const ownSpeech = Array.from({ length: LENGTH }, (_, index) => (index < 24 ? 0.003 : 0.12));

function hintAfter(...interruptions) {
  const hint = new EchoHint();
  return interruptions.map((microphone) => {
    microphone.forEach((level, index) => hint.record(level, played[index]));
    return hint.interrupted();
  });
}

test("equal waves correlate, opposite ones do the contrary, flat ones not at all", () => {
  assert.ok(Math.abs(correlation(played, played) - 1) < 1e-9);
  assert.ok(Math.abs(correlation(played, played.map((level) => -level)) + 1) < 1e-9);
  assert.equal(correlation(played, played.map(() => 0.1)), 0);
});

for (const lag of [0, 3, 6]) {
  test(`a microphone that follows the loudspeaker ${lag * 40} ms later is an echo`, () => {
    assert.equal(isEchoLike(echoOf(played, lag), played), true);
  });
}

test("a person who starts to talk is not an echo", () => {
  assert.equal(isEchoLike(ownSpeech, played), false);
});

test("too little playback proves nothing", () => {
  assert.equal(isEchoLike(echoOf(played, 2).slice(0, 10), played.slice(0, 10)), false);
  const quiet = played.map((level) => level / 100);
  assert.equal(isEchoLike(quiet, quiet), false);
});

test("the hint comes at the second suspicious interruption, and only once", () => {
  const echo = echoOf(played, 2);
  assert.deepEqual(hintAfter(echo, echo, echo), [false, true, false]);
});

test("interruptions by a person never lead to the hint", () => {
  assert.deepEqual(hintAfter(ownSpeech, ownSpeech, ownSpeech), [false, false, false]);
});

test("levels from before an interruption are not used for the next", () => {
  assert.deepEqual(hintAfter(echoOf(played, 2), echoOf(played, 2).slice(0, 5)), [false, false]);
});
