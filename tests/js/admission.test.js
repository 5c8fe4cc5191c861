import assert from "node:assert/strict";
import test from "node:test";

import { AdmissionRefused, requestSession, sendRating } from "../../voice/static/voice/widget/admission.js";
import { socketUrl } from "../../voice/static/voice/widget/connection.js";
import { CLOSE_CODES } from "../../voice/static/voice/widget/protocol.js";
import "./english.js";
import { TROUBLES } from "../../voice/static/voice/widget/strings.js";

const REQUEST = { agent: "pk_1", captcha: "solved", voice: true, language: "en" };
const ADMITTED = { id: "s-1", ticket: "tk", websocket_url: "/v1/voice/widget", model_asked: "a", model_served: "a" };

function server(body, { status = 201, headers = {} } = {}) {
  const calls = [];
  const fetch = async (url, options) => {
    calls.push({ url, options });
    return new Response(typeof body === "string" ? body : JSON.stringify(body), { status, headers });
  };
  return { fetch, calls };
}

const refusalBy = async (fetch) => {
  try {
    await requestSession("/s", REQUEST, { fetch });
  } catch (error) {
    assert.ok(error instanceof AdmissionRefused);
    return error;
  }
  return assert.fail("it was not refused");
};

test("a call is asked for as JSON, with the CSRF token where there is one", async () => {
  const { fetch, calls } = server(ADMITTED);
  assert.deepEqual(await requestSession("/v1/voice/sessions", REQUEST, { fetch, csrfToken: "c" }), ADMITTED);
  assert.equal(calls[0].url, "/v1/voice/sessions");
  assert.deepEqual(JSON.parse(calls[0].options.body), REQUEST);
  assert.equal(calls[0].options.headers["X-CSRFToken"], "c");
});

test("a refusal carries the code, the sentence and when to come back", async () => {
  const { fetch } = server({ error: { code: "too_many_attempts", message: "Wait." } }, { status: 429, headers: { "Retry-After": "20" } });
  const { code, sentence, retry_after_s, status } = await refusalBy(fetch);
  assert.deepEqual({ code, sentence, retry_after_s, status }, { code: "too_many_attempts", sentence: "Wait.", retry_after_s: 20, status: 429 });
});

test("a refusal that is not ours is told apart by its status", async () => {
  assert.equal((await refusalBy(server("<html>", { status: 502 }).fetch)).code, "internal_error");
  assert.equal((await refusalBy(server("<html>", { status: 429 }).fetch)).code, "too_many_attempts");
  assert.equal((await refusalBy(server("<html>", { status: 404 }).fetch)).code, "invalid_request");
});

test("an answer without a ticket starts no call", async () => {
  assert.equal((await refusalBy(server({ id: "s-1" }).fetch)).code, "internal_error");
});

test("a server that cannot be reached is named", async () => {
  const fetch = async () => {
    throw new TypeError("Failed to fetch");
  };
  assert.equal((await refusalBy(fetch)).code, "server_unreachable");
});

test("leaving while the answer is awaited is not a refusal", async () => {
  const leaving = new AbortController();
  leaving.abort();
  const fetch = async (_url, { signal }) => signal.throwIfAborted();
  await assert.rejects(requestSession("/s", REQUEST, { fetch, signal: leaving.signal }), { name: "AbortError" });
});

test("a rating goes to its session with the token", async () => {
  const { fetch, calls } = server({}, { status: 200 });
  await sendRating("/v1/voice/sessions/", "s-1", { token: "rt", stars: 5, comment: "Kind." }, { fetch });
  assert.equal(calls[0].url, "/v1/voice/sessions/s-1/rating");
  assert.deepEqual(JSON.parse(calls[0].options.body), { token: "rt", stars: 5, comment: "Kind." });
});

test("the socket follows the page's own scheme and host, or goes where it is told", () => {
  assert.equal(socketUrl("/v1/voice/widget", "https://parley.example/talk"), "wss://parley.example/v1/voice/widget");
  assert.equal(socketUrl("/v1/voice/widget", "http://localhost:8000/"), "ws://localhost:8000/v1/voice/widget");
  assert.equal(socketUrl("wss://voice.example/w", "https://parley.example/"), "wss://voice.example/w");
});

test("every close code has words", () => {
  for (const code of Object.values(CLOSE_CODES)) {
    assert.ok(TROUBLES[code], code);
  }
});

test("a server that is being restarted is asked again, a few times", async () => {
  const pauses = [];
  const pause = async (ms) => pauses.push(ms);
  const restarting = { error: { code: "restarting", message: "Again." } };
  const answers = [server(restarting, { status: 503 }), server(restarting, { status: 503 }), server(ADMITTED)];
  const fetch = (...asked) => answers.shift().fetch(...asked);
  assert.deepEqual(await requestSession("/s", REQUEST, { fetch, pause }), ADMITTED);
  assert.equal(pauses.length, 2);

  const stuck = server(restarting, { status: 503 });
  await assert.rejects(requestSession("/s", REQUEST, { fetch: stuck.fetch, pause }), { code: "restarting" });
  assert.equal(stuck.calls.length, 6);
});
