import assert from "node:assert/strict";
import test from "node:test";

import { obeyPage, toldOf } from "../../voice/static/voice/widget/remote.js";

function callIn(phase) {
  const done = [];
  const call = {
    root: new EventTarget(),
    session: { phase, muted: false },
    microphone: {},
    start: (voice) => done.push(["start", voice]),
    hangUp: () => done.push(["hangUp"]),
    primary: () => done.push(["primary"]),
    toggleMute: () => done.push(["toggleMute"]),
    sendText: (text) => done.push(["sendText", text]),
    live: { chooseMode: (voice) => done.push(["chooseMode", voice]) },
  };
  obeyPage(call);
  const ask = (name, detail = {}) => call.root.dispatchEvent(new CustomEvent("parley:command", { detail: { name, ...detail } }));
  return { ask, done, call };
}

test("a page starts a call, spoken or typed", () => {
  const { ask, done } = callIn("idle");
  ask("start");
  ask("start", { voice: false });
  assert.deepEqual(done, [
    ["start", true],
    ["start", false],
  ]);
});

test("ending hangs a live call up, and cancels one that has not begun", () => {
  const live = callIn("live");
  live.ask("end");
  const connecting = callIn("connecting");
  connecting.ask("end");
  const idle = callIn("idle");
  idle.ask("end");
  assert.deepEqual([live.done, connecting.done, idle.done], [[["hangUp"]], [["primary"]], []]);
});

test("muting what is muted already changes nothing", () => {
  const { ask, done, call } = callIn("live");
  ask("mute", { muted: true });
  call.session.muted = true;
  ask("mute", { muted: true });
  assert.deepEqual(done, [["toggleMute"]]);
});

test("a page lets its caller type, and talk again", () => {
  const { ask, done } = callIn("live");
  ask("voice", { isOn: false });
  ask("voice", { isOn: true });
  ask("voice", { isOn: "no" });
  assert.deepEqual(done, [
    ["chooseMode", false],
    ["chooseMode", true],
  ]);
});

test("what is no command is no command, whatever it is called", () => {
  const { ask, done } = callIn("live");
  for (const name of ["constructor", "__proto__", "tearDown", undefined]) {
    ask(name);
  }
  ask("sendText", { text: { toString: () => "hello" } });
  assert.deepEqual(done, []);
});

test("the page hears what is said and done, and nothing of the audio or the money", () => {
  assert.deepEqual(toldOf({ type: "caption.final", speaker: "agent", item_id: "i", text: "Hello.", interrupted: false }), [
    "transcript",
    { speaker: "agent", item_id: "i", text: "Hello.", interrupted: false, final: true },
  ]);
  assert.deepEqual(toldOf({ type: "task.completed", name: "book_appointment", fields: { name: "Ann" } })[0], "task");
  for (const type of ["audio.begin", "meter.changed", "session.started"]) {
    assert.equal(toldOf({ type }), null);
  }
});
