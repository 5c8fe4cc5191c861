// One call as a pure state machine: (session, event, time) -> session. No DOM, no network, no clock of its own.

// A label that flips the instant a sentence pauses looks nervous: speaking is kept this long before listening shows.
export const SPEAKING_HOLD_MS = 500;
const NOTICES_MAX = 4;

// Refusals that waiting cures, and those that only the operator or the owner can lift. All others are failures.
const BUSY = new Set([
  "too_many_attempts",
  "too_many_calls",
  "agent_too_many_calls",
  "network_busy",
  "agent_busy",
  "organisation_busy",
  "daily_ceiling_reached",
]);
const MAINTENANCE = new Set([
  "organisation_suspended",
  "agent_paused",
  "calls_paused",
  "restarting",
  "model_unknown",
  "model_unavailable",
  "model_not_priced",
  "captcha_unavailable",
  "upstream_unavailable",
  "unavailable",
]);

const severityOf = (code) => (BUSY.has(code) ? "busy" : MAINTENANCE.has(code) ? "maintenance" : "failed");

const ACTIVE = new Set(["asking", "solving", "connecting", "live"]);

const IDLE = Object.freeze({
  phase: "idle", // idle | asking | solving | connecting | live | ended | failed
  consenting: false, // whether the caller is being asked about, or told of, their words being kept
  consent: null, // what they answered; null: nothing was asked
  unexplained: false, // whether the microphone has still to be explained
  explaining: false,
  voice: true, // spoken; false: typed
  spoke: false, // whether it has been spoken at any time
  choosing: null, // the mode that the caller has asked for and not got yet: true (spoken), false (typed) or null
  ending: false,
  away: null, // { until_ms }: the line is lost, and until then the call is kept
  muted: false,
  holdToTalk: false,
  assistant: "listening", // what the server last said it does
  playing: false, // whether its voice is still being heard
  shown: "listening",
  quietSince_ms: null,
  session_id: "",
  agent_name: "",
  model_asked: "",
  model_served: "",
  started_at_ms: null,
  max_duration_ms: 0,
  shows_prices: false,
  used_micro: 0,
  notices: [],
  tasks: [],
  ended: null,
  failure: null, // { code, message, severity: failed | busy | maintenance, retry_at_ms: number or null }
});

export function newSession(choices = {}) {
  return {
    ...IDLE,
    voice: choices.voice ?? true,
    holdToTalk: Boolean(choices.holdToTalk),
    shows_prices: Boolean(choices.shows_prices),
    agent_name: choices.agent_name ?? "",
  };
}

/** The one word for what is going on: what the label, the button and the tests go by. */
export function stateOf(session) {
  if (session.phase === "failed") {
    return session.failure.severity;
  }
  if (session.phase !== "live") {
    return session.phase;
  }
  if (session.away) {
    return "reconnecting";
  }
  return session.muted && session.shown === "listening" ? "muted" : session.shown;
}

export const isActive = (session) => ACTIVE.has(session.phase);

/** When a `tick` is due, in milliseconds on the same clock as the events; null when none is. */
export function tickDueAt(session) {
  return session.quietSince_ms === null ? null : session.quietSince_ms + SPEAKING_HOLD_MS;
}

const desiredState = (session) => (session.playing ? "speaking" : session.assistant);

function settleLabel(session, now_ms) {
  const desired = desiredState(session);
  const mustWait = session.shown === "speaking" && desired === "listening";
  if (!mustWait) {
    return { ...session, shown: desired, quietSince_ms: null };
  }
  const since = session.quietSince_ms ?? now_ms;
  if (now_ms - since >= SPEAKING_HOLD_MS) {
    return { ...session, shown: desired, quietSince_ms: null };
  }
  return { ...session, quietSince_ms: since };
}

function fail(session, { code, message = "", retry_after_s = null }, now_ms) {
  const retry_at_ms = retry_after_s === null ? null : now_ms + retry_after_s * 1000;
  const failure = { code, message, severity: severityOf(code), retry_at_ms };
  return { ...session, phase: "failed", explaining: false, consenting: false, away: null, quietSince_ms: null, notices: [], failure };
}

const MESSAGES = {
  "session.started": (session, message, now_ms) => ({
    ...session,
    phase: "live",
    session_id: message.session_id,
    agent_name: message.agent_name,
    model_asked: message.model_asked,
    model_served: message.model_served,
    voice: message.voice,
    spoke: message.voice,
    max_duration_ms: message.max_duration_ms,
    shows_prices: message.shows_prices,
    started_at_ms: now_ms,
    shown: "thinking", // the assistant greets first
    assistant: "thinking",
  }),
  "session.resumed": (session, message, now_ms) =>
    settleLabel(
      {
        ...session,
        away: null,
        model_served: message.model_served,
        used_micro: message.used_micro,
        started_at_ms: now_ms - message.elapsed_ms,
        assistant: message.state,
      },
      now_ms,
    ),
  "model.changed": (session, message) => ({ ...followMode(session, message.voice), model_served: message.model_served }),
  "state.changed": (session, message, now_ms) => settleLabel({ ...session, assistant: message.state }, now_ms),
  "audio.clear": (session, _message, now_ms) => settleLabel({ ...session, playing: false }, now_ms),
  "meter.changed": (session, message) => ({ ...session, used_micro: message.used_micro }),
  notice: (session, message) => withNotice(session, message),
  "task.completed": (session, message) => (hasTask(session, message) ? session : { ...session, tasks: [...session.tasks, taskOf(message)] }),
  error: (session, message, now_ms) =>
    message.fatal ? fail(session, { code: message.code, message: message.message }, now_ms) : withNotice(session, message),
  "session.ended": (session, message) => ({
    ...session,
    phase: "ended",
    failure: null,
    quietSince_ms: null,
    notices: [],
    used_micro: message.receipt.total_micro,
    ended: {
      reason: message.reason,
      outcome: message.outcome,
      duration_ms: message.duration_ms,
      receipt: message.receipt,
      rating_token: message.rating_token,
      isWhileAway: session.away !== null || session.phase === "failed",
    },
  }),
};

// What was on its way when the caller chose otherwise does not undo the choice; the answer to that is still to come.
const followMode = (session, voice) =>
  session.choosing === null || session.choosing === voice ? { ...session, voice, spoke: session.spoke || voice, choosing: null } : session;

// What was told before the line was lost may be told again after it.
const taskOf = ({ name, fields }) => ({ name, fields });
const hasTask = (session, message) => session.tasks.some((task) => JSON.stringify(task) === JSON.stringify(taskOf(message)));

function withNotice(session, { code, message }) {
  // What is told a second time, for whatever cause, stands there once. (Without a message the code has words of ours.)
  const isSame = (notice) => notice.code === code || (message !== "" && notice.message === message);
  const others = session.notices.filter((notice) => !isSame(notice));
  return { ...session, notices: [...others, { code, message }].slice(-NOTICES_MAX) };
}

// Hung up, but the goodbye with its receipt never came: the call is over all the same.
const endedWithoutReceipt = (session, now_ms) => ({
  ...session,
  phase: "ended",
  quietSince_ms: null,
  notices: [],
  ended: {
    reason: "caller_hung_up",
    outcome: "given_up",
    duration_ms: session.started_at_ms === null ? 0 : Math.max(0, Math.round(now_ms - session.started_at_ms)),
    receipt: null,
    rating_token: "",
    isWhileAway: false,
  },
});

// The microphone comes next, explained to those who have not seen its question; a typed conversation needs none.
const afterConsent = (session) =>
  session.voice
    ? { ...session, phase: "asking", consenting: false, explaining: session.unexplained }
    : { ...session, phase: "solving", consenting: false };

function isExpected(session, type) {
  if (type === "session.ended" && session.failure?.code === "resume_too_late") {
    return true; // its caller came back too late for the call, but not for the receipt
  }
  return type === "session.started" || type === "error" ? isActive(session) : session.phase === "live";
}

const EVENTS = {
  start(session, event) {
    if (isActive(session)) {
      return session;
    }
    const begun = { ...newSession(session), voice: event.voice, unexplained: event.voice && !event.explained };
    return event.asks_consent ? { ...begun, phase: "asking", consenting: true } : afterConsent({ ...begun, consent: event.consent ?? null });
  },
  consented: (session, event) => (session.consenting ? { ...afterConsent(session), consent: event.agrees } : session),
  explained: (session) => (session.phase === "asking" ? { ...session, explaining: false } : session),
  microphone_ready: (session) => (session.phase === "asking" ? { ...session, phase: "solving", explaining: false } : session),
  captcha_solved: (session) => (session.phase === "solving" ? { ...session, phase: "connecting" } : session),
  admitted: (session, event) => (session.phase === "connecting" ? { ...session, session_id: event.session_id } : session),
  message(session, event, now_ms) {
    const handle = MESSAGES[event.message.type];
    return isExpected(session, event.message.type) && handle ? handle(session, event.message, now_ms) : session;
  },
  playback: (session, event, now_ms) =>
    session.phase === "live" && session.playing !== event.playing ? settleLabel({ ...session, playing: event.playing }, now_ms) : session,
  tick: (session, _event, now_ms) => (session.phase === "live" ? settleLabel(session, now_ms) : session),
  away: (session, event) => (session.phase === "live" ? { ...session, away: { until_ms: event.until_ms } } : session),
  back: (session) => (session.away ? { ...session, away: null } : session),
  // Typing can begin at once; to be heard takes the server's answer.
  mode_asked: (session, event) => (session.phase === "live" ? { ...session, voice: session.voice && event.voice, choosing: event.voice } : session),
  mode_refused: (session) => ({ ...session, choosing: null }),
  muted: (session, event) => (session.phase === "live" ? { ...session, muted: event.muted } : session),
  hold_to_talk: (session, event) => ({ ...session, holdToTalk: event.enabled }),
  notice: (session, event) => (isActive(session) ? withNotice(session, event) : session),
  notice_dismissed: (session, event) => ({ ...session, notices: session.notices.filter((notice) => notice.code !== event.code) }),
  hanging_up: (session) => (session.phase === "live" ? { ...session, ending: true } : session),
  cancelled: (session) => (["asking", "solving", "connecting"].includes(session.phase) ? newSession(session) : session),
  failed: (session, event, now_ms) => (isActive(session) ? fail(session, event.failure, now_ms) : session),
  closed(session, event, now_ms) {
    if (!isActive(session)) {
      return session;
    }
    return session.ending ? endedWithoutReceipt(session, now_ms) : fail(session, { code: event.code }, now_ms);
  },
};

/** The next session. Events that make no sense where the call stands change nothing. */
export function reduce(session, event, now_ms) {
  return EVENTS[event.type](session, event, now_ms);
}
