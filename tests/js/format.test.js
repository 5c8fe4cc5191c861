import assert from "node:assert/strict";
import test from "node:test";

import "./english.js";
import * as format from "../../voice/static/voice/widget/format.js";

for (const [micro, text] of [
  [0, "0 credits"],
  [3_420_000, "3.42 credits"],
  [3_400_000, "3.4 credits"],
  [1_000_000, "1 credit"],
  [3_425_000, "3.43 credits"],
  [3_424_999, "3.42 credits"],
  [999_996_000, "1,000 credits"],
  [1, "under 0.01 credits"],
  [5_000, "0.01 credits"],
  [1_234_567_000_000, "1,234,567 credits"],
]) {
  test(`${micro} micro-credits read as ${text}`, () => {
    assert.equal(format.credits(micro), text);
  });
}

test("a receipt shows as many decimals as its amounts need, and never fewer than two", () => {
  assert.equal(format.exactDigits([3_000_000, 500_000]), 2);
  assert.equal(format.exactDigits([40_500]), 4);
  assert.equal(format.exactDigits([1]), 6);
});

test("exact amounts are not rounded", () => {
  assert.equal(format.exactCredits(618_000, 3), "0.618");
  assert.equal(format.exactCredits(1_234_000_001, 6), "1,234.000001");
});

for (const [ms, text] of [
  [0, "0:00"],
  [-5, "0:00"],
  [59_999, "0:59"],
  [125_000, "2:05"],
  [3_725_000, "1:02:05"],
]) {
  test(`${ms} ms on the clock is ${text}`, () => {
    assert.equal(format.clock(ms), text);
  });
}

for (const [ms, text] of [
  [0, "0 seconds"],
  [1_000, "1 second"],
  [60_000, "1 minute"],
  [125_000, "2 minutes 5 seconds"],
]) {
  test(`${ms} ms is said as ${text}`, () => {
    assert.equal(format.spokenDuration(ms), text);
  });
}

test("a name from code is made readable", () => {
  assert.equal(format.humanised("call_back-number"), "Call back number");
});

test("the time left is shown when it begins to matter, and never runs below nothing", () => {
  const ten_ms = 600_000;
  assert.equal(format.timeLeft(0, ten_ms), "");
  assert.equal(format.timeLeft(299_000, ten_ms), "");
  assert.equal(format.timeLeft(301_000, ten_ms), "4:59");
  assert.equal(format.timeLeft(700_000, ten_ms), "0:00");
  assert.equal(format.timeLeft(0, 60_000), "");
  assert.equal(format.timeLeft(31_000, 60_000), "0:29");
  assert.equal(format.timeLeft(1000, 0), "");
});
