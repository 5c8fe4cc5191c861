import assert from "node:assert/strict";
import test from "node:test";

import { causeOf } from "../../voice/static/voice/widget/permission.js";
import { TROUBLES, troubleFor } from "../../voice/static/voice/widget/strings.js";

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
    assert.ok(TROUBLES[code].remedy);
  });
}

test("an insecure page is named as the cause before anything else", () => {
  assert.equal(causeOf(null, { isSecure: false, isSupported: false }), "microphone_insecure");
});

test("a browser without microphones is named", () => {
  assert.equal(causeOf(null, { isSecure: true, isSupported: false }), "microphone_unsupported");
});

const ADMISSION_CODES = [
  "organisation_suspended",
  "agent_paused",
  "agent_not_found",
  "calls_paused",
  "model_unavailable",
  "origin_not_allowed",
  "captcha_required",
  "captcha_failed",
  "captcha_used",
  "network_blocked",
  "rate_limited",
  "too_many_calls",
  "daily_ceiling_reached",
  "insufficient_credits",
  "invalid_request",
];

test("every refusal has words and a remedy of its own", () => {
  for (const code of ADMISSION_CODES) {
    const { title, remedy } = troubleFor(code, "the server's sentence");
    assert.ok(title && remedy && title !== "the server's sentence", code);
  }
});

test("a code that is not known yet shows the server's sentence", () => {
  assert.equal(troubleFor("brand_new", "Come back on Monday.").title, "Come back on Monday.");
  assert.ok(troubleFor("constructor").title);
});
