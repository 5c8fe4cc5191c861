// A call ended while its caller was away: once there is a network again, learn how it ended and what it cost.

import { Connection } from "./connection.js";

// The server tells it for ten minutes. A process that died is found out, and its calls are settled, within two.
const DELAYS_MS = [5_000, 10_000, 20_000, 40_000, 60_000, 60_000, 120_000, 120_000];
const ANSWER_MS_MAX = 5_000;
// Waking up tells of itself several times at once (visible, shown, online): one try is enough for all of them.
const SAME_MOMENT_MS = 1_000;

export class LateReceipt {
  /** `resume` is the message that a call is resumed with; onEnded(message) is told of its session.ended, once. */
  constructor(url, resume, onEnded, { now = () => performance.now() } = {}) {
    Object.assign(this, { url, resume, onEnded, now });
    this.connection = null;
    this.tries = 0;
    this.wait();
  }

  /** The network is back, or the page is seen again. */
  tryNow() {
    const hasJustTried = this.connection !== null && this.now() - this.triedAt_ms < SAME_MOMENT_MS;
    if (!this.isDone && !hasJustTried) {
      this.ask();
    }
  }

  stop() {
    this.isDone = true;
    clearTimeout(this.timer);
    this.connection?.abandon();
  }

  wait() {
    if (this.tries < DELAYS_MS.length) {
      this.timer = setTimeout(() => this.ask(), DELAYS_MS[this.tries]);
      this.tries += 1;
    }
  }

  ask() {
    clearTimeout(this.timer);
    this.connection?.abandon();
    this.triedAt_ms = this.now();
    this.connection = new Connection({
      onMessage: (message) => this.hear(message),
      onAudio() {},
      onClose: () => this.isDone || this.wait(),
    });
    this.connection.open(this.url, this.resume, ANSWER_MS_MAX);
  }

  hear(message) {
    if (message?.type === "session.ended") {
      this.stop();
      this.onEnded(message);
    }
  }
}
