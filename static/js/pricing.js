// Works the answer out again when a question of the worksheet changes; without this script its button does.

const PAUSE_MS = 250;

const form = document.querySelector("[data-worksheet]");
const answer = document.querySelector("[data-answer]");
const spoken = document.querySelector("[data-spoken-answer]");
let timer = 0;
let latest = 0;

function query() {
  return new URLSearchParams(new FormData(form)).toString();
}

async function workOut() {
  if (!form.checkValidity()) {
    return;
  }
  const turn = ++latest;
  answer.setAttribute("aria-busy", "true");
  try {
    const response = await fetch(`${location.pathname}?${query()}`);
    const text = await response.text();
    // A slow answer to an earlier question must not replace that to a later one.
    if (turn === latest && response.ok) {
      show(new DOMParser().parseFromString(text, "text/html"));
    }
  } finally {
    if (turn === latest) {
      answer.removeAttribute("aria-busy");
    }
  }
}

function show(page) {
  const fresh = page.querySelector("[data-answer]");
  const openDetails = answer.querySelector("details")?.open ?? false;
  answer.replaceChildren(...fresh.childNodes);
  const details = answer.querySelector("details");
  if (details) {
    details.open = openDetails;
  }
  spoken.textContent = answer.querySelector("[data-in-short]")?.innerText.replaceAll("\n", " ") ?? "";
  history.replaceState(null, "", `${location.pathname}?${query()}`);
}

form.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(() => workOut().catch(() => form.submit()), PAUSE_MS);
});
