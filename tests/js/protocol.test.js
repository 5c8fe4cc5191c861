import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import test from "node:test";

import * as protocol from "../../voice/static/voice/widget/protocol.js";

const folder = new URL("../fixtures/widget_messages/", import.meta.url);
const fixtures = (side) =>
  readdirSync(new URL(`${side}/`, folder))
    .filter((name) => name.endsWith(".json"))
    .map((name) => JSON.parse(readFileSync(new URL(`${side}/${name}`, folder), "utf8")));

const frameOf = (fixture) => (fixture.raw ? fixture.message : JSON.stringify(fixture.message));

for (const fixture of fixtures("server")) {
  test(`the browser ${fixture.valid ? "accepts" : "refuses"} ${fixture.name}`, () => {
    if (fixture.valid) {
      assert.deepEqual(protocol.parse(frameOf(fixture)), fixture.message);
    } else {
      assert.throws(() => protocol.parse(frameOf(fixture)), protocol.InvalidMessage);
    }
  });
}

for (const fixture of fixtures("client").filter(({ raw }) => !raw)) {
  test(`the browser ${fixture.valid ? "can send" : "never sends"} ${fixture.name}`, () => {
    if (fixture.valid) {
      assert.deepEqual(JSON.parse(protocol.serialise(fixture.message)), fixture.message);
    } else {
      assert.throws(() => protocol.serialise(fixture.message), protocol.InvalidMessage);
    }
  });
}

test("the builders make messages that may be sent", () => {
  const messages = [
    protocol.sessionStart("tk", true),
    protocol.textSend("hello"),
    protocol.playbackReport(null, 0, 0),
    protocol.microphoneState(true),
    protocol.sessionEnd(),
  ];
  for (const message of messages) {
    assert.deepEqual(JSON.parse(protocol.serialise(message)), message);
  }
});

test("a message beyond 16 KiB is not sent", () => {
  assert.throws(() => protocol.serialise(protocol.sessionStart("t".repeat(protocol.MESSAGE_BYTES_MAX), true)), protocol.InvalidMessage);
});

test("both sides have fixtures of both kinds", () => {
  for (const side of ["client", "server"]) {
    assert.ok(fixtures(side).some(({ valid }) => valid));
    assert.ok(fixtures(side).some(({ valid }) => !valid));
  }
});
