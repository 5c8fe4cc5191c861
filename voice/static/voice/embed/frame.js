// Inside the frame: passes on what the call does to the page that shows it, and what that page wants to the call.
// Only to and from the origin that the frame was opened for: the server lets no other site show it (frame-ancestors).

const { parent: parentOrigin, form, look } = document.body.dataset;
const call = document.querySelector("[data-parley-call]");

const tell = (event, detail = {}) => window.parent.postMessage({ parley: 1, event, detail }, parentOrigin);

// What the page may be told of, by the call's own names.
const TOLD = ["state", "transcript", "task", "ended", "rated", "error"];

function listenToCall() {
  for (const name of TOLD) {
    call.addEventListener(`parley:${name}`, (event) => tell(name, event.detail));
  }
}

function obey(event) {
  const message = event.data;
  if (event.source !== window.parent || event.origin !== parentOrigin || message?.parley !== 1) {
    return;
  }
  if (message.command === "opened") {
    document.querySelector("[data-role=primary]")?.focus({ preventScroll: true });
  } else {
    call?.dispatchEvent(new CustomEvent("parley:command", { detail: { name: message.command, ...message.detail } }));
  }
}

function followSize() {
  const measured = document.querySelector("main");
  new ResizeObserver(() => tell("size", { height: Math.ceil(measured.getBoundingClientRect().height) })).observe(measured);
}

if (parentOrigin && window.parent !== window) {
  window.addEventListener("message", obey);
  if (call) {
    listenToCall();
  }
  if (form === "inline") {
    followSize();
  }
  if (form === "floating") {
    document.addEventListener("keydown", (event) => event.key === "Escape" && tell("close"));
    document.querySelector("[data-role=close]")?.addEventListener("click", () => tell("close"));
  }
  tell("ready", JSON.parse(look));
  if (!call) {
    // No call can start: the page's own buttons have to know.
    tell("state", { state: "maintenance", session_id: "", asks: false });
  }
}
