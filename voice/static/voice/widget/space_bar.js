// Push to talk with the space bar: which presses are speech, and which are somebody typing. Pure: it is handed the events.

// Kinds of <input> that are pressed or moved; all others are typed into.
const PRESSED_INPUTS = new Set(["button", "checkbox", "color", "file", "image", "radio", "range", "reset", "submit"]);
const KEEPERS = new Set(["a", "select", "textarea"]);

/** Whether an element needs the space bar for itself: text fields, lists and links do; a button can be pressed with Enter. */
export function keepsSpace({ tagName = "", type = "", isContentEditable = false }) {
  const tag = tagName.toLowerCase();
  return tag === "input" ? !PRESSED_INPUTS.has(type) : KEEPERS.has(tag) || isContentEditable;
}

const isShortcut = (event) => event.ctrlKey || event.altKey || event.metaKey;

export class SpaceBar {
  /** isWanted(): whether push to talk is on the page now. onHold(bool): the bar was pressed or let go. */
  constructor({ isWanted, onHold }) {
    this.isWanted = isWanted;
    this.onHold = onHold;
    this.isTaken = false;
  }

  isForUs(event) {
    return this.isWanted() && !keepsSpace(event.target);
  }

  down(event) {
    if (event.code !== "Space" || isShortcut(event)) {
      return;
    }
    const isSpeech = this.isForUs(event);
    // A press that began as speech stays ours to its end, whatever gets the focus meanwhile.
    this.isTaken = isSpeech || (this.isTaken && event.repeat);
    if (this.isTaken) {
      event.preventDefault();
    }
    if (isSpeech) {
      this.onHold(true);
    }
  }

  up(event) {
    if (event.code !== "Space") {
      return;
    }
    // A button is pressed when the bar is let go over it: without this, letting go would hang up.
    if (this.isTaken || this.isForUs(event)) {
      event.preventDefault();
    }
    this.isTaken = false;
    this.onHold(false);
  }
}
