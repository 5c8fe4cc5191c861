// Turns audio that arrives unevenly into an even stream: waits just long enough before an item starts. Pure; runs in the
// playback worklet and, with injected jitter, in node.

export const SAMPLE_RATE = 24_000;
const SAMPLES_PER_MS = SAMPLE_RATE / 1000;

// The first answer (a greeting, where nobody waits for a reply) starts late enough to ride out 200 ms; what it teaches
// about the network sets the delay of those that follow.
const FIRST_DELAY_MS = 200;
const DELAY_MS_MIN = 40;
const DELAY_MS_MAX = 300;
const MARGIN_MS = 20;
// How many answers are remembered. One answer can be lucky; eight in a row are not.
const REMEMBERED_ITEMS = 8;
// Shorter than this teaches nothing about the network.
const EVIDENCE_MS_MIN = 400;
// Ten minutes. More than that unheard is a fault; the protocol stops the sender at 15 s behind, so it is never met.
const QUEUED_SAMPLES_MAX = SAMPLE_RATE * 600;
// Each sample of a cut-off wave keeps this share of the one before: silent in about 3 ms, without a click.
const FADE = 0.94;

const ms_of = (samples) => samples / SAMPLES_PER_MS;

class Item {
  constructor(id) {
    this.id = id;
    this.chunks = [];
    this.offset = 0; // samples of chunks[0] already rendered
    this.received = 0;
    this.played = 0;
    this.ended = false;
    this.isCut = false; // whether it came over more than one line
    this.firstArrival_ms = null;
    this.waitingSince_ms = null; // first arrival since the start, or since the buffer last ran dry
    this.earliest_ms = 0; // the least late any chunk has been
    this.need_ms = 0; // the delay that would have hidden every late chunk
  }

  /** Learn from when the next chunk came, before it is counted as received. */
  noteArrival(now_ms) {
    // How late it would have been, had the item been heard from its first arrival on; below 0, how far ahead.
    const late_ms = now_ms - this.firstArrival_ms - ms_of(this.received);
    this.earliest_ms = Math.max(-FIRST_DELAY_MS, Math.min(this.earliest_ms, late_ms));
    // Compared with the earliest, not with the first: the first may have been late itself. Where the sender is far
    // ahead, a pause in sending is no jitter: what is buffered bridges it.
    if (late_ms > -FIRST_DELAY_MS) {
      this.need_ms = Math.min(DELAY_MS_MAX, Math.max(this.need_ms, late_ms - this.earliest_ms));
    }
  }

  get buffered() {
    return this.received - this.played;
  }

  /** Forget what has not been heard. */
  drop() {
    this.chunks = [];
    this.offset = 0;
    this.received = this.played;
  }
}

export class JitterBuffer {
  constructor() {
    this.items = [];
    this.current = null; // the item whose sound was rendered last, until the next begins
    this.receiving = null; // the item that arriving audio belongs to; null right after a clear
    this.flowing = false;
    this.needs_ms = [];
    this.seed_ms = FIRST_DELAY_MS;
    this.lastSample = 0;
    this.underruns = 0;
    this.finished = []; // items that have been heard to their end since last asked
  }

  /** How long an item waits, from its first audio, before it is heard. */
  get delay_ms() {
    const learnt = Math.max(0, ...this.needs_ms) + MARGIN_MS;
    return Math.min(DELAY_MS_MAX, Math.max(DELAY_MS_MIN, learnt, this.seed_ms));
  }

  get buffered() {
    return this.items.reduce((total, item) => total + item.buffered, 0);
  }

  begin(id) {
    if (this.receiving && this.receiving.id !== id) {
      this.end(this.receiving.id);
    }
    this.receiving = this.goOn(id) ?? new Item(id);
    if (!this.items.includes(this.receiving)) {
      this.items.push(this.receiving);
    }
  }

  // An item that a lost line cut in two is one: what was heard of it counts on. How its rest comes says nothing about the
  // network, since it waited for us.
  goOn(id) {
    const item = this.find(id);
    if (item) {
      item.ended = false;
      item.isCut = true;
    }
    return item;
  }

  find(id) {
    return this.items.find((item) => item.id === id) ?? (this.current?.id === id ? this.current : null);
  }

  /** Take an Int16Array that arrived at now_ms. Audio that belongs to no item (it was cleared) is dropped. */
  push(samples, now_ms) {
    const item = this.receiving;
    if (!item || samples.length === 0 || this.buffered + samples.length > QUEUED_SAMPLES_MAX) {
      return;
    }
    item.firstArrival_ms ??= now_ms;
    item.waitingSince_ms ??= now_ms;
    item.noteArrival(now_ms);
    item.chunks.push(samples);
    item.received += samples.length;
  }

  end(id) {
    const item = this.items.find((candidate) => candidate.id === id);
    if (!item) {
      return;
    }
    item.ended = true;
    if (this.receiving === item) {
      this.receiving = null;
    }
    this.learn(item);
  }

  /** The caller interrupted: drop everything. Answers what had been heard of the item; for null, of the one that was heard last. */
  clear(id) {
    const heard = id === null ? (this.current ?? this.items[0] ?? null) : this.find(id);
    if (this.receiving) {
      this.learn(this.receiving);
    }
    for (const item of this.items) {
      item.drop();
    }
    this.items = [];
    this.receiving = null;
    this.flowing = false;
    return { item_id: heard?.id ?? id, played_ms: heard ? Math.floor(ms_of(heard.played)) : 0 };
  }

  /** Fill a Float32Array with the next samples; silence where there are none. */
  render(output, now_ms) {
    let written = 0;
    while (written < output.length && this.mayFlow(now_ms)) {
      written = this.copy(this.items[0], output, written);
      this.dropHeardItems();
    }
    this.fadeOut(output, written);
  }

  /** What to report: how much of which item was really rendered. */
  position() {
    const item = this.current ?? this.items[0] ?? null;
    return { item_id: item ? item.id : null, played_ms: item ? Math.floor(ms_of(item.played)) : 0 };
  }

  takeFinished() {
    const finished = this.finished;
    this.finished = [];
    return finished;
  }

  learn(item) {
    if (item.isCut || ms_of(item.received) < EVIDENCE_MS_MIN) {
      return;
    }
    this.needs_ms = [...this.needs_ms, item.need_ms].slice(-REMEMBERED_ITEMS);
    this.seed_ms /= 2;
  }

  mayFlow(now_ms) {
    this.dropHeardItems();
    const item = this.items[0];
    if (!item) {
      this.flowing = false;
      return false;
    }
    if (this.flowing && item.buffered === 0 && item.played > 0) {
      this.pauseToRefill(item);
    }
    this.flowing = item.buffered > 0 && (this.flowing || item.ended || this.isReady(item, now_ms));
    return this.flowing;
  }

  isReady(item, now_ms) {
    return now_ms - item.waitingSince_ms >= this.delay_ms || ms_of(item.buffered) >= this.delay_ms;
  }

  // Ran dry in mid-item: one longer pause is less ugly than several short ones, so wait as long as at a start.
  pauseToRefill(item) {
    this.underruns += 1;
    item.waitingSince_ms = null;
    this.flowing = false;
    this.seed_ms = Math.min(DELAY_MS_MAX, Math.max(this.seed_ms, item.need_ms));
  }

  copy(item, output, written) {
    const chunk = item.chunks[0];
    const count = Math.min(chunk.length - item.offset, output.length - written);
    for (let index = 0; index < count; index += 1) {
      output[written + index] = chunk[item.offset + index] / 32768;
    }
    this.current = item;
    this.lastSample = output[written + count - 1];
    item.offset += count;
    item.played += count;
    if (item.offset === chunk.length) {
      item.chunks.shift();
      item.offset = 0;
    }
    return written + count;
  }

  dropHeardItems() {
    while (this.items.length > 0 && this.items[0].ended && this.items[0].buffered === 0) {
      const item = this.items.shift();
      this.flowing = false; // the next item waits for itself
      this.finished.push({ item_id: item.id, played_ms: Math.floor(ms_of(item.played)) });
    }
  }

  fadeOut(output, from) {
    for (let index = from; index < output.length; index += 1) {
      this.lastSample = Math.abs(this.lastSample) < 1e-4 ? 0 : this.lastSample * FADE;
      output[index] = this.lastSample;
    }
  }
}
