import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { isActive, newSession, reduce, SPEAKING_HOLD_MS, stateOf, tickDueAt } from "../../voice/static/voice/widget/session.js";
import "./english.js";
import { STARTED } from "./messages.js";
import { BROWSER_TROUBLES } from "../../voice/static/voice/widget/strings.js";

const REFUSALS = JSON.parse(readFileSync(new URL("../fixtures/refusals.json", import.meta.url)));

const RECEIPT = { lines: [], total_micro: 3_420_000, uncollected_micro: 0 };
const ENDED = { type: "session.ended", reason: "silence", outcome: "cut", duration_ms: 5000, receipt: RECEIPT, rating_token: "rt" };

const said = (message) => ({ type: "message", message });
const assistant = (state) => said({ type: "state.changed", state });
const play = (playing) => ({ type: "playback", playing });
const run = (session, ...events) => events.reduce((current, [event, now_ms = 0]) => reduce(current, event, now_ms), session);

const connecting = () =>
  run(
    newSession(),
    [{ type: "start", voice: true, explained: true }],
    [{ type: "microphone_ready" }],
    [{ type: "captcha_solved" }],
    [{ type: "admitted", session_id: "s-1" }],
  );
const live = () => run(connecting(), [said(STARTED), 1000]);
const listening = () => run(live(), [assistant("listening"), 1000]);
const failedWith = (code, details = {}) => run(connecting(), [{ type: "failed", failure: { code, ...details } }, 500]);

test("a call goes through microphone, captcha and connecting before it is live", () => {
  const steps = [
    [{ type: "start", voice: true, explained: true }, "asking"],
    [{ type: "microphone_ready" }, "solving"],
    [{ type: "captcha_solved" }, "connecting"],
    [{ type: "admitted", session_id: "s-1" }, "connecting"],
    [said(STARTED), "thinking"],
    [assistant("speaking"), "speaking"],
  ];
  let session = newSession();
  assert.equal(stateOf(session), "idle");
  for (const [event, state] of steps) {
    session = reduce(session, event, 0);
    assert.equal(stateOf(session), state);
  }
});

const away = (until_ms = 31_000) => ({ type: "away", until_ms });
const RESUMED = { type: "session.resumed", session_id: "s-1", elapsed_ms: 9000, used_micro: 77, voice: true, model_served: "b", state: "thinking" };
const changed = (voice) => said({ type: "model.changed", model_served: "b", reason: "", voice });

test("a call whose line is lost reconnects, and goes on where it was", () => {
  const lost = run(listening(), [away()]);
  assert.equal(stateOf(lost), "reconnecting");
  assert.ok(isActive(lost));
  assert.equal(stateOf(run(lost, [{ type: "back" }])), "listening");
  assert.equal(stateOf(run(lost, [{ type: "closed", code: "resume_too_late" }])), "failed");
});

test("whoever comes back too late for the call is still told how it ended, and only then", () => {
  const late = run(listening(), [away()], [{ type: "closed", code: "resume_too_late" }]);
  const told = run(late, [said(ENDED)]);
  assert.deepEqual([stateOf(told), told.ended.isWhileAway, told.failure], ["ended", true, null]);
  const broken = run(listening(), [{ type: "closed", code: "internal_error" }]);
  assert.equal(run(broken, [said(ENDED)]), broken);
});

test("a call that is resumed takes over what the server says of it, and keeps what the caller chose", () => {
  const lost = run(listening(), [{ type: "muted", muted: true }], [away()]);
  const back = run(lost, [{ type: "back" }, 10_000], [said(RESUMED), 10_000]);
  assert.deepEqual([stateOf(back), back.used_micro, back.started_at_ms, back.model_served, back.muted], ["thinking", 77, 1000, "b", true]);
});

test("a line that is lost before or after a call changes nothing", () => {
  assert.equal(stateOf(run(newSession(), [away()])), "idle");
  assert.equal(stateOf(run(listening(), [said(ENDED)], [away()])), "ended");
});

test("a call that ended while its caller was away says so", () => {
  assert.equal(run(listening(), [away()], [said(ENDED)]).ended.isWhileAway, true);
  assert.equal(run(listening(), [away()], [{ type: "back" }], [said(ENDED)]).ended.isWhileAway, false);
});

test("a task that is told again after a break is one task", () => {
  const task = said({ type: "task.completed", name: "book_appointment", fields: { time: "Wednesday 10:00" } });
  const other = said({ type: "task.completed", name: "book_appointment", fields: { time: "Thursday 10:00" } });
  assert.equal(run(listening(), [task], [away()], [{ type: "back" }], [task], [other]).tasks.length, 2);
});

test("whoever chooses to type types at once", () => {
  const typing = run(listening(), [{ type: "mode_asked", voice: false }]);
  assert.deepEqual([typing.voice, typing.spoke, typing.choosing], [false, true, false]);
  assert.equal(run(typing, [changed(false)]).choosing, null);
});

test("whoever chooses to talk types on until the server hears", () => {
  const asked = run(listening(), [changed(false)], [{ type: "mode_asked", voice: true }]);
  assert.deepEqual([asked.voice, asked.choosing], [false, true]);
  assert.deepEqual([run(asked, [changed(true)]).voice, run(asked, [changed(true)]).choosing], [true, null]);
  assert.deepEqual([run(asked, [{ type: "mode_refused" }]).voice, run(asked, [{ type: "mode_refused" }]).choosing], [false, null]);
});

test("a change that was on its way when the caller chose otherwise does not undo the choice", () => {
  const typing = run(listening(), [{ type: "mode_asked", voice: false }], [changed(true)]);
  assert.deepEqual([typing.voice, typing.choosing, typing.model_served], [false, false, "b"]);
});

test("the server may move a call into writing", () => {
  const moved = run(listening(), [changed(false)]);
  assert.deepEqual([moved.voice, moved.spoke, moved.model_served], [false, true, "b"]);
});

test("an answer that was kept from an earlier try is not asked for again", () => {
  const again = reduce(newSession(), { type: "start", voice: false, explained: true, asks_consent: false, consent: true }, 0);
  assert.deepEqual([stateOf(again), again.consent], ["solving", true]);
});

test("a typed conversation asks for no microphone", () => {
  const session = reduce(newSession(), { type: "start", voice: false, explained: false }, 0);
  assert.equal(stateOf(session), "solving");
  assert.equal(session.explaining, false);
});

test("the microphone prompt is explained until it has been once", () => {
  const first = reduce(newSession(), { type: "start", voice: true, explained: false }, 0);
  assert.equal(first.explaining, true);
  assert.equal(reduce(first, { type: "explained" }, 0).explaining, false);
  assert.equal(reduce(newSession(), { type: "start", voice: true, explained: true }, 0).explaining, false);
});

test("a second press of Talk during a call starts nothing", () => {
  const session = listening();
  assert.equal(reduce(session, { type: "start", voice: true, explained: true }, 0), session);
});

for (const state of ["listening", "thinking", "working", "speaking"]) {
  test(`the label says ${state} when the server does`, () => {
    assert.equal(stateOf(run(live(), [assistant(state), 1000])), state);
  });
}

test("the label stays on speaking while sound is still heard", () => {
  const session = run(live(), [assistant("speaking"), 1000], [play(true), 1000], [assistant("listening"), 2000], [{ type: "tick" }, 9000]);
  assert.equal(stateOf(session), "speaking");
  assert.equal(tickDueAt(session), null);
});

test("listening is shown only after half a second of quiet", () => {
  const quiet = run(live(), [play(true), 1000], [assistant("listening"), 1500], [play(false), 2000]);
  assert.equal(stateOf(quiet), "speaking");
  assert.equal(tickDueAt(quiet), 2000 + SPEAKING_HOLD_MS);
  assert.equal(stateOf(run(quiet, [{ type: "tick" }, 2000 + SPEAKING_HOLD_MS - 1])), "speaking");
  assert.equal(stateOf(run(quiet, [{ type: "tick" }, 2000 + SPEAKING_HOLD_MS])), "listening");
});

test("a pause inside an answer does not flicker", () => {
  const session = run(live(), [assistant("listening"), 1000], [play(true), 1100], [play(false), 2000], [play(true), 2300], [{ type: "tick" }, 2600]);
  assert.equal(stateOf(session), "speaking");
});

test("thinking replaces speaking at once", () => {
  assert.equal(stateOf(run(live(), [assistant("speaking"), 1000], [assistant("thinking"), 1010])), "thinking");
});

test("an interruption ends what was playing", () => {
  const session = run(live(), [play(true), 1000], [assistant("listening"), 1000], [said({ type: "audio.clear", item_id: "i" }), 1100], [{ type: "tick" }, 1700]);
  assert.equal(stateOf(session), "listening");
});

test("muted shows while the assistant listens and not while it speaks", () => {
  const muted = run(listening(), [{ type: "muted", muted: true }]);
  assert.equal(stateOf(muted), "muted");
  assert.equal(stateOf(run(muted, [assistant("speaking")])), "speaking");
  assert.equal(stateOf(run(muted, [{ type: "muted", muted: false }])), "listening");
});

test("a new call is not muted", () => {
  const again = run(listening(), [{ type: "muted", muted: true }], [said(ENDED)], [{ type: "start", voice: true, explained: true }]);
  assert.equal(again.muted, false);
  assert.equal(again.ended, null);
});

test("the end carries receipt, reason and rating token", () => {
  const session = run(listening(), [said(ENDED)]);
  assert.equal(stateOf(session), "ended");
  assert.deepEqual(session.ended.receipt, RECEIPT);
  assert.equal(session.ended.rating_token, "rt");
  assert.equal(session.used_micro, 3_420_000);
});

test("a close after the end changes nothing", () => {
  const session = run(listening(), [said(ENDED)]);
  assert.equal(reduce(session, { type: "closed", code: "network_lost" }, 0), session);
});

test("a close in mid-call is a failure with its cause", () => {
  const session = run(listening(), [{ type: "closed", code: "network_lost" }]);
  assert.equal(stateOf(session), "failed");
  assert.equal(session.failure.code, "network_lost");
  assert.equal(session.session_id, "s-1");
});

test("a fatal error keeps its own cause when the close follows", () => {
  const session = run(listening(), [said({ type: "error", code: "internal_error", message: "x", fatal: true })], [{ type: "closed", code: "network_lost" }]);
  assert.equal(session.failure.code, "internal_error");
});

test("an error that is not fatal is a notice", () => {
  const session = run(listening(), [said({ type: "error", code: "too_many_messages", message: "Slow down.", fatal: false })]);
  assert.equal(stateOf(session), "listening");
  assert.deepEqual(session.notices, [{ code: "too_many_messages", message: "Slow down." }]);
});

test("a call that was hung up ends even if the receipt never comes", () => {
  const session = run(listening(), [{ type: "hanging_up" }, 1000], [{ type: "closed", code: "network_lost" }, 4000]);
  assert.equal(stateOf(session), "ended");
  assert.equal(session.ended.receipt, null);
  assert.equal(session.ended.duration_ms, 3000);
});

const SEVERITIES = {
  busy: [
    "agent_busy",
    "agent_too_many_calls",
    "daily_ceiling_reached",
    "network_busy",
    "organisation_busy",
    "too_many_attempts",
    "too_many_calls",
  ],
  maintenance: [
    "agent_paused",
    "calls_paused",
    "captcha_unavailable",
    "model_not_priced",
    "model_unavailable",
    "model_unknown",
    "organisation_suspended",
    "restarting",
    "unavailable",
    "upstream_unavailable",
  ],
};

for (const [severity, codes] of Object.entries(SEVERITIES)) {
  test(`these refusals of the server, and no others, show as ${severity}`, () => {
    assert.deepEqual(
      REFUSALS.filter((code) => stateOf(failedWith(code)) === severity),
      codes,
    );
  });
}

test("what goes wrong in the browser shows as failed", () => {
  for (const code of Object.keys(BROWSER_TROUBLES)) {
    assert.equal(stateOf(failedWith(code)), "failed", code);
  }
});

test("a refusal that says when to come back is counted from now", () => {
  assert.equal(failedWith("too_many_calls", { retry_after_s: 20 }).failure.retry_at_ms, 20_500);
  assert.equal(failedWith("too_many_calls").failure.retry_at_ms, null);
});

test("cancelling before the call is live goes back to the start", () => {
  assert.equal(stateOf(run(connecting(), [{ type: "cancelled" }])), "idle");
  assert.equal(stateOf(run(listening(), [{ type: "cancelled" }])), "listening");
});

test("the same notice is shown once, and can be dismissed", () => {
  const notice = said({ type: "notice", code: "low_credit", message: "Little is left." });
  const session = run(listening(), [notice], [notice]);
  assert.equal(session.notices.length, 1);
  assert.deepEqual(run(session, [{ type: "notice_dismissed", code: "low_credit" }]).notices, []);
});

test("what is told again for another cause stands there once", () => {
  const why = "Parley's own model answers instead.";
  const told = (code) => [said({ type: "notice", code, message: why })];
  const session = run(listening(), told("model_replaced"), told("model_changed"));
  assert.deepEqual(session.notices, [{ code: "model_changed", message: why }]);
});

test("notices do not pile up without end", () => {
  const notices = [..."abcdefgh"].map((code) => [said({ type: "notice", code, message: code })]);
  assert.deepEqual(run(listening(), ...notices).notices.map(({ code }) => code), ["e", "f", "g", "h"]);
});

test("completed tasks and the meter are kept", () => {
  const session = run(
    listening(),
    [said({ type: "task.completed", name: "book_appointment", fields: { time: "Wednesday 10:00" } })],
    [said({ type: "meter.changed", used_micro: 42 })],
  );
  assert.deepEqual(session.tasks, [{ name: "book_appointment", fields: { time: "Wednesday 10:00" } }]);
  assert.equal(session.used_micro, 42);
});

test("messages that come when no call is on change nothing", () => {
  const session = newSession();
  assert.equal(reduce(session, assistant("speaking"), 0), session);
  assert.equal(reduce(session, said(STARTED), 0), session);
});

test("push to talk is remembered from one call to the next", () => {
  const session = run(newSession({ holdToTalk: true }), [{ type: "start", voice: true, explained: true }]);
  assert.equal(session.holdToTalk, true);
});

test("only a call under way is active", () => {
  assert.equal(isActive(newSession()), false);
  assert.equal(isActive(connecting()), true);
  assert.equal(isActive(listening()), true);
  assert.equal(isActive(failedWith("network_lost")), false);
});

test("a caller is asked about their words before the microphone is", () => {
  const asked = reduce(newSession(), { type: "start", voice: true, explained: false, asks_consent: true }, 0);
  assert.deepEqual([stateOf(asked), asked.consenting, asked.explaining], ["asking", true, false]);
  const answered = reduce(asked, { type: "consented", agrees: true }, 0);
  assert.deepEqual([stateOf(answered), answered.consenting, answered.explaining, answered.consent], ["asking", false, true, true]);
});

test("a typed conversation is asked about too, and goes on without a microphone", () => {
  const asked = reduce(newSession(), { type: "start", voice: false, explained: false, asks_consent: true }, 0);
  assert.equal(asked.consenting, true);
  const answered = reduce(asked, { type: "consented", agrees: false }, 0);
  assert.deepEqual([stateOf(answered), answered.consent, answered.explaining], ["solving", false, false]);
});

test("nobody who was not asked has answered", () => {
  const begun = reduce(newSession(), { type: "start", voice: true, explained: true }, 0);
  assert.equal(reduce(begun, { type: "consented", agrees: true }, 0).consent, null);
});

test("every call asks anew", () => {
  const start = { type: "start", voice: false, explained: true, asks_consent: true };
  const declined = run(newSession(), [start], [{ type: "consented", agrees: true }], [{ type: "cancelled" }], [start]);
  assert.deepEqual([declined.consenting, declined.consent], [true, null]);
});

test("a call that fails while its question is open asks nothing any more", () => {
  const start = { type: "start", voice: true, explained: true, asks_consent: true };
  const failed = run(newSession(), [start], [{ type: "failed", failure: { code: "audio_unavailable" } }]);
  assert.equal(failed.consenting, false);
});
