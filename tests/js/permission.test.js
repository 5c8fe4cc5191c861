import assert from "node:assert/strict";
import test from "node:test";

import { causeOf } from "../../voice/static/voice/widget/permission.js";
import "./english.js";
import { troubleFor } from "../../voice/static/voice/widget/strings.js";

const thrown = (name, message = "") => Object.assign(new Error(message), { name });

for (const [error, code] of [
  [thrown("NotAllowedError", "Permission denied"), "microphone_blocked"],
  [thrown("NotAllowedError", "Permission dismissed"), "microphone_dismissed"],
  [thrown("NotAllowedError", "Permission denied by system"), "microphone_blocked_by_system"],
  [thrown("SecurityError"), "microphone_blocked"],
  [thrown("NotFoundError"), "microphone_missing"],
  [thrown("OverconstrainedError"), "microphone_missing"],
  [thrown("NotReadableError"), "microphone_busy"],
  [thrown("AbortError"), "microphone_busy"],
  [thrown("TypeError"), "microphone_failed"],
]) {
  test(`${error.name} "${error.message}" is ${code}, and has a remedy`, () => {
    assert.equal(causeOf(error), code);
    assert.ok(troubleFor(code).remedy);
  });
}

test("an insecure page is named as the cause before anything else", () => {
  assert.equal(causeOf(null, { isSecure: false, isSupported: false }), "microphone_insecure");
});

test("a browser without microphones is named", () => {
  assert.equal(causeOf(null, { isSecure: true, isSupported: false }), "microphone_unsupported");
});

test("what the operator wrote about a pause is what callers read", () => {
  const { title, remedy } = troubleFor("calls_paused", "Back at nine tomorrow.");
  assert.equal(title, "Calls are paused");
  assert.equal(remedy, "Back at nine tomorrow.");
});

test("in a frame that was not handed the microphone, the page around is to blame and not the person", () => {
  assert.equal(causeOf({ name: "NotAllowedError", message: "Permission denied" }, { isDelegated: false }), "microphone_not_delegated");
});
