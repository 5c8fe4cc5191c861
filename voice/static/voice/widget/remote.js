// What a page around the call may ask of it, and what it is told: DOM events on the call's element, which embed/frame.js
// carries across to a customer's page. Not part of the call: without listeners, nothing here does anything.

import { isActive } from "./session.js";

const COMMANDS = {
  start: (call, { voice = true }) => call.start(voice !== false),
  end: (call) => (call.session.phase === "live" ? call.hangUp() : isActive(call.session) && call.primary()),
  mute: (call, { muted }) => call.microphone && call.session.muted !== Boolean(muted) && call.toggleMute(),
  voice: (call, { isOn }) => typeof isOn === "boolean" && call.live?.chooseMode(isOn),
  sendText: (call, { text }) => typeof text === "string" && call.sendText(text),
};

/** Let "parley:command" events on the call's element, detail { name, ... }, do what its buttons do. */
export function obeyPage(call) {
  call.root.addEventListener("parley:command", ({ detail }) => {
    if (Object.hasOwn(COMMANDS, detail?.name)) {
      COMMANDS[detail.name](call, detail);
    }
  });
}

const TOLD = {
  "caption.final": ({ speaker, item_id, text, interrupted }) => ["transcript", { speaker, item_id, text, interrupted, final: true }],
  "caption.delta": ({ speaker, item_id, text }) => ["transcript", { speaker, item_id, text, final: false }],
  "task.completed": ({ name, fields }) => ["task", { name, fields }],
  error: ({ code, message, fatal }) => ["error", { code, message, fatal }],
};

/** The event's name and detail for the page, for a message of the server's; null when the page is not told of it. */
export function toldOf(message) {
  return TOLD[message.type]?.(message) ?? null;
}
