import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { CLOSE_CODES } from "../../voice/static/voice/widget/protocol.js";
import { BROWSER_TROUBLES, SERVER_TROUBLES, TASKS, troubleFor } from "../../voice/static/voice/widget/strings.js";

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
