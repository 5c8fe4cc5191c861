import assert from "node:assert/strict";
import test from "node:test";

import { Line } from "../../voice/static/voice/widget/line.js";
import * as messages from "./messages.js";

const STARTED = { ...messages.STARTED, resume_token: "secret", resume_within_ms: 30_000 };
const RESUMED = { type: "session.resumed", session_id: "s-1", elapsed_ms: 1, used_micro: 0, voice: true, model_served: "a", state: "listening" };
const ENDED = {
  type: "session.ended",
  reason: "silence",
  outcome: "cut",
  duration_ms: 1,
  receipt: { lines: [], total_micro: 0, uncollected_micro: 0 },
  rating_token: "",
};

class FakeSocket {
  static OPEN = 1;
  static CONNECTING = 0;
  static all = [];

  constructor(url) {
    Object.assign(this, { url, readyState: 0, sent: [], bufferedAmount: 0 });
    FakeSocket.all.push(this);
  }

  send(data) {
    this.sent.push(typeof data === "string" ? JSON.parse(data) : data);
  }

  close(...code) {
    this.closedWith = code;
    this.readyState = 3;
  }

  // The network's side.
  opens() {
    this.readyState = 1;
    this.onopen?.();
  }

  says(message) {
    this.onmessage?.({ data: typeof message === "string" || message instanceof ArrayBuffer ? message : JSON.stringify(message) });
  }

  breaks(code = 1006) {
    this.readyState = 3;
    this.onclose?.({ code });
  }
}

// A line in a call, its clock in the test's hands.
function lineIn(t, { isStarted = true } = {}) {
  FakeSocket.all = [];
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  globalThis.WebSocket = FakeSocket;
  const told = [];
  const line = new Line(
    {
      onMessage: ({ type }) => told.push(type),
      onAudio: () => told.push("audio"),
      onAway: (until_ms) => told.push(`away until ${until_ms}`),
      onBack: () => told.push("back"),
      onClose: (code) => told.push(`closed: ${code}`),
    },
    { now: () => Date.now(), random: () => 0.5 },
  );
  line.open("wss://desk/", "tk", true);
  socket().opens();
  if (isStarted) {
    socket().says(STARTED);
    told.length = 0;
  }
  return { line, told, passes: (duration_ms) => t.mock.timers.tick(duration_ms) };
}

const socket = () => FakeSocket.all.at(-1);

function resume() {
  socket().opens();
  socket().says(RESUMED);
}

test("a lost line is taken up again where the caller's ear is", (t) => {
  const { line, told, passes } = lineIn(t);
  socket().says({ type: "audio.begin", item_id: "i" });
  socket().says(new ArrayBuffer(480));
  socket().says("from a newer server");
  line.reportPlayed("i", 5);
  told.length = 0;
  socket().breaks();
  passes(300);
  resume();
  assert.deepEqual(socket().sent[0], {
    type: "session.resume",
    version: 1,
    resume_token: "secret",
    item_id: "i",
    played_ms: 5,
    received_bytes: 480,
    received_messages: 2,
  });
  assert.deepEqual(told, ["away until 30000", "back", "session.resumed"]);
});

test("it is tried for as long as the call is kept, and once at the very end", (t) => {
  const { told, passes } = lineIn(t);
  const before = FakeSocket.all.length;
  const triedAt_ms = [];
  socket().breaks();
  for (let now_ms = 1; now_ms <= 40_000; now_ms += 1) {
    const count = FakeSocket.all.length;
    passes(1);
    if (FakeSocket.all.length > count) {
      triedAt_ms.push(now_ms);
      socket().breaks();
    }
  }
  assert.deepEqual(triedAt_ms, [300, 1000, 2000, ...Array.from({ length: 14 }, (_, number) => 4000 + 2000 * number)]);
  assert.equal(FakeSocket.all.length - before, triedAt_ms.length);
  assert.deepEqual(told, ["away until 30000", "closed: resume_too_late"]);
});

test("a network that comes back after the call is over wakes nothing", (t) => {
  const { line, told, passes } = lineIn(t);
  socket().breaks(1006);
  passes(300);
  socket().breaks(4410);
  const before = FakeSocket.all.length;
  line.tryNow();
  line.slept();
  assert.deepEqual([FakeSocket.all.length, told.at(-1), line.isAway], [before, "closed: resume_too_late", false]);
});

for (const [code, said] of [
  [4410, "resume_too_late"],
  [4411, "resumed_elsewhere"],
  [4409, "connection_too_slow"],
  [1000, "network_lost"],
]) {
  test(`a close with ${code} is final`, (t) => {
    const { told, passes } = lineIn(t);
    socket().breaks(code);
    passes(60_000);
    assert.deepEqual(told, [`closed: ${said}`]);
  });
}

for (const code of [1001, 1005, 1006, 1012, 1013]) {
  test(`a close with ${code} is a loss`, (t) => {
    const { told, passes } = lineIn(t);
    socket().breaks(code);
    passes(300);
    resume();
    assert.deepEqual(told, ["away until 30000", "back", "session.resumed"]);
  });
}

test("a call that never began cannot be resumed", (t) => {
  const { told, passes } = lineIn(t, { isStarted: false });
  socket().breaks();
  passes(60_000);
  assert.deepEqual(told, ["closed: network_lost"]);
});

test("a call that a stopping server does not begin is begun at the next one", (t) => {
  const { told, passes } = lineIn(t, { isStarted: false });
  const [{ sent }] = FakeSocket.all;
  socket().breaks(1012);
  passes(700);
  socket().opens();
  assert.deepEqual([FakeSocket.all.length, socket().sent], [2, sent]);
  socket().says(STARTED);
  assert.deepEqual(told, ["session.started"]);
  socket().breaks(1012);
  passes(300);
  resume();
  assert.equal(socket().sent[0].type, "session.resume");
  assert.deepEqual(told.slice(-2), ["back", "session.resumed"]);
});

test("a server that only ever stops is given up", (t) => {
  const { told, passes } = lineIn(t, { isStarted: false });
  for (let tries = 1; tries <= 6; tries += 1) {
    assert.equal(FakeSocket.all.length, tries);
    socket().breaks(1012);
    passes(700);
  }
  assert.deepEqual([FakeSocket.all.length, told], [6, ["closed: restarting"]]);
});

test("who hangs up while a server restarts calls nobody", (t) => {
  const { line, told, passes } = lineIn(t, { isStarted: false });
  socket().breaks(1012);
  line.close();
  passes(60_000);
  assert.deepEqual([FakeSocket.all.length, told], [1, ["closed: closed"]]);
});

test("a call that ended meanwhile is told as ended, and nothing is tried again", (t) => {
  const { told, passes } = lineIn(t);
  socket().breaks();
  passes(300);
  socket().opens();
  socket().says(ENDED);
  socket().breaks(1000);
  passes(60_000);
  assert.deepEqual(told, ["away until 30000", "session.ended", "closed: network_lost"]);
});

test("a try that nobody answers gives way to the next", (t) => {
  const { told, passes } = lineIn(t);
  socket().breaks();
  passes(300);
  const silent = socket();
  silent.opens();
  passes(5000);
  assert.deepEqual(silent.closedWith, []);
  passes(700);
  assert.notEqual(socket(), silent);
  resume();
  assert.deepEqual(told.slice(1), ["back", "session.resumed"]);
});

test("a network that is back is tried at once, and once for all who say so", (t) => {
  const { line, passes } = lineIn(t);
  socket().breaks();
  passes(100);
  const count = FakeSocket.all.length;
  line.tryNow();
  line.tryNow();
  passes(100);
  line.tryNow();
  assert.equal(FakeSocket.all.length, count + 1);
});

test("a page that is seen again in the middle of a call tries nothing", (t) => {
  const { line } = lineIn(t);
  line.tryNow();
  assert.equal(FakeSocket.all.length, 1);
});

test("a socket that outlives the break goes on", (t) => {
  const { line, told, passes } = lineIn(t);
  line.wentOffline();
  passes(2000);
  socket().says({ type: "meter.changed", used_micro: 1 });
  passes(60_000);
  assert.equal(FakeSocket.all.length, 1);
  assert.deepEqual(told, ["away until 30000", "back", "meter.changed"]);
});

test("a socket that lets nothing through for long is replaced, without a goodbye", (t) => {
  const { line, told, passes } = lineIn(t);
  const jammed = socket();
  jammed.bufferedAmount = 48_000;
  line.sendAudio(new ArrayBuffer(1920));
  passes(4999);
  assert.equal(socket(), jammed);
  passes(1);
  resume();
  jammed.says({ type: "meter.changed", used_micro: 1 });
  jammed.breaks(4411);
  assert.deepEqual(told, ["away until 30000", "back", "session.resumed"]);
  assert.deepEqual(jammed.closedWith, []);
});

test("a jam that clears up goes on as if nothing had been", (t) => {
  const { line, told } = lineIn(t);
  socket().bufferedAmount = 48_000;
  line.sendAudio(new ArrayBuffer(1920));
  socket().bufferedAmount = 0;
  line.sendAudio(new ArrayBuffer(1920));
  line.sendAudio(new ArrayBuffer(1920));
  assert.deepEqual(told, ["away until 30000", "back"]);
  assert.equal(socket().sent.filter((data) => data instanceof ArrayBuffer).length, 1);
});

test("nothing that the microphone hears while the line is lost is sent later", (t) => {
  const { line, passes } = lineIn(t);
  socket().breaks();
  line.sendAudio(new ArrayBuffer(1920));
  passes(300);
  socket().opens();
  line.sendAudio(new ArrayBuffer(1920));
  socket().says(RESUMED);
  assert.deepEqual(socket().sent.map(({ type }) => type), ["session.resume"]);
  line.sendAudio(new ArrayBuffer(1920));
  assert.equal(socket().sent.length, 2);
});

test("what was heard to its end meanwhile is reported after it", (t) => {
  const { line, passes } = lineIn(t);
  socket().breaks();
  line.reportPlayed("i", 400);
  line.reportPlayed("i", 700);
  line.reportPlayed("k", 100);
  passes(300);
  resume();
  assert.deepEqual(
    socket().sent.slice(1).map(({ item_id, played_ms }) => [item_id, played_ms]),
    [
      ["i", 700],
      ["k", 100],
    ],
  );
});

test("a device that slept takes the line up anew, whatever the socket says", (t) => {
  const { line, told } = lineIn(t);
  line.slept();
  resume();
  assert.deepEqual(told, ["away until 30000", "back", "session.resumed"]);
  assert.equal(FakeSocket.all.length, 2);
});

test("a try that is overtaken does not come through later", (t) => {
  const { line, passes } = lineIn(t);
  socket().breaks();
  passes(300);
  const overtaken = socket();
  passes(2000);
  line.tryNow();
  overtaken.opens();
  assert.deepEqual(overtaken.sent, []);
});

test("hanging up is a goodbye", (t) => {
  const { line, told } = lineIn(t);
  line.close();
  assert.deepEqual(socket().closedWith, [1000]);
  assert.deepEqual(told, ["closed: closed"]);
});
