// Asks whether a call may start, and sends the rating when it is over: the HTTP around a call.

const TIMEOUT_MS = 20_000;
const RETRY_AFTER_MAX_S = 24 * 3600;
// A process that is being restarted sends callers to the next one, which may be itself, a moment later.
const RESTARTS_MAX = 5;
const RESTART_PAUSE_MS = 700;

const pauseFor = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class AdmissionRefused extends Error {
  constructor(code, { message = "", status = 0, retry_after_s = null } = {}) {
    super(message || code);
    this.name = "AdmissionRefused";
    this.code = code;
    this.sentence = message;
    this.status = status;
    this.retry_after_s = retry_after_s;
  }
}

async function post(url, body, { csrfToken, signal, fetch }) {
  const headers = { "Content-Type": "application/json", Accept: "application/json" };
  if (csrfToken) {
    headers["X-CSRFToken"] = csrfToken;
  }
  try {
    return await fetch(url, {
      method: "POST",
      credentials: "same-origin",
      headers,
      body: JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]) : AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (error) {
    if (signal?.aborted) {
      throw error;
    }
    throw new AdmissionRefused("server_unreachable");
  }
}

async function jsonOf(response) {
  try {
    return await response.json();
  } catch {
    return null;
  }
}

function retryAfterOf(response) {
  const seconds = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  return Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, RETRY_AFTER_MAX_S) : null;
}

async function refusalOf(response) {
  const error = (await jsonOf(response))?.error;
  const code = typeof error?.code === "string" ? error.code : codeOfStatus(response.status);
  const message = typeof error?.message === "string" ? error.message : "";
  return new AdmissionRefused(code, { message, status: response.status, retry_after_s: retryAfterOf(response) });
}

// For answers that are not ours: a proxy's error page, say.
function codeOfStatus(status) {
  if (status === 429) {
    return "too_many_attempts";
  }
  return status >= 500 ? "internal_error" : "invalid_request";
}

async function pastRestarts(ask, { pause, signal }) {
  for (let restarts = 0; ; restarts += 1) {
    const response = await ask();
    if (response.ok) {
      return response;
    }
    const refusal = await refusalOf(response);
    if (refusal.code !== "restarting" || restarts >= RESTARTS_MAX) {
      throw refusal;
    }
    await pause(RESTART_PAUSE_MS);
    signal?.throwIfAborted();
  }
}

/**
 * POST /v1/voice/sessions. Answers { id, ticket, websocket_url, model_asked, model_served, model_reason, expires_at }.
 * Throws AdmissionRefused, or an AbortError when `signal` was aborted.
 */
export async function requestSession(url, { agent, captcha, voice, language, consent, consent_version }, options = {}) {
  const settings = { fetch: globalThis.fetch.bind(globalThis), pause: pauseFor, ...options };
  const body = { agent, captcha, voice, language, consent, consent_version };
  const response = await pastRestarts(() => post(url, body, settings), settings);
  const session = await jsonOf(response);
  if (typeof session?.id !== "string" || typeof session.ticket !== "string" || typeof session.websocket_url !== "string") {
    throw new AdmissionRefused("internal_error", { status: response.status });
  }
  return session;
}

/** POST /v1/voice/sessions/<id>/rating. Throws AdmissionRefused. */
export async function sendRating(sessionsUrl, sessionId, { token, stars, comment }, options = {}) {
  const settings = { fetch: globalThis.fetch.bind(globalThis), ...options };
  const url = `${sessionsUrl.replace(/\/$/, "")}/${encodeURIComponent(sessionId)}/rating`;
  const response = await post(url, { token, stars, comment }, settings);
  if (!response.ok) {
    throw await refusalOf(response);
  }
}
