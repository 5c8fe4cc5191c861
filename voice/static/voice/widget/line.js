// The call's line to the server, over as many sockets as it takes: a lost one is replaced for as long as the server keeps
// the call, and goes on where the caller's ear is.

import { Connection } from "./connection.js";
import * as protocol from "./protocol.js";
import { nextTryAt } from "./reconnect.js";

const START_TIMEOUT_MS = 15_000;
const RESUME_TIMEOUT_MS = 5_000;
// A server that is being stopped sends whoever would begin to the next one, with the same ticket.
const RESTARTS_MAX = 5;
const RESTART_PAUSE_MS = 700;
// A socket that lets nothing through for this long is given up for a new one.
const HELD_UP_MS_MAX = 5_000;
// Waking up tells of itself several times at once (visible, shown, online): one try is enough for all of them.
const SAME_MOMENT_MS = 1_000;
// These are of one socket, and no part of what is said over all of them.
const OF_ONE_SOCKET = new Set(["session.started", "session.resumed", "error"]);

export class Line {
  /** Handlers: onMessage(message), onAudio(ArrayBuffer), onAway(until_ms), onBack(), onClose(code). onClose comes exactly once, and last. */
  constructor({ onMessage, onAudio, onAway, onBack, onClose }, { now = () => performance.now(), random = Math.random } = {}) {
    this.handlers = { onMessage, onAudio, onAway, onBack, onClose };
    this.now = now;
    this.random = random;
    this.connection = null;
    this.beginning = null; // what the call is to begin with, until it has
    this.restarts = 0;
    this.token = ""; // what this call is resumed with; empty before it began and after it ended
    this.lastResume = null; // what was last said to resume it
    this.within_ms = 0;
    this.receivedBytes = 0; // of audio, over all sockets
    this.receivedMessages = 0; // likewise
    this.heard = { item_id: null, played_ms: 0 };
    this.untold = new Map(); // item_id -> played_ms, heard while nobody could be told
    this.until_ms = null; // how long the call is kept, while we are away
    this.isResuming = false;
    this.tries = 0;
  }

  open(url, ticket, voice) {
    this.url = url;
    this.beginning = protocol.sessionStart(ticket, voice);
    this.begin();
  }

  begin() {
    this.connect(this.beginning, START_TIMEOUT_MS);
  }

  get isAway() {
    return this.until_ms !== null;
  }

  get isOpen() {
    return !this.isAway && Boolean(this.connection?.isOpen);
  }

  send(message) {
    if (this.isOpen) {
      this.connection.send(message);
    }
  }

  /** What cannot be sent now is dropped: nobody wants to be heard in a burst, and late. */
  sendAudio(pcm) {
    if (this.isOpen) {
      this.connection.sendAudio(pcm);
      if (this.connection.isHeldUp) {
        this.heldUp();
      }
    } else if (this.isJammed && this.connection.unsentBytes === 0) {
      this.back();
    }
  }

  reportPlayed(item_id, played_ms) {
    this.heard = { item_id, played_ms };
    if (this.isOpen) {
      this.connection.send(protocol.playbackReport(item_id, played_ms, this.receivedBytes));
    } else if (this.isAway) {
      this.untold.set(item_id, played_ms);
    }
  }

  /** The browser says that it has no network: the socket may outlive that, or not. */
  wentOffline() {
    if (this.token && !this.isAway) {
      this.goAway();
      this.givePatience();
    }
  }

  /** The network is back, or the page is seen again: if the call is away, there is nothing to wait for. */
  tryNow() {
    const hasJustTried = this.isResuming && this.now() - this.triedAt_ms < SAME_MOMENT_MS;
    if (this.isAway && !hasJustTried) {
      this.tries = 0;
      this.resume();
    }
  }

  /** The device slept: what the socket says of itself is from before that. */
  slept() {
    if (this.token && !this.isAway) {
      this.goAway();
    }
    this.tryNow();
  }

  /** Close from our side, which ends the call. `code` is what onClose will say. */
  close(code = "closed") {
    const { connection } = this;
    this.finish(code);
    connection?.close();
  }

  connect(first, timeout_ms) {
    this.connection?.abandon();
    this.connection = new Connection({
      onMessage: (message) => this.receive(message),
      onAudio: (pcm) => this.hear(pcm),
      onClose: (code, isLost) => this.closed(code, isLost),
    });
    this.connection.open(this.url, first, timeout_ms);
  }

  receive(message) {
    if (!OF_ONE_SOCKET.has(message?.type)) {
      this.receivedMessages += 1;
    }
    if (message === null) {
      return;
    }
    this.learn(message);
    if (message.type === "session.resumed" || !this.isResuming) {
      this.back();
    }
    this.handlers.onMessage(message);
  }

  learn(message) {
    this.beginning = null;
    if (message.type === "session.started") {
      this.token = message.resume_token;
      this.within_ms = message.resume_within_ms;
    } else if (message.type === "session.ended" || (message.type === "error" && message.fatal)) {
      this.token = "";
    }
  }

  hear(pcm) {
    if (!this.isResuming) {
      this.back();
    }
    this.receivedBytes += pcm.byteLength;
    this.handlers.onAudio(pcm);
  }

  closed(code, isLost) {
    if (this.beginning && code === "restarting" && this.restarts < RESTARTS_MAX) {
      this.restarts += 1;
      this.wait(RESTART_PAUSE_MS, () => this.begin());
      return;
    }
    if (!this.token || !isLost) {
      this.finish(code);
      return;
    }
    this.goAway();
    this.tryLater();
  }

  // Away and back

  goAway() {
    if (!this.isAway) {
      this.tries = 0;
      this.until_ms = this.now() + this.within_ms;
      this.handlers.onAway(this.until_ms);
    }
  }

  heldUp() {
    this.isJammed = true;
    this.goAway();
    this.givePatience();
  }

  givePatience() {
    this.wait(HELD_UP_MS_MAX, () => this.resume());
  }

  tryLater() {
    const due_ms = nextTryAt({ tries: this.tries, now_ms: this.now(), until_ms: this.until_ms }, this.random);
    if (due_ms === null) {
      this.finish("resume_too_late");
    } else {
      this.wait(due_ms - this.now(), () => this.resume());
    }
  }

  resume() {
    clearTimeout(this.timer);
    this.tries += 1;
    this.isResuming = true;
    this.isJammed = false;
    this.triedAt_ms = this.now();
    const { receivedBytes: received_bytes, receivedMessages: received_messages } = this;
    this.lastResume = protocol.sessionResume(this.token, { ...this.heard, received_bytes, received_messages });
    this.connect(this.lastResume, RESUME_TIMEOUT_MS);
  }

  back() {
    if (!this.isAway) {
      return;
    }
    clearTimeout(this.timer);
    this.until_ms = null;
    this.isResuming = this.isJammed = false;
    this.handlers.onBack();
    for (const [item_id, played_ms] of this.untold) {
      this.connection.send(protocol.playbackReport(item_id, played_ms, this.receivedBytes));
    }
    this.untold.clear();
  }

  wait(delay_ms, then) {
    clearTimeout(this.timer);
    this.timer = setTimeout(then, delay_ms);
  }

  finish(code) {
    clearTimeout(this.timer);
    this.token = "";
    this.until_ms = null;
    const { onClose } = this.handlers;
    this.handlers = { onMessage() {}, onAudio() {}, onAway() {}, onBack() {}, onClose() {} };
    onClose(code);
  }
}
