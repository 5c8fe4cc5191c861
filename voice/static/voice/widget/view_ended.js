// Part of the view: what a finished call shows: how long, what it cost item by item, and the rating.

import * as format from "./format.js";
import { count, END_REASONS, fill, PAGE, RATING, receiptItem } from "./strings.js";

function cell(tag, text, className = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  element.className = className;
  if (tag === "th") {
    element.scope = "row";
  }
  return element;
}

function receiptRow(line, digits) {
  const row = document.createElement("tr");
  row.append(
    cell("th", receiptItem(line.label)),
    cell("td", count(line.unit, line.quantity, format.quantity(line.quantity)), "number"),
    cell("td", format.exactCredits(line.amount_micro, digits), "number"),
  );
  return row;
}

export class EndedView {
  /** part(name) finds an element; onRate({ stars, comment }) sends the rating and answers a promise. */
  constructor(part, onRate) {
    this.part = part;
    this.onRate = onRate;
    this.shown = null;
    const form = part("rating");
    form.addEventListener("change", () => {
      part("comment-field").hidden = false;
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit(form);
    });
  }

  render(session) {
    if (session.ended === this.shown) {
      return;
    }
    this.shown = session.ended;
    if (session.ended) {
      this.showTotals(session);
      this.showReceipt(session);
      this.resetRating(session.ended);
    }
  }

  showTotals({ ended, shows_prices }) {
    this.part("ended-reason").textContent = END_REASONS[ended.reason] ?? "";
    this.part("ended-duration").textContent = format.spokenDuration(ended.duration_ms);
    this.part("ended-cost-pair").hidden = !shows_prices || !ended.receipt;
    this.part("ended-cost").textContent = ended.receipt ? format.credits(ended.receipt.total_micro) : "";
  }

  showReceipt({ ended, shows_prices }) {
    const receipt = ended.receipt;
    this.part("receipt").hidden = !shows_prices || !receipt || receipt.lines.length === 0;
    if (!receipt) {
      return;
    }
    const digits = format.exactDigits([receipt.total_micro, ...receipt.lines.map((line) => line.amount_micro)]);
    this.part("receipt-lines").replaceChildren(...receipt.lines.map((line) => receiptRow(line, digits)));
    this.part("receipt-total").textContent = format.exactCredits(receipt.total_micro, digits);
    const uncollected = this.part("receipt-uncollected");
    uncollected.hidden = receipt.uncollected_micro === 0;
    uncollected.textContent = fill(PAGE.uncollected, { credits: format.credits(receipt.uncollected_micro) });
  }

  resetRating(ended) {
    this.part("rating").reset();
    this.part("rating").hidden = ended.rating_token === "";
    this.part("comment-field").hidden = true;
    this.part("rated").textContent = "";
  }

  async submit(form) {
    const values = new FormData(form);
    const button = form.querySelector("[type=submit]");
    button.disabled = true;
    try {
      await this.onRate({ stars: Number(values.get("stars")), comment: String(values.get("comment") ?? "").trim() });
      this.part("rated").textContent = RATING.thanks;
      form.hidden = true;
      this.part("ended-title").focus();
    } catch {
      this.part("rated").textContent = RATING.failed;
    } finally {
      button.disabled = false;
    }
  }
}
