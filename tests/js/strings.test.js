import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { CLOSE_CODES } from "../../voice/static/voice/widget/protocol.js";
import * as strings from "../../voice/static/voice/widget/strings.js";
import { wordsOf } from "./english.js";

const { BROWSER_TROUBLES, SERVER_TROUBLES, TASKS, troubleFor } = strings;

const REFUSALS = JSON.parse(readFileSync(new URL("../fixtures/refusals.json", import.meta.url)));

test("there are words for exactly the codes that the server sends", () => {
  assert.deepEqual(Object.keys(SERVER_TROUBLES).sort(), REFUSALS);
});

test("every trouble has a title and a remedy of its own", () => {
  for (const code of [...REFUSALS, ...Object.keys(BROWSER_TROUBLES)]) {
    const { title, remedy } = troubleFor(code, "the server's sentence");
    assert.ok(title && remedy && title !== "the server's sentence", code);
  }
});

test("no two troubles are told apart by nothing", () => {
  const told = [...REFUSALS, ...Object.keys(BROWSER_TROUBLES)].map((code) => troubleFor(code)).map(({ title, remedy }) => title + remedy);
  assert.equal(new Set(told).size, told.length);
});

test("what a close code stands for is something the server sends", () => {
  for (const code of Object.values(CLOSE_CODES)) {
    assert.ok(REFUSALS.includes(code), code);
  }
});

test("a code that is not known yet shows the server's sentence", () => {
  assert.equal(troubleFor("brand_new", "Come back on Monday.").title, "Come back on Monday.");
  assert.ok(troubleFor("constructor").title);
});

test("both tasks that an assistant can finish have a title", () => {
  assert.deepEqual(Object.keys(TASKS), ["book_appointment", "request_callback"]);
});

test("a number is said with the word that goes with it", () => {
  assert.equal(strings.count("credits", 1), "1 credit");
  assert.equal(strings.count("credits", 1.5), "1.5 credits");
  assert.equal(strings.count("parsecs", 2), "2 parsecs");
});

test("values are put where their names stand, and nowhere else", () => {
  assert.equal(strings.fill("{a} and {b} and {constructor}", { a: "$&", b: 2 }), "$& and 2 and {constructor}");
});

test("what the server says of a notice is kept where we have no words for it", () => {
  assert.equal(strings.noticeText({ code: "brand_new", message: "Mind the gap." }), "Mind the gap.");
  assert.equal(strings.noticeText({ code: "low_credit", message: "" }), strings.NOTICES.low_credit);
});

test("the server's English reason is not shown to somebody who reads another language", () => {
  assert.equal(strings.modelReplaced("A", "B", "No key."), "No key.");
  strings.use(wordsOf("hi"));
  assert.match(strings.modelReplaced("A", "B", "No key."), /^A .* B /);
  assert.equal(strings.noticeText({ code: "last_minute", message: "This call ends in a minute." }), wordsOf("hi").notices.last_minute);
  strings.use(wordsOf("en"));
});
