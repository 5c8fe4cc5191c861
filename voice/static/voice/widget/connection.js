// The call's websocket: opens it with the ticket, hands messages and audio on, and says why it closed.

import * as protocol from "./protocol.js";

const START_TIMEOUT_MS = 15_000;
// One second of audio. When the network holds more than this back, newer frames are dropped: late speech is worse than
// lost speech, and a burst would be refused as too much audio.
const UNSENT_BYTES_MAX = 48_000;
const NORMAL_CLOSE = 1000;

export function socketUrl(path, base) {
  const url = new URL(path, base);
  url.protocol = url.protocol.replace(/^http/, "ws");
  return url.href;
}

export class Connection {
  /** Handlers: onMessage(message), onAudio(ArrayBuffer), onClose(code: string). onClose comes exactly once, and last. */
  constructor({ onMessage, onAudio, onClose }) {
    this.handlers = { onMessage, onAudio, onClose };
    this.socket = null;
    this.receivedBytes = 0;
    this.timer = null;
  }

  open(url, ticket, voice) {
    this.socket = new WebSocket(url, protocol.SUBPROTOCOL);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => this.send(protocol.sessionStart(ticket, voice));
    this.socket.onmessage = (event) => this.receive(event.data);
    this.socket.onclose = (event) => this.closed(event.code);
    this.timer = setTimeout(() => this.close("start_timeout"), START_TIMEOUT_MS);
  }

  get isOpen() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  /** Whether what we said lies waiting: the network lets nothing through. */
  get isHeldUp() {
    return this.isOpen && this.socket.bufferedAmount >= UNSENT_BYTES_MAX;
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

  /** Close from our side. `code` is what onClose will say. */
  close(code = "closed") {
    if (!this.socket) {
      return;
    }
    const socket = this.socket;
    this.finish(code);
    socket.close(NORMAL_CLOSE);
  }

  receive(data) {
    if (typeof data !== "string") {
      this.receivedBytes += data.byteLength;
      this.handlers.onAudio(data);
      return;
    }
    let message;
    try {
      message = protocol.parse(data);
    } catch {
      return; // From a newer server, perhaps. What matters to the call comes in messages we know.
    }
    if (message.type === "session.started") {
      clearTimeout(this.timer);
    }
    this.handlers.onMessage(message);
  }

  closed(closeCode) {
    if (this.socket) {
      this.finish(protocol.CLOSE_CODES[closeCode] ?? "network_lost");
    }
  }

  finish(code) {
    clearTimeout(this.timer);
    this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
    this.socket = null;
    this.handlers.onClose(code);
  }
}
