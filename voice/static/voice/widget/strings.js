// Every word the call says, in one place. English.

export const STATES = {
  idle: "Ready when you are",
  explaining: "Before we start",
  asking: "Waiting for your microphone",
  solving: "Checking that you are a person",
  connecting: "Connecting",
  listening: "Listening",
  thinking: "Thinking",
  working: "Looking that up",
  speaking: "Speaking",
  muted: "You are muted",
  ended: "Call ended",
  failed: "That did not work",
  busy: "Busy right now",
  maintenance: "Closed for a moment",
};

export const HINTS = {
  speaking: "Talk to interrupt",
  muted: "Unmute, or type below",
  holdToTalk: "Hold Space, or the button, while you talk",
  holdToTalkPressed: "Release when you are done",
  typed: "Type below to answer",
  typedListening: "Your turn",
  ending: "Hanging up",
};

export const BUTTONS = {
  talk: "Talk",
  cancel: "Cancel",
  end: "End",
  again: "Talk again",
  chatAgain: "Start again",
  retry: "Try again",
  mute: "Mute",
  unmute: "Unmute",
  holdToTalk: "Hold to talk",
  dismiss: "Dismiss",
  copied: "Copied",
  copySessionId: "Copy session ID",
};

export const SPEAKERS = { caller: "You" };
export const DEFAULT_AGENT_NAME = "Assistant";
export const DEVICE_UNNAMED = (number) => `Microphone ${number}`;

export const NOTICES = {
  echo: "It sounds as if the assistant hears itself through your loudspeaker. Headphones help.",
  sound_paused: "Your device paused the sound. Tap anywhere to go on.",
  microphone_lost: "Your microphone was disconnected. Choose another one, or type below.",
  model_replaced: (asked, served) => `${asked} is not available at the moment, so ${served} is answering.`,
  text_refused: "That message could not be sent. Shorten it and try again.",
};

export const END_REASONS = {
  caller_hung_up: "You hung up.",
  agent_hung_up: "The assistant said goodbye.",
  silence: "The line was quiet for a while, so the call was ended.",
  max_duration: "This call reached its longest allowed time.",
  out_of_credit: "The credit for this call was used up.",
  operator_ended: "The operator ended this call.",
  organisation_suspended: "This assistant's account has been suspended.",
  network_blocked: "Calls from your network have been stopped.",
  paused: "Calls are paused for the moment.",
  shutting_down: "The service is being updated. Please call again in a minute.",
  upstream_failed: "The assistant's connection failed. You pay only for what was used.",
};

export const TASKS = { book_appointment: "Appointment booked", request_callback: "Call back requested" };

export const RATING = {
  thanks: "Thank you. Your rating was saved.",
  failed: "Your rating could not be saved. Try again.",
};

const trouble = (title, remedy, canRetry = true) => ({ title, remedy, canRetry });

// What happened, and what to do about it: one entry for every code that the server's refusals, errors and closes can carry.
export const SERVER_TROUBLES = {
  organisation_suspended: trouble(
    "This assistant is not taking calls",
    "Its account is suspended. Please contact the business in another way.",
    false,
  ),
  agent_paused: trouble("This assistant is paused", "Its owner has switched it off for now. Please try again later."),
  agent_not_found: trouble("This assistant no longer exists", "Check the address, or ask whoever gave you the link.", false),
  calls_paused: trouble("Calls are paused", "The operator has stopped new calls for a moment. Please try again soon."),
  model_unknown: trouble(
    "This assistant is not set up correctly",
    "Its voice model does not exist. Its owner has to choose another one.",
    false,
  ),
  model_not_priced: trouble("This assistant is not ready for calls", "The operator has to set a price for its voice model first."),
  model_unavailable: trouble("The voice service is being worked on", "Try again in a few minutes, or type instead."),
  upstream_unavailable: trouble("The voice service cannot be reached", "Nothing was charged. Try again in a minute."),
  origin_not_allowed: trouble(
    "This page may not place calls",
    "The assistant's owner has to add this website to its list of allowed sites.",
    false,
  ),
  captcha_required: trouble("We need to check that you are a person", "Try again: the check runs by itself."),
  captcha_failed: trouble("The check did not succeed", "Try again. If it keeps failing, reload the page."),
  captcha_reused: trouble("That check was already used", "Try again: a new one runs by itself."),
  captcha_unavailable: trouble("We cannot check that you are a person right now", "Wait a few seconds, then try again."),
  network_blocked: trouble("Calls from your network are blocked", "Try from another network, or contact the business.", false),
  too_many_attempts: trouble("Your network tried too often in a short time", "Wait a minute, then try again."),
  too_many_calls: trouble("Your network started a lot of calls", "Wait a little, then try again."),
  agent_too_many_calls: trouble("Many people are calling this assistant", "Wait a little, then try again."),
  network_busy: trouble("Another call from your network is still running", "End it, in another tab perhaps, or wait until it is over."),
  agent_busy: trouble("All lines are busy", "Another call has to end first. Try again in a moment."),
  organisation_busy: trouble("All of this business's lines are busy", "Another call has to end first. Try again in a moment."),
  daily_ceiling_reached: trouble("That is all for today", "This assistant has used its budget for the day. Please come back tomorrow.", false),
  out_of_credit: trouble(
    "There is no credit left for this call",
    "The assistant's owner has to top up before it can answer again.",
  ),
  unavailable: trouble("Calls cannot be started right now", "Nothing was charged. Wait a few seconds, then try again."),
  invalid_request: trouble("The call could not be started", "Reload the page and try again."),
  unsupported_media_type: trouble("The request to call was changed on its way", "Reload the page, or try from another network."),
  request_too_large: trouble("The request to call was too large", "Reload the page and try again."),

  start_timeout: trouble("The call took too long to start", "Try again."),
  invalid_ticket: trouble("The permission to call has run out", "Try again to get a new one."),
  invalid_message: trouble("Something went wrong in the call", "Try again. If it happens again, send us the session ID."),
  message_too_large: trouble("Something too large was sent", "Try again. If it happens again, send us the session ID."),
  too_much_audio: trouble("Your connection sent too much at once", "Try again, if you can on a steadier network."),
  too_many_messages: trouble("Too much was sent at once", "Wait a moment, then try again."),
  connection_too_slow: trouble("Your connection is too slow for a call", "Try a better network, or type instead."),
  internal_error: trouble("Something broke on our side", "You pay only for what was used. Try again, and send us the session ID if it goes on."),
};

// The same for what goes wrong in the browser, or between it and the server.
export const BROWSER_TROUBLES = {
  microphone_blocked: trouble(
    "Your microphone is blocked for this site",
    "Open the site settings beside the address, allow the microphone, then try again.",
  ),
  microphone_not_delegated: trouble(
    "This page does not let the assistant hear you",
    "Type instead. Whoever runs the page can change its microphone policy.",
  ),
  microphone_dismissed: trouble("The microphone question was closed", "Try again and choose Allow when your browser asks."),
  microphone_blocked_by_system: trouble(
    "Your device does not let this browser use the microphone",
    "In your device's privacy settings, allow the microphone for this browser, then try again.",
  ),
  microphone_missing: trouble("No microphone was found", "Plug one in or switch it on, then try again."),
  microphone_busy: trouble("Another program is using your microphone", "Close other calls or recorders, then try again."),
  microphone_insecure: trouble("Microphones need a secure page", "Open this page with https:// at the front.", false),
  microphone_unsupported: trouble("This browser cannot use a microphone here", "Use a current Chrome, Edge, Firefox or Safari.", false),
  microphone_failed: trouble("Your microphone could not be started", "Unplug it and plug it in again, then try again."),
  audio_unavailable: trouble("Sound could not be started", "Reload the page, or restart the browser."),
  network_lost: trouble("The connection was lost", "Check your internet connection, then call again."),
  server_unreachable: trouble("The server cannot be reached", "Check your internet connection, then try again."),
};

export const TROUBLES = { ...SERVER_TROUBLES, ...BROWSER_TROUBLES };

// Where the operator may have written what callers are told, that is what they are told.
const OPERATORS_WORDS = new Set(["calls_paused", "out_of_credit"]);

const UNKNOWN = trouble("That did not work", "Try again. If it happens again, send us the session ID.");

/** Title, remedy and whether trying again helps, for a code; a code that is not known yet gets the server's own sentence. */
export function troubleFor(code, message = "") {
  const known = Object.hasOwn(TROUBLES, code) ? TROUBLES[code] : null;
  if (message && OPERATORS_WORDS.has(code)) {
    return { ...known, remedy: message };
  }
  return known ?? (message ? { ...UNKNOWN, title: message } : UNKNOWN);
}

/** The words for a notice: the server's own sentence where there is one. */
export const noticeText = ({ code, message }) => message || (typeof NOTICES[code] === "string" ? NOTICES[code] : "");

export const retryIn = (seconds) => (seconds > 90 ? `Try again in ${Math.ceil(seconds / 60)} minutes` : `Try again in ${seconds} s`);
