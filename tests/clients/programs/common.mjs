// What the Node programs share: what they are told, the caller's voice, and the report they print at the end.

import { readFileSync } from "node:fs";

const FRAME_MS = 20;
const FRAME_BYTES = (24_000 * 2 * FRAME_MS) / 1000;
const PATIENCE_MS = 60_000;

export const TOOL = {
  type: "function",
  name: "find_free_times",
  description: "Look up when an appointment can be had.",
  parameters: { type: "object", properties: {}, required: [] },
};
export const TOOL_OUTPUT = JSON.stringify({ message: "Friday at nine is free." });

export const task = JSON.parse(process.argv[2]);

export class Report {
  answers = [];
  tools = [];
  interrupted = false;
  input_tokens = 0;
  output_tokens = 0;
  errors = [];

  used(usage) {
    this.input_tokens += usage.input_tokens;
    this.output_tokens += usage.output_tokens;
  }

  print() {
    console.log(JSON.stringify(this));
  }
}

// Speaks recordings in real time, and silence between them, as a microphone that is never switched off.
export class Microphone {
  #left = Buffer.alloc(0);
  #timer = null;

  constructor(hears) {
    this.hears = hears;
  }

  say(recording) {
    this.#left = Buffer.concat([this.#left, pcmOf(recording)]);
  }

  start() {
    let due = performance.now();
    this.#timer = setInterval(() => {
      while (due <= performance.now()) {
        const frame = Buffer.alloc(FRAME_BYTES);
        this.#left.copy(frame, 0, 0, FRAME_BYTES);
        this.#left = this.#left.subarray(FRAME_BYTES);
        this.hears(frame);
        due += FRAME_MS;
      }
    }, FRAME_MS / 2);
  }

  stop() {
    clearInterval(this.#timer);
  }
}

// Events in order, waited for one after the other.
export class Events {
  #queue = [];
  #wake = null;

  put(event) {
    this.#queue.push(event);
    this.#wake?.();
  }

  async until(...kinds) {
    const giveUpAt = Date.now() + PATIENCE_MS;
    for (;;) {
      while (this.#queue.length) {
        const event = this.#queue.shift();
        if (kinds.includes(event.type)) return event;
      }
      if (Date.now() > giveUpAt) throw new Error(`waited in vain for ${kinds.join(", ")}`);
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, 500);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}

export function isOpen() {
  console.log(JSON.stringify({ open: true }));
}

function pcmOf(recording) {
  const wav = readFileSync(recording);
  if (wav.readUInt32LE(24) !== 24_000 || wav.readUInt16LE(22) !== 1) throw new Error(`${recording}: not 24 kHz mono`);
  for (let at = 12; ; ) {
    const size = wav.readUInt32LE(at + 4);
    if (wav.toString("latin1", at, at + 4) === "data") return wav.subarray(at + 8, at + 8 + size);
    at += 8 + size;
  }
}
