// When to try again after the connection was lost: soon at first, then less often, never all browsers at once. Pure.

// A server that is restarted is away for seconds, and nobody likes to wait for a pause of ours after it is back.
const DELAYS_MS = [300, 700, 1000, 2000];
// A server that comes back must not meet everybody in the same instant.
const SPREAD = 0.3;

/** How long to wait before try number `tries` (from 0), in milliseconds. `random` answers 0..1. */
export function delayBefore(tries, random = Math.random) {
  const base_ms = DELAYS_MS[Math.min(tries, DELAYS_MS.length - 1)];
  return Math.round(base_ms * (1 - SPREAD + 2 * SPREAD * random()));
}

/**
 * When the next try is due, on the clock of `now_ms`; null when it is over. The last one falls on `until_ms`, whatever the
 * delay: until then the server keeps the call. A browser that slept past that tries once all the same (`tries` is 0 then).
 */
export function nextTryAt({ tries, now_ms, until_ms }, random = Math.random) {
  if (tries > 0 && now_ms >= until_ms) {
    return null;
  }
  return Math.max(now_ms, Math.min(now_ms + delayBefore(tries, random), until_ms));
}

/** Whole seconds that the call is still kept, for the countdown. */
export const secondsKept = (until_ms, now_ms) => Math.max(0, Math.ceil((until_ms - now_ms) / 1000));
