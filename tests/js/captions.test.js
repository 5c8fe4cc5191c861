import assert from "node:assert/strict";
import test from "node:test";

import * as captions from "../../voice/static/voice/widget/captions.js";

const delta = (speaker, item_id, text) => ({ speaker, item_id, text });
const final = (speaker, item_id, text, interrupted = false) => ({ speaker, item_id, text, interrupted });
const words = (list) => list.entries.map(({ speaker, text }) => `${speaker}: ${text}`);

test("deltas grow a line and the final caption replaces it", () => {
  let list = captions.applyDelta(captions.noCaptions(), delta("agent", "a", "Good "));
  list = captions.applyDelta(list, delta("agent", "a", "mourning"));
  assert.deepEqual(words(list), ["agent: Good mourning"]);
  assert.equal(list.entries[0].isFinal, false);
  list = captions.applyFinal(list, final("agent", "a", "Good morning"));
  assert.deepEqual(words(list), ["agent: Good morning"]);
  assert.equal(list.entries[0].isFinal, true);
});

test("a delta after the final caption changes nothing", () => {
  const list = captions.applyFinal(captions.noCaptions(), final("agent", "a", "Done."));
  assert.deepEqual(captions.applyDelta(list, delta("agent", "a", " more")), list);
});

test("an interrupted line keeps only what was heard, and says so", () => {
  const before = captions.applyDelta(captions.noCaptions(), delta("agent", "a", "We open at nine and close"));
  const list = captions.applyFinal(before, final("agent", "a", "We open at", true));
  assert.deepEqual(words(list), ["agent: We open at"]);
  assert.equal(list.entries[0].isInterrupted, true);
});

test("words that were never heard leave no line", () => {
  const before = captions.applyDelta(captions.noCaptions(), delta("agent", "a", "Never hea"));
  assert.deepEqual(captions.applyFinal(before, final("agent", "a", "", true)).entries, []);
});

test("a caller's words that are transcribed late stand before the answer", () => {
  let list = captions.applyFinal(captions.noCaptions(), final("agent", "greeting", "Hello!"));
  list = captions.keepPlaceForCaller(list);
  list = captions.applyDelta(list, delta("agent", "answer", "We open at"));
  list = captions.applyFinal(list, final("caller", "question", "When do you open?"));
  assert.deepEqual(words(list), ["agent: Hello!", "caller: When do you open?", "agent: We open at"]);
});

test("once the assistant listens again, new words come last", () => {
  let list = captions.keepPlaceForCaller(captions.noCaptions());
  list = captions.applyFinal(list, final("agent", "greeting", "Hello!"));
  list = captions.givePlaceUp(list);
  list = captions.applyFinal(list, final("caller", "question", "Hi."));
  assert.deepEqual(words(list), ["agent: Hello!", "caller: Hi."]);
});

test("the place is for one line only", () => {
  let list = captions.keepPlaceForCaller(captions.noCaptions());
  list = captions.applyFinal(list, final("agent", "a", "One"));
  list = captions.applyFinal(list, final("caller", "b", "Two"));
  list = captions.applyFinal(list, final("caller", "c", "Three"));
  assert.deepEqual(words(list), ["caller: Two", "agent: One", "caller: Three"]);
});

test("a typed turn is shown at once, and once", () => {
  let list = captions.addTyped(captions.noCaptions(), "Tuesday", "typed 1");
  assert.deepEqual(words(list), ["caller: Tuesday"]);
  list = captions.applyFinal(list, final("caller", "item_7", "Tuesday"));
  assert.deepEqual(words(list), ["caller: Tuesday"]);
  assert.equal(list.entries[0].item_id, "item_7");
});

test("two equal typed turns are two lines", () => {
  let list = captions.addTyped(captions.noCaptions(), "Yes", "typed 1");
  list = captions.applyFinal(list, final("caller", "item_1", "Yes"));
  list = captions.addTyped(list, "Yes", "typed 2");
  list = captions.applyFinal(list, final("caller", "item_2", "Yes"));
  assert.deepEqual(list.entries.map(({ item_id }) => item_id), ["item_1", "item_2"]);
});

test("the same item id on both sides is two lines", () => {
  let list = captions.applyDelta(captions.noCaptions(), delta("agent", "a", "One"));
  list = captions.applyDelta(list, delta("caller", "a", "Two"));
  assert.equal(list.entries.length, 2);
});

test("a very long call keeps its latest lines", () => {
  let list = captions.noCaptions();
  for (let index = 0; index < 600; index += 1) {
    list = captions.applyFinal(list, final("agent", `i${index}`, String(index)));
  }
  assert.equal(list.entries.length, 500);
  assert.equal(list.entries.at(-1).text, "599");
});

test("what was said can be taken away as text, without what was still being said", () => {
  let list = captions.applyFinal(captions.noCaptions(), final("agent", "a", "Good morning."));
  list = captions.applyFinal(list, final("caller", "b", "Hello."));
  list = captions.applyDelta(list, delta("agent", "c", "How can"));
  assert.equal(captions.asText(list, { caller: "You", agent: "Rosewood" }), "Rosewood: Good morning.\nYou: Hello.\n");
});

test("a typed turn is untold until the server tells of it", () => {
  let list = captions.addTyped(captions.noCaptions(), "Hello", "typed 1");
  list = captions.addTyped(list, "Are you there?", "typed 2");
  assert.deepEqual(captions.untoldTurns(list), ["Hello", "Are you there?"]);
  list = captions.applyFinal(list, final("caller", "c", "Hello"));
  assert.deepEqual(captions.untoldTurns(list), ["Are you there?"]);
});
