// Numbers as people read them. Money is integer micro-credits throughout: no floats.

import { count, PAGE } from "./strings.js";

const MICRO = 1_000_000;
const MICRO_DIGITS = 6;
// A countdown from the first second makes people hurry; the last five minutes are worth knowing of.
const LEFT_SHOWN_MS = 300_000;

const grouped = (whole) => String(whole).replace(/\B(?=(\d{3})+$)/g, ",");

function decimalOf(micro, digits) {
  const step = 10 ** (MICRO_DIGITS - digits);
  const rounded = Math.floor((micro + step / 2) / step) * step;
  const fraction = String(rounded % MICRO).padStart(MICRO_DIGITS, "0").slice(0, digits);
  return { whole: grouped(Math.floor(rounded / MICRO)), fraction };
}

/** "3.42 credits": at most two decimals, for a number that keeps changing. */
export function credits(micro) {
  if (micro > 0 && micro < MICRO / 200) {
    return PAGE.under_a_cent;
  }
  const { whole, fraction } = decimalOf(micro, 2);
  const trimmed = fraction.replace(/0+$/, "");
  const number = trimmed ? `${whole}.${trimmed}` : whole;
  return count("credits", Number(number.replaceAll(",", "")), number);
}

/** How many decimals it takes to write all of these amounts exactly; at least two. */
export function exactDigits(amounts_micro) {
  const needed = amounts_micro.map((micro) => String(micro % MICRO).padStart(MICRO_DIGITS, "0").replace(/0+$/, "").length);
  return Math.max(2, ...needed);
}

/** An amount on a receipt: exact, so that what is shown adds up. */
export function exactCredits(micro, digits) {
  const { whole, fraction } = decimalOf(micro, digits);
  return `${whole}.${fraction}`;
}

export const quantity = (count) => grouped(count);

/** "2:05", or "1:02:05" from an hour on. */
export function clock(duration_ms) {
  const total_s = Math.max(0, Math.floor(duration_ms / 1000));
  const minutes = Math.floor(total_s / 60) % 60;
  const hours = Math.floor(total_s / 3600);
  const seconds = String(total_s % 60).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${seconds}` : `${minutes}:${seconds}`;
}

/** How much of a call's longest time is left, for the meter; empty while that is no matter yet. */
export function timeLeft(elapsed_ms, max_duration_ms) {
  const left_ms = max_duration_ms - elapsed_ms;
  const isNear = max_duration_ms > 0 && left_ms < Math.min(max_duration_ms / 2, LEFT_SHOWN_MS);
  return isNear ? clock(Math.max(0, left_ms)) : "";
}

/** "2 minutes 5 seconds": for sentences and for screen readers. */
export function spokenDuration(duration_ms) {
  const total_s = Math.max(0, Math.round(duration_ms / 1000));
  const minutes = Math.floor(total_s / 60);
  const seconds = total_s % 60;
  const parts = [];
  if (minutes > 0) {
    parts.push(count("minutes", minutes));
  }
  if (seconds > 0 || minutes === 0) {
    parts.push(count("seconds", seconds));
  }
  return parts.join(" ");
}

/** "book_appointment" -> "Book appointment": for names that have no words of their own in voice/words. */
export function humanised(name) {
  const words = name.replace(/[_\-.]+/g, " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
