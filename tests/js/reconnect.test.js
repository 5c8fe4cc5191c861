import assert from "node:assert/strict";
import test from "node:test";

import { delayBefore, nextTryAt, secondsKept } from "../../voice/static/voice/widget/reconnect.js";

const middle = () => 0.5;

test("tries come soon at first, then less often", () => {
  assert.deepEqual([0, 1, 2, 3, 4, 5, 50].map((tries) => delayBefore(tries, middle)), [300, 700, 1000, 2000, 2000, 2000, 2000]);
});

test("no two browsers need come back in the same instant", () => {
  assert.deepEqual([delayBefore(2, () => 0), delayBefore(2, () => 1)], [700, 1300]);
});

test("the last try falls on the last moment, and none after it", () => {
  assert.equal(nextTryAt({ tries: 1, now_ms: 1000, until_ms: 30_000 }, middle), 1700);
  assert.equal(nextTryAt({ tries: 6, now_ms: 28_500, until_ms: 30_000 }, middle), 30_000);
  assert.equal(nextTryAt({ tries: 7, now_ms: 30_000, until_ms: 30_000 }, middle), null);
});

test("a browser that slept for too long still asks once", () => {
  assert.equal(nextTryAt({ tries: 0, now_ms: 90_000, until_ms: 30_000 }, middle), 90_000);
});

test("the countdown ends at nothing", () => {
  assert.deepEqual([30_000, 29_001, 1, 0, -50].map((left_ms) => secondsKept(1000 + left_ms, 1000)), [30, 30, 1, 0, 0]);
});
