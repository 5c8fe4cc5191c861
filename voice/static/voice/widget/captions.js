// What both sides said, in the order it was said. Pure: every function answers a new list.

// An hour of quick talk; beyond it the oldest lines leave the screen.
const CAPTIONS_MAX = 500;

export const noCaptions = () => ({ entries: [], awaitingCaller: null });

const isAt = (speaker, item_id) => (entry) => entry.item_id === item_id && entry.speaker === speaker;

// The caller's words are often transcribed only after the answer has begun. So the place where they belong is kept when
// the assistant starts to think, and given up when it listens again.
export function keepPlaceForCaller(captions) {
  return { ...captions, awaitingCaller: captions.entries.length };
}

export function givePlaceUp(captions) {
  return { ...captions, awaitingCaller: null };
}

/** What the assistant's state says of whose words come next. */
export function followTurns(captions, state) {
  if (state === "thinking") {
    return keepPlaceForCaller(captions);
  }
  return state === "listening" ? givePlaceUp(captions) : captions;
}

function insert(captions, entry) {
  const { entries, awaitingCaller } = captions;
  const isLate = entry.speaker === "caller" && awaitingCaller !== null;
  const place = isLate ? awaitingCaller : entries.length;
  const inserted = [...entries.slice(0, place), entry, ...entries.slice(place)];
  return { entries: inserted.slice(-CAPTIONS_MAX), awaitingCaller: isLate ? null : awaitingCaller };
}

function put(captions, speaker, item_id, change) {
  const index = captions.entries.findIndex(isAt(speaker, item_id));
  if (index < 0) {
    return insert(captions, change({ speaker, item_id, text: "", isFinal: false, isInterrupted: false }));
  }
  return { ...captions, entries: captions.entries.map((entry, at) => (at === index ? change(entry) : entry)) };
}

/** Show a typed turn at once; the server's own caption for it takes this line over when it comes. */
export function addTyped(captions, text, item_id) {
  const entry = { speaker: "caller", item_id, text, isFinal: true, isInterrupted: false, isTyped: true };
  return { ...captions, entries: [...captions.entries, entry].slice(-CAPTIONS_MAX) };
}

/** The typed turns of which the server has not told: it has not got them, or not yet. */
export const untoldTurns = (captions) => captions.entries.filter((entry) => entry.isTyped).map(({ text }) => text);

function takeTypedLine(captions, { speaker, item_id, text }) {
  if (speaker !== "caller" || captions.entries.some(isAt(speaker, item_id))) {
    return captions;
  }
  const index = captions.entries.findIndex((entry) => entry.isTyped && entry.text === text);
  const taken = (entry) => ({ ...entry, item_id, isTyped: false });
  return { ...captions, entries: captions.entries.map((entry, at) => (at === index ? taken(entry) : entry)) };
}

/** Append the text of a caption.delta. A delta that comes after the final caption is stale and changes nothing. */
export function applyDelta(captions, { speaker, item_id, text }) {
  return put(captions, speaker, item_id, (entry) => (entry.isFinal ? entry : { ...entry, text: entry.text + text }));
}

/** Replace the text by that of a caption.final; an empty one (nothing was said, or heard) leaves no line. */
export function applyFinal(before, { speaker, item_id, text, interrupted }) {
  const captions = takeTypedLine(before, { speaker, item_id, text });
  if (text.trim() === "") {
    return { ...captions, entries: captions.entries.filter((entry) => !isAt(speaker, item_id)(entry)) };
  }
  return put(captions, speaker, item_id, (entry) => ({ ...entry, text, isFinal: true, isInterrupted: interrupted }));
}

/** What was said as plain text, a line each: what a caller takes away. `names` has the words for caller and agent. */
export function asText(captions, names) {
  const said = captions.entries.filter((entry) => entry.isFinal);
  return said.map(({ speaker, text }) => `${names[speaker]}: ${text}\n`).join("");
}
