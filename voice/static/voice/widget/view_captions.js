// Part of the view: the log of what was said. Words still being spoken are shown but hidden from screen readers; a
// finished line is put in as a new element, which the live region then announces once.

import { PAGE } from "./strings.js";

// Within this of the end, the reader is following and the log scrolls along.
const FOLLOWING_PX = 40;

const keyOf = (entry) => `${entry.speaker} ${entry.item_id}`;

function lineFor(entry, agentName) {
  const line = document.createElement("p");
  const speaker = document.createElement("span");
  const words = document.createElement("span");
  speaker.className = "call__speaker";
  speaker.textContent = entry.speaker === "agent" ? agentName || PAGE.assistant : PAGE.caller;
  words.className = "call__words";
  line.className = "call__line";
  line.dataset.speaker = entry.speaker;
  line.dataset.final = String(entry.isFinal);
  line.dataset.interrupted = String(entry.isInterrupted);
  if (!entry.isFinal) {
    line.setAttribute("aria-hidden", "true");
  }
  words.textContent = entry.text;
  line.append(speaker, " ", words);
  return line;
}

export class CaptionsView {
  constructor(log) {
    this.log = log;
    this.lines = new Map(); // key -> { entry, element }
    this.isFollowing = true;
    log.addEventListener("scroll", () => this.scrolled());
    new ResizeObserver(() => this.follow()).observe(log);
  }

  // A reader who scrolls up stops following; a log that changes its size under the reader is no scrolling.
  scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.log;
    if (scrollHeight === this.scrollHeight && clientHeight === this.clientHeight) {
      this.isFollowing = scrollHeight - scrollTop - clientHeight < FOLLOWING_PX;
    }
  }

  follow() {
    if (this.isFollowing) {
      this.log.scrollTop = this.log.scrollHeight;
    }
    this.scrollHeight = this.log.scrollHeight;
    this.clientHeight = this.log.clientHeight;
  }

  render(captions, agentName) {
    if (captions === this.shown) {
      return;
    }
    this.shown = captions;
    const kept = new Map();
    let before = null;
    for (const entry of captions.entries) {
      const element = this.elementFor(entry, agentName);
      const place = before ? before.nextSibling : this.log.firstChild;
      if (element !== place) {
        this.log.insertBefore(element, place);
      }
      kept.set(keyOf(entry), { entry, element });
      before = element;
    }
    this.dropOthers(kept);
    this.lines = kept;
    this.follow();
  }

  elementFor(entry, agentName) {
    const shown = this.lines.get(keyOf(entry));
    if (!shown || shown.entry.isFinal !== entry.isFinal || shown.entry.isInterrupted !== entry.isInterrupted) {
      return lineFor(entry, agentName);
    }
    if (shown.entry.text !== entry.text) {
      shown.element.querySelector(".call__words").textContent = entry.text;
    }
    return shown.element;
  }

  dropOthers(kept) {
    const wanted = new Set([...kept.values()].map(({ element }) => element));
    for (const element of [...this.log.children]) {
      if (!wanted.has(element)) {
        element.remove();
      }
    }
  }
}
