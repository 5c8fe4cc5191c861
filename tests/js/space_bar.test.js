import assert from "node:assert/strict";
import test from "node:test";

import { keepsSpace, SpaceBar } from "../../voice/static/voice/widget/space_bar.js";

const BUTTON = { tagName: "BUTTON", type: "button" };
const TEXT = { tagName: "INPUT", type: "text" };

function keyboard({ isWanted = true } = {}) {
  const page = { isWanted, holds: [] };
  const bar = new SpaceBar({ isWanted: () => page.isWanted, onHold: (isPressed) => page.holds.push(isPressed) });
  const key = (method) => (target, details = {}) => {
    let isPrevented = false;
    bar[method]({ code: "Space", repeat: false, target, preventDefault: () => (isPrevented = true), ...details });
    return isPrevented;
  };
  return Object.assign(page, { down: key("down"), up: key("up") });
}

for (const element of [
  TEXT,
  { tagName: "INPUT", type: "email" },
  { tagName: "TEXTAREA" },
  { tagName: "SELECT" },
  { tagName: "A" },
  { tagName: "DIV", isContentEditable: true },
]) {
  test(`${element.tagName} ${element.type ?? ""} keeps the space bar`, () => {
    const page = keyboard();
    assert.equal(keepsSpace(element), true);
    assert.deepEqual([page.down(element), page.up(element)], [false, false]);
    assert.ok(!page.holds.includes(true));
  });
}

for (const element of [BUTTON, { tagName: "INPUT", type: "checkbox" }, { tagName: "SUMMARY" }, { tagName: "BODY" }, {}]) {
  test(`on ${element.tagName ?? "the document"} ${element.type ?? ""} the space bar is speech, and nothing else`, () => {
    const page = keyboard();
    assert.deepEqual([page.down(element), page.up(element)], [true, true]);
    assert.deepEqual(page.holds, [true, false]);
  });
}

test("without push to talk the space bar presses what has the focus", () => {
  const page = keyboard({ isWanted: false });
  assert.deepEqual([page.down(BUTTON), page.up(BUTTON)], [false, false]);
  assert.ok(!page.holds.includes(true));
});

test("a press that outlives the call presses nothing when it is let go", () => {
  const page = keyboard();
  page.down(BUTTON);
  page.isWanted = false;
  assert.equal(page.down(BUTTON, { repeat: true }), true);
  assert.equal(page.up(BUTTON), true);
});

test("a press that began before push to talk does not hang up when it is let go", () => {
  const page = keyboard({ isWanted: false });
  page.down(BUTTON);
  page.isWanted = true;
  assert.equal(page.up(BUTTON), true);
});

test("the next press after an outlived one is an ordinary one again", () => {
  const page = keyboard();
  page.down(BUTTON);
  page.isWanted = false;
  page.up(BUTTON);
  assert.deepEqual([page.down(BUTTON), page.up(BUTTON)], [false, false]);
});

test("other keys, and shortcuts with the space bar, are left alone", () => {
  const page = keyboard();
  assert.equal(page.down(BUTTON, { code: "Enter" }), false);
  assert.equal(page.up(BUTTON, { code: "Enter" }), false);
  assert.equal(page.down(BUTTON, { ctrlKey: true }), false);
  assert.deepEqual(page.holds, []);
});
