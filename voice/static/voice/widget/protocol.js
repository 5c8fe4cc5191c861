// The widget protocol, version 1 (docs/widget-protocol.md): text in, messages out, and the way back. Pure.

export const VERSION = 1;
export const SUBPROTOCOL = "parley.widget.v1";
export const SAMPLE_RATE = 24_000;
export const TEXT_LENGTH_MAX = 2_000;
export const MESSAGE_BYTES_MAX = 16 * 1024;

// What a close code means when the server could not say it in an `error` message first.
export const CLOSE_CODES = Object.freeze({
  1012: "restarting",
  4400: "invalid_message",
  4401: "invalid_ticket",
  4403: "origin_not_allowed",
  4408: "start_timeout",
  4409: "connection_too_slow",
  4410: "resume_too_late",
  4411: "resumed_elsewhere",
  4413: "message_too_large",
  4429: "too_many_messages",
  4500: "internal_error",
  4503: "upstream_unavailable",
});

// Normal, and the codes of ours (4xxx): somebody said that it is over. All others are the network's or the server's going.
const OVER = 1000;
const SAID_MIN = 3000;

/** Whether a socket that closed with this code was lost, rather than closed by either side's will. */
export const isLoss = (closeCode) => closeCode !== OVER && closeCode < SAID_MIN;

export class InvalidMessage extends Error {
  constructor(reason) {
    super(reason);
    this.name = "InvalidMessage";
    this.code = "invalid_message";
  }
}

const isString = (value) => typeof value === "string";
const isFilled = (value) => isString(value) && value.length > 0;
const isBoolean = (value) => typeof value === "boolean";
const isCount = (value) => Number.isSafeInteger(value) && value >= 0;
const isVersion = (value) => value === VERSION;
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const oneOf = (...names) => (value) => names.includes(value);
const orNull = (check) => (value) => value === null || check(value);
const orMissing = (check) => (value) => value === undefined || check(value);
const isSpeaker = oneOf("caller", "agent");
const isState = oneOf("listening", "thinking", "speaking", "working");
const isStrings = (value) => isObject(value) && Object.values(value).every(isString);

// Characters as people and Python count them: code points, not UTF-16 units.
const isTurnText = (value) => isFilled(value) && [...value].length <= TEXT_LENGTH_MAX;

// A line may be negative: what was used beyond the credits held is taken off again.
const isLine = (value) =>
  isObject(value) && isString(value.label) && isCount(value.quantity) && isString(value.unit) && Number.isSafeInteger(value.amount_micro);

const isReceipt = (value) =>
  isObject(value) &&
  Array.isArray(value.lines) &&
  value.lines.every(isLine) &&
  isCount(value.total_micro) &&
  isCount(value.uncollected_micro);

const CLIENT_MESSAGES = {
  "session.start": { version: isVersion, ticket: isFilled, voice: isBoolean },
  "session.resume": {
    version: isVersion,
    resume_token: isFilled,
    item_id: orNull(isString),
    played_ms: isCount,
    received_bytes: isCount,
    received_messages: orMissing(isCount),
  },
  "text.send": { text: isTurnText },
  "playback.report": { item_id: orNull(isString), played_ms: isCount, received_bytes: isCount },
  "microphone.state": { muted: isBoolean },
  "mode.choose": { voice: isBoolean },
  "session.end": {},
};

const SERVER_MESSAGES = {
  "session.started": {
    version: isVersion,
    session_id: isFilled,
    agent_name: isString,
    model_asked: isString,
    model_served: isString,
    voice: isBoolean,
    max_duration_ms: isCount,
    shows_prices: isBoolean,
    resume_token: isFilled,
    resume_within_ms: isCount,
  },
  "session.resumed": {
    session_id: isFilled,
    elapsed_ms: isCount,
    used_micro: isCount,
    voice: isBoolean,
    model_served: isString,
    state: isState,
  },
  "state.changed": { state: isState },
  "audio.begin": { item_id: isFilled },
  "audio.end": { item_id: isFilled },
  "audio.clear": { item_id: isFilled },
  "caption.delta": { speaker: isSpeaker, item_id: isFilled, text: isString },
  "caption.final": { speaker: isSpeaker, item_id: isFilled, text: isString, interrupted: isBoolean },
  "meter.changed": { used_micro: isCount },
  "model.changed": { model_served: isString, reason: isString, voice: isBoolean },
  notice: { code: isFilled, message: isString },
  "task.completed": { name: isFilled, fields: isStrings },
  error: { code: isFilled, message: isString, fatal: isBoolean },
  "session.ended": {
    reason: isFilled,
    outcome: oneOf("completed", "given_up", "cut"),
    duration_ms: isCount,
    receipt: isReceipt,
    rating_token: isString,
  },
};

function check(message, known) {
  if (!isObject(message)) {
    throw new InvalidMessage("A message is a JSON object.");
  }
  if (!isString(message.type) || !Object.hasOwn(known, message.type)) {
    throw new InvalidMessage("The message's type is unknown.");
  }
  for (const [field, isValid] of Object.entries(known[message.type])) {
    const value = Object.hasOwn(message, field) ? message[field] : undefined;
    if (!isValid(value)) {
      throw new InvalidMessage(`${message.type}: ${field} is missing or wrong.`);
    }
  }
  return message;
}

/** A server message from its JSON text. Throws InvalidMessage. */
export function parse(text) {
  let message;
  try {
    message = JSON.parse(text);
  } catch {
    throw new InvalidMessage("Not JSON.");
  }
  return check(message, SERVER_MESSAGES);
}

/** The JSON text of a browser message. Throws InvalidMessage rather than send what the server would refuse. */
export function serialise(message) {
  const text = JSON.stringify(check(message, CLIENT_MESSAGES));
  if (new TextEncoder().encode(text).length > MESSAGE_BYTES_MAX) {
    throw new InvalidMessage("The message is too large.");
  }
  return text;
}

export const sessionStart = (ticket, voice) => ({ type: "session.start", version: VERSION, ticket, voice });
export const sessionResume = (resume_token, { item_id, played_ms, received_bytes, received_messages }) => ({
  type: "session.resume",
  version: VERSION,
  resume_token,
  item_id,
  played_ms,
  received_bytes,
  received_messages,
});
export const textSend = (text) => ({ type: "text.send", text });
export const microphoneState = (muted) => ({ type: "microphone.state", muted });
export const modeChoose = (voice) => ({ type: "mode.choose", voice });
export const sessionEnd = () => ({ type: "session.end" });
export const playbackReport = (item_id, played_ms, received_bytes) => ({
  type: "playback.report",
  item_id,
  played_ms,
  received_bytes,
});
