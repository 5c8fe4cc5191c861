// Every word the call says, in the caller's language: the page carries them (voice/words/*.json), `use` takes them in.

export let STATES, HINTS, BUTTONS, PAGE, NOTICES, END_REASONS, TASKS, RATING, SERVER_TROUBLES, BROWSER_TROUBLES, TROUBLES;

let words = null;
let plurals = null;

/** Speak these words from now on. Before that there are none. */
export function use(chosen) {
  words = chosen;
  plurals = new Intl.PluralRules(words.language);
  ({ states: STATES, hints: HINTS, buttons: BUTTONS, page: PAGE, notices: NOTICES } = words);
  ({ end_reasons: END_REASONS, tasks: TASKS, rating: RATING } = words);
  ({ server_troubles: SERVER_TROUBLES, browser_troubles: BROWSER_TROUBLES } = words);
  TROUBLES = { ...SERVER_TROUBLES, ...BROWSER_TROUBLES };
}

/** Put values where {names} stand. */
export const fill = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => (Object.hasOwn(values, name) ? values[name] : whole));

/** "1 credit", "2.5 credits": `shown` is how the number is written, where it is not written as it is. */
export function count(unit, number, shown = String(number)) {
  const forms = words.units[unit];
  return forms ? fill(forms[plurals.select(number)] ?? forms.other, { count: shown }) : `${shown} ${unit}`;
}

/** A receipt's item in the caller's language; the server's own words where there are none. */
export const receiptItem = (label) => (Object.hasOwn(words.receipt, label) ? words.receipt[label] : label);

// What trying again cannot mend: the owner, the operator or another browser has to.
const FINAL = new Set([
  "organisation_suspended",
  "agent_not_found",
  "model_unknown",
  "origin_not_allowed",
  "network_blocked",
  "daily_ceiling_reached",
  "microphone_insecure",
  "microphone_unsupported",
]);

// Where the operator may have written what callers are told, that is what they are told.
const OPERATORS_WORDS = new Set(["calls_paused", "out_of_credit"]);

/** Title, remedy and whether trying again helps, for a code; a code that is not known yet gets the server's own sentence. */
export function troubleFor(code, message = "") {
  const [title, remedy] = Object.hasOwn(TROUBLES, code) ? TROUBLES[code] : [message || STATES.failed, TROUBLES.invalid_message[1]];
  const isOperators = message && OPERATORS_WORDS.has(code);
  return { title, remedy: isOperators ? message : remedy, canRetry: !FINAL.has(code) };
}

/** The words for a notice: ours, in the caller's language; the server's sentence where ours is missing or has gaps to fill. */
export function noticeText({ code, message }) {
  const ours = Object.hasOwn(NOTICES, code) ? NOTICES[code] : "";
  return ours && !ours.includes("{") ? ours : message;
}

/** Why another model answers. The server's reason says more, but says it in English only. */
export const modelReplaced = (asked, served, reason) =>
  reason && words.language === "en" ? reason : fill(NOTICES.model_replaced, { asked, served });

/** Who answers from here on, and why: as above. */
export const modelChanged = (served, reason) => (words.language === "en" ? reason : fill(NOTICES.model_changed, { served }));

/** How long a lost call is kept; at the very end there is one more try. */
export const keptFor = (seconds) => (seconds > 0 ? fill(HINTS.kept, { time: count("seconds", seconds) }) : HINTS.lastTry);

export const retryIn = (seconds) =>
  seconds > 90
    ? fill(BUTTONS.retryInMinutes, { count: Math.ceil(seconds / 60) })
    : fill(BUTTONS.retryInSeconds, { count: seconds });
