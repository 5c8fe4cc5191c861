// One websocket of the call: says who we are, hands messages and audio on, and says why it closed.

import * as protocol from "./protocol.js";

// One second of audio. When the network holds more than this back, newer frames are dropped: late speech is worse than
// lost speech, and a burst would be refused as too much audio.
const UNSENT_BYTES_MAX = 48_000;
const NORMAL_CLOSE = 1000;
const GREETINGS = new Set(["session.started", "session.resumed", "session.ended"]);

export function socketUrl(path, base) {
  const url = new URL(path, base);
  url.protocol = url.protocol.replace(/^http/, "ws");
  return url.href;
}

export class Connection {
  /**
   * Handlers: onMessage(message, or null for one of a type we do not know), onAudio(ArrayBuffer), onClose(code: string,
   * isLost: bool). onClose comes exactly once, and last.
   */
  constructor({ onMessage, onAudio, onClose }) {
    this.handlers = { onMessage, onAudio, onClose };
    this.socket = null;
    this.timer = null;
  }

  /** `first` is the message that says who we are; without an answer to it within timeout_ms the socket counts as lost. */
  open(url, first, timeout_ms) {
    this.socket = new WebSocket(url, protocol.SUBPROTOCOL);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => this.send(first);
    this.socket.onmessage = (event) => this.receive(event.data);
    this.socket.onclose = (event) => this.finish(protocol.CLOSE_CODES[event.code] ?? "network_lost", protocol.isLoss(event.code));
    this.timer = setTimeout(() => this.giveUp("start_timeout"), timeout_ms);
  }

  get isOpen() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  get unsentBytes() {
    return this.socket?.bufferedAmount ?? 0;
  }

  /** Whether what we said lies waiting: the network lets nothing through. */
  get isHeldUp() {
    return this.isOpen && this.unsentBytes >= UNSENT_BYTES_MAX;
  }

  send(message) {
    if (this.isOpen) {
      this.socket.send(protocol.serialise(message));
    }
  }

  sendAudio(pcm) {
    if (this.isOpen && !this.isHeldUp) {
      this.socket.send(pcm);
    }
  }

  /** Close from our side, which ends the call. `code` is what onClose will say. */
  close(code = "closed") {
    const { socket } = this;
    this.finish(code, false);
    socket?.close(NORMAL_CLOSE);
  }

  /** Say goodbye to the socket, not to the call: it closes without a code. */
  giveUp(code = "closed") {
    const { socket } = this;
    this.finish(code, true);
    socket?.close();
  }

  /** Hear no more of this socket, which another one takes over from. */
  abandon() {
    this.handlers = { onMessage() {}, onAudio() {}, onClose() {} };
    this.giveUp();
  }

  receive(data) {
    if (typeof data !== "string") {
      this.handlers.onAudio(data);
      return;
    }
    const message = this.parse(data);
    if (GREETINGS.has(message?.type)) {
      clearTimeout(this.timer);
    }
    this.handlers.onMessage(message);
  }

  parse(text) {
    try {
      return protocol.parse(text);
    } catch {
      return null; // From a newer server, perhaps. What matters to the call comes in messages we know.
    }
  }

  finish(code, isLost) {
    if (this.socket) {
      clearTimeout(this.timer);
      this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
      this.socket = null;
      this.handlers.onClose(code, isLost);
    }
  }
}
