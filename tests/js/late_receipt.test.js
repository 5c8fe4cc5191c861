import assert from "node:assert/strict";
import test from "node:test";

import { LateReceipt } from "../../voice/static/voice/widget/late_receipt.js";

const RESUME = { type: "session.resume", version: 1, resume_token: "secret", item_id: null, played_ms: 0, received_bytes: 0, received_messages: 0 };
const ENDED = {
  type: "session.ended",
  reason: "caller_disconnected",
  outcome: "given_up",
  duration_ms: 1,
  receipt: { lines: [], total_micro: 0, uncollected_micro: 0 },
  rating_token: "",
};

class FakeSocket {
  static OPEN = 1;
  static all = [];

  constructor() {
    Object.assign(this, { readyState: 0, sent: [], bufferedAmount: 0 });
    FakeSocket.all.push(this);
  }

  send(data) {
    this.sent.push(JSON.parse(data));
  }

  close() {
    this.isClosed = true;
  }

  opens() {
    this.readyState = 1;
    this.onopen?.();
  }

  says(message) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  breaks(code = 1006) {
    this.onclose?.({ code });
  }
}

function begin(context) {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  globalThis.WebSocket = FakeSocket;
  FakeSocket.all = [];
  const told = [];
  const clock = { now_ms: 0 };
  const late = new LateReceipt("ws://desk.test/", RESUME, (message) => told.push(message.reason), { now: () => clock.now_ms });
  return { late, told, clock };
}

test("it asks when the network is back, and tells how the call ended once", (context) => {
  const { late, told } = begin(context);
  late.tryNow();
  FakeSocket.all[0].opens();
  assert.deepEqual(FakeSocket.all[0].sent, [RESUME]);
  FakeSocket.all[0].says(ENDED);
  late.tryNow();
  context.mock.timers.tick(1_000_000);
  assert.deepEqual([told, FakeSocket.all.length], [["caller_disconnected"], 1]);
});

test("what wakes the page several times at once makes it ask once", (context) => {
  const { late, clock } = begin(context);
  late.tryNow();
  late.tryNow();
  assert.equal(FakeSocket.all.length, 1);
  clock.now_ms = 2_000;
  late.tryNow();
  assert.equal(FakeSocket.all.length, 2);
});

test("it asks again by itself, ever more rarely, and gives up in the end", (context) => {
  const { told } = begin(context);
  for (let round = 0; round < 50; round += 1) {
    context.mock.timers.tick(120_000);
    FakeSocket.all.at(-1).breaks();
  }
  assert.deepEqual([FakeSocket.all.length, told], [8, []]);
});

test("a call that is begun meanwhile makes it stop", (context) => {
  const { late, told } = begin(context);
  late.tryNow();
  const [socket] = FakeSocket.all;
  late.stop();
  socket.says(ENDED);
  context.mock.timers.tick(1_000_000);
  assert.deepEqual([told, FakeSocket.all.length, socket.isClosed], [[], 1, true]);
});
