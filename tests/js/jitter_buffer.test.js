import assert from "node:assert/strict";
import test from "node:test";

import { JitterBuffer } from "../../voice/static/voice/widget/jitter_buffer.js";

const QUANTUM = 128;
const CHUNK_MS = 40;
const SAMPLES_PER_MS = 24;

// Small, fixed and good enough (mulberry32): the same network in every run.
function randomness(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

// Every sample carries its place in the item, so that a lost or repeated one is noticed.
const valueAt = (position) => (position % 20_000) + 1;
const chunkFrom = (position, length) => Int16Array.from({ length }, (_, index) => valueAt(position + index));

function renderUntilHeard(buffer, arrivals, start_ms) {
  const output = new Float32Array(QUANTUM);
  const heard = [];
  let next = 0;
  let now_ms = start_ms;
  let first_ms = null;
  let finished = [];
  while (finished.length === 0) {
    assert.ok(now_ms < start_ms + 120_000, "the item is never heard to its end");
    while (next < arrivals.length && arrivals[next].at_ms <= now_ms) {
      arrivals[next].deliver();
      next += 1;
    }
    buffer.render(output, now_ms);
    const position = buffer.position();
    if (position.played_ms > 0 && first_ms === null) {
      first_ms = now_ms;
    }
    heard.push(...output);
    finished = buffer.takeFinished();
    now_ms += QUANTUM / SAMPLES_PER_MS;
  }
  return { heard, finished, first_ms, end_ms: now_ms };
}

/** Play one item whose chunks leave in real time and arrive late by jitter(), in order as on a websocket. */
function playItem(buffer, id, { chunks = 75, jitter = () => 0, start_ms = 0, pace = 1 } = {}) {
  const now = { ms: start_ms };
  const length = CHUNK_MS * SAMPLES_PER_MS;
  const arrivals = [];
  let latest_ms = start_ms;
  buffer.begin(id);
  for (let index = 0; index < chunks; index += 1) {
    latest_ms = Math.max(latest_ms, start_ms + (index * CHUNK_MS) / pace + jitter());
    const at_ms = latest_ms;
    arrivals.push({ at_ms, deliver: () => buffer.push(chunkFrom(index * length, length), at_ms) });
  }
  arrivals.push({ at_ms: latest_ms, deliver: () => buffer.end(id) });
  const before = buffer.underruns;
  const result = renderUntilHeard(buffer, arrivals, now.ms);
  const ordered = result.heard.filter((sample) => Math.round(sample * 32768) !== sample * 32768 || sample !== 0);
  return { ...result, ordered, underruns: buffer.underruns - before, delay_ms: result.first_ms - arrivals[0].at_ms };
}

const isEverySampleInOrder = (heard, total) => {
  let position = 0;
  for (const sample of heard) {
    if (position < total && Math.abs(sample * 32768 - valueAt(position)) < 0.01) {
      position += 1;
    }
  }
  return position === total;
};

test("every sample is heard once and in order", () => {
  const { heard } = playItem(new JitterBuffer(), "a");
  assert.ok(isEverySampleInOrder(heard, 75 * CHUNK_MS * SAMPLES_PER_MS));
});

for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
  test(`the first answer has no gap under 0-200 ms of jitter (network ${seed})`, () => {
    const random = randomness(seed);
    const { underruns } = playItem(new JitterBuffer(), "a", { jitter: () => random() * 200, chunks: 150 });
    assert.equal(underruns, 0);
  });
}

test("a long call under 0-200 ms of jitter has hardly a gap, and loses nothing", () => {
  const items = 40;
  let underruns = 0;
  for (const seed of [11, 12, 13]) {
    const random = randomness(seed);
    const buffer = new JitterBuffer();
    let start_ms = 0;
    for (let index = 0; index < items; index += 1) {
      const result = playItem(buffer, `item ${index}`, { jitter: () => random() * 200, start_ms });
      assert.ok(isEverySampleInOrder(result.heard, 75 * CHUNK_MS * SAMPLES_PER_MS));
      underruns += result.underruns;
      start_ms = result.end_ms + 500;
    }
  }
  assert.ok(underruns <= 2, `${underruns} gaps in ${3 * items} answers`);
});

test("on a steady network the delay comes down to the least within a few answers", () => {
  const buffer = new JitterBuffer();
  const delays = [];
  let start_ms = 0;
  for (let index = 0; index < 6; index += 1) {
    const result = playItem(buffer, `item ${index}`, { start_ms });
    delays.push(result.delay_ms);
    start_ms = result.end_ms + 500;
  }
  assert.ok(delays[0] >= 150 && delays[0] <= 220, `first: ${delays[0]}`);
  assert.ok(delays[5] <= 50, `sixth: ${delays[5]}`);
});

test("an answer that arrives faster than it is heard does not wait", () => {
  const { delay_ms, underruns } = playItem(new JitterBuffer(), "a", { pace: 20 });
  assert.ok(delay_ms < 60, String(delay_ms));
  assert.equal(underruns, 0);
});

test("an answer shorter than the delay is heard as soon as it is whole", () => {
  const { finished, delay_ms } = playItem(new JitterBuffer(), "a", { chunks: 2 });
  assert.deepEqual(finished, [{ item_id: "a", played_ms: 80 }]);
  assert.ok(delay_ms < 60, String(delay_ms));
});

test("after running dry it waits once rather than stuttering", () => {
  const buffer = new JitterBuffer();
  const output = new Float32Array(QUANTUM);
  buffer.begin("a");
  buffer.push(chunkFrom(0, 24 * 240), 0);
  let now_ms = 0;
  for (; now_ms < 400; now_ms += QUANTUM / SAMPLES_PER_MS) {
    buffer.render(output, now_ms);
  }
  assert.equal(buffer.underruns, 1);
  buffer.push(chunkFrom(0, 24 * 20), now_ms);
  buffer.render(output, now_ms);
  assert.equal(buffer.position().played_ms, 240);
});

test("clear drops what is buffered and tells what was heard", () => {
  const buffer = new JitterBuffer();
  const output = new Float32Array(24 * 50);
  buffer.begin("a");
  buffer.push(chunkFrom(0, 24 * 1000), 0);
  buffer.render(output, 0);
  assert.deepEqual(buffer.clear("a"), { item_id: "a", played_ms: 50 });
  assert.equal(buffer.buffered, 0);
  assert.equal(buffer.flowing, false);
});

test("after a clear the sound dies away in a few milliseconds and stays silent", () => {
  const buffer = new JitterBuffer();
  const output = new Float32Array(24 * 50);
  buffer.begin("a");
  buffer.push(new Int16Array(24 * 1000).fill(16_000), 0);
  buffer.render(output, 0);
  buffer.clear("a");
  buffer.render(output, 50);
  assert.ok(Math.abs(output[24 * 3]) < 0.02);
  assert.equal(output.at(-1), 0);
});

test("audio of an item that was cleared is dropped when it comes late", () => {
  const buffer = new JitterBuffer();
  buffer.begin("a");
  buffer.push(chunkFrom(0, 960), 0);
  buffer.clear("a");
  buffer.push(chunkFrom(0, 960), 10);
  assert.equal(buffer.buffered, 0);
});

test("the next item is heard after a clear", () => {
  const buffer = new JitterBuffer();
  buffer.begin("a");
  buffer.push(chunkFrom(0, 24 * 500), 0);
  buffer.clear("a");
  const { finished } = playItem(buffer, "b", { start_ms: 1000, chunks: 20 });
  assert.deepEqual(finished, [{ item_id: "b", played_ms: 800 }]);
});

test("two items in a row are each counted for themselves", () => {
  const buffer = new JitterBuffer();
  const output = new Float32Array(24 * 10);
  buffer.begin("a");
  buffer.push(chunkFrom(0, 24 * 300), 0);
  buffer.begin("b");
  buffer.push(chunkFrom(0, 24 * 200), 0);
  buffer.end("b");
  for (let now_ms = 0; now_ms < 800; now_ms += 10) {
    buffer.render(output, now_ms);
  }
  assert.deepEqual(buffer.takeFinished(), [
    { item_id: "a", played_ms: 300 },
    { item_id: "b", played_ms: 200 },
  ]);
});

test("only what was rendered counts as played", () => {
  const buffer = new JitterBuffer();
  buffer.begin("a");
  buffer.push(chunkFrom(0, 24 * 1000), 0);
  assert.deepEqual(buffer.position(), { item_id: "a", played_ms: 0 });
  buffer.render(new Float32Array(24 * 100), 0);
  assert.deepEqual(buffer.position(), { item_id: "a", played_ms: 100 });
});

test("an empty buffer renders silence and reports nothing", () => {
  const buffer = new JitterBuffer();
  const output = new Float32Array(QUANTUM).fill(1);
  buffer.render(output, 0);
  assert.ok(output.every((sample) => sample === 0));
  assert.deepEqual(buffer.position(), { item_id: null, played_ms: 0 });
});

// A quantum at a time until nothing more is heard.
function drain(buffer, now_ms) {
  const finished = [];
  for (let index = 0; index < 1000; index += 1) {
    buffer.render(new Float32Array(QUANTUM), now_ms + (index * QUANTUM) / SAMPLES_PER_MS);
    finished.push(...buffer.takeFinished());
  }
  return finished;
}

test("an item that a lost line cut in two is one item, heard to its end once", () => {
  const buffer = new JitterBuffer();
  buffer.begin("cut");
  buffer.push(chunkFrom(0, 4800), 0);
  assert.deepEqual(drain(buffer, 0), []);
  assert.deepEqual(buffer.position(), { item_id: "cut", played_ms: 200 });
  buffer.begin("cut");
  buffer.push(chunkFrom(4800, 2400), 9000);
  buffer.end("cut");
  assert.deepEqual(drain(buffer, 9000), [{ item_id: "cut", played_ms: 300 }]);
});

test("an item that begins again after it was heard to its end counts on", () => {
  const buffer = new JitterBuffer();
  buffer.begin("whole");
  buffer.push(chunkFrom(0, 4800), 0);
  buffer.end("whole");
  assert.deepEqual(drain(buffer, 0), [{ item_id: "whole", played_ms: 200 }]);
  buffer.begin("whole");
  buffer.end("whole");
  assert.deepEqual(drain(buffer, 9000), [{ item_id: "whole", played_ms: 200 }]);
});

test("what waited for a lost line teaches nothing about the network", () => {
  const buffer = new JitterBuffer();
  buffer.begin("cut");
  buffer.push(chunkFrom(0, 4800), 0);
  buffer.begin("cut");
  buffer.push(chunkFrom(4800, 48_000), 9000);
  const before_ms = buffer.delay_ms;
  buffer.end("cut");
  assert.equal(buffer.delay_ms, before_ms);
});

test("silence at once is silence for good, and says what was heard", () => {
  const buffer = new JitterBuffer();
  buffer.begin("long");
  buffer.push(chunkFrom(0, 48_000), 0);
  buffer.render(new Float32Array(2400), 400);
  assert.deepEqual(buffer.clear(null), { item_id: "long", played_ms: 100 });
  assert.equal(buffer.buffered, 0);
  buffer.begin("long");
  assert.equal(buffer.buffered, 0);
});
