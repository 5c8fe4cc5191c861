// Puts an agent on a page: one classic script, one global (Parley), an iframe from the host this file came from.
// How to use it: docs/embedding.md. Nothing here runs in the frame; the call itself is voice/embed/frame.js and widget/.

(() => {
  "use strict";

  if (window.Parley?.mount) {
    window.Parley.mountScript(document.currentScript);
    return;
  }

  const HOST = new URL(document.currentScript.src).origin;
  const FORMS = ["floating", "inline", "headless"];
  const COMMANDS = ["start", "end", "mute", "voice", "sendText"];
  // A frame that stays silent this long was not let in: by this page's policy, or because it is not on the agent's list.
  const READY_MS_MAX = 15_000;
  const PANEL = { width: 400, height: 680, gap: 16, launcher: 56 };
  const DEFAULTS = { form: "floating", position: "right", label: "Talk", accent: "#0b6b57", onAccent: "#ffffff" };
  // Set through the CSSOM, which a page's style-src does not forbid.
  const STYLE = `
    :host { all: initial; }
    * { box-sizing: border-box; }
    .launcher {
      position: fixed; bottom: ${PANEL.gap}px; z-index: 2147483000;
      display: inline-flex; align-items: center; gap: 10px; min-height: ${PANEL.launcher}px; padding: 0 22px 0 18px;
      border: 0; border-radius: 999px; cursor: pointer;
      background: var(--accent); color: var(--on-accent);
      font: 600 16px/1.2 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
      box-shadow: 0 2px 6px rgb(0 0 0 / 14%), 0 12px 32px -8px rgb(0 0 0 / 32%);
    }
    .launcher:hover { filter: brightness(1.08); }
    .launcher:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; }
    .launcher svg { width: 22px; height: 22px; flex: none; }
    .launcher[data-live="true"] svg { animation: breathe 1.6s ease-in-out infinite; }
    @keyframes breathe { 50% { opacity: 0.45; } }
    .panel {
      position: fixed; bottom: ${PANEL.gap * 2 + PANEL.launcher}px; z-index: 2147483000;
      width: min(${PANEL.width}px, calc(100vw - ${PANEL.gap * 2}px));
      height: min(${PANEL.height}px, calc(100dvh - ${PANEL.gap * 3 + PANEL.launcher}px));
      border-radius: 22px; overflow: hidden; background: Canvas;
      box-shadow: 0 2px 6px rgb(0 0 0 / 12%), 0 24px 56px -12px rgb(0 0 0 / 34%);
    }
    .panel[hidden] { display: block; visibility: hidden; pointer-events: none; }
    .panel iframe { display: block; width: 100%; height: 100%; border: 0; }
    [data-position="right"] { right: ${PANEL.gap}px; }
    [data-position="left"] { left: ${PANEL.gap}px; }
    .inline iframe { display: block; width: 100%; min-height: 320px; border: 0; }
    .headless { position: fixed; width: 1px; height: 1px; overflow: hidden; bottom: 0; opacity: 0; pointer-events: none; }
    .headless[data-asks="true"] {
      inset: auto ${PANEL.gap}px ${PANEL.gap}px auto; width: min(${PANEL.width}px, calc(100vw - ${PANEL.gap * 2}px));
      height: min(${PANEL.height}px, calc(100dvh - ${PANEL.gap * 2}px)); opacity: 1; pointer-events: auto;
      z-index: 2147483000; border-radius: 22px;
    }
    .headless iframe { width: 100%; height: 100%; border: 0; }
    @media (max-width: 480px) {
      .panel { inset: auto 0 0 0; width: 100vw; height: calc(100dvh - ${PANEL.gap}px); border-radius: 22px 22px 0 0; z-index: 2147483001; }
    }
    @media (prefers-reduced-motion: reduce) { .launcher svg { animation: none !important; } }
  `;

  class Widget {
    constructor(options) {
      this.options = { ...DEFAULTS, ...options };
      if (!/^pk_[\w-]{8,60}$/.test(this.options.agent ?? "")) {
        throw new TypeError("Parley: data-agent must be the agent's public key, as in pk_...");
      }
      if (!FORMS.includes(this.options.form)) {
        throw new TypeError(`Parley: the form is one of ${FORMS.join(", ")}.`);
      }
      this.listeners = new Map();
      this.waiting = [];
      this.isReady = false;
      this.isOpen = this.options.form === "inline";
      this.hear = (event) => this.heard(event);
      window.addEventListener("message", this.hear);
      this.build();
      this.readyTimer = setTimeout(() => this.notLetIn(), READY_MS_MAX);
    }

    build() {
      this.element = document.createElement("div");
      this.element.dataset.parley = this.options.form;
      const root = this.element.attachShadow({ mode: "open" });
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
      root.adoptedStyleSheets = [sheet];
      this.frame = this.buildFrame();
      this.box = document.createElement("div");
      this.box.className = this.options.form === "floating" ? "panel" : this.options.form;
      this.box.append(this.frame);
      root.append(this.box);
      if (this.options.form === "floating") {
        this.buildPanel(root);
      }
      this.place();
      this.paint();
    }

    buildFrame() {
      const frame = document.createElement("iframe");
      const query = new URLSearchParams({ form: this.options.form, parent: location.origin });
      if (this.options.language) {
        query.set("language", this.options.language);
      }
      frame.src = `${HOST}/embed/${encodeURIComponent(this.options.agent)}/?${query}`;
      frame.allow = "microphone; autoplay; screen-wake-lock; clipboard-write";
      frame.title = this.options.title || this.options.label;
      // Without it a dark frame on a light page is given an opaque ground (CSS Color Adjustment, 2.3).
      frame.style.setProperty("color-scheme", "light dark");
      return frame;
    }

    buildPanel(root) {
      this.box.hidden = true;
      this.box.id = "panel";
      this.box.setAttribute("role", "dialog");
      this.launcher = document.createElement("button");
      this.launcher.type = "button";
      this.launcher.className = "launcher";
      this.launcher.hidden = true; // until the frame was let in: a button that does nothing is worse than none
      this.launcher.style.setProperty("display", "none");
      this.launcher.setAttribute("aria-controls", "panel");
      this.words = document.createElement("span");
      this.launcher.append(microphoneIcon(), this.words);
      this.launcher.addEventListener("click", () => (this.isOpen ? this.close() : this.open()));
      root.append(this.launcher);
    }

    place() {
      const { target } = this.options;
      const place = typeof target === "string" ? document.querySelector(target) : target;
      if (this.options.form === "inline" && !place) {
        throw new TypeError("Parley: the inline form needs a target: an element, or a selector that finds one.");
      }
      (place ?? document.body).append(this.element);
    }

    /** What the owner chose in the console, unless this page says otherwise. */
    paint(look = {}) {
      const chosen = { ...DEFAULTS, ...look, ...given(this.options) };
      this.box.style.setProperty("--accent", chosen.accent);
      this.box.dataset.position = chosen.position;
      this.frame.title = chosen.title || chosen.label;
      if (this.launcher) {
        this.launcher.style.setProperty("--accent", chosen.accent);
        this.launcher.style.setProperty("--on-accent", chosen.accent === look.accent ? look.onAccent : readableOn(chosen.accent));
        this.launcher.dataset.position = chosen.position;
        this.words.textContent = chosen.label;
        this.box.setAttribute("aria-label", chosen.label);
        this.launcher.setAttribute("aria-expanded", String(this.isOpen));
      }
    }

    // What the frame says.

    heard(event) {
      const message = event.data;
      if (event.origin !== HOST || event.source !== this.frame.contentWindow || message?.parley !== 1) {
        return;
      }
      if (message.event === "ready") {
        this.becameReady(message.detail);
      } else if (message.event === "size") {
        this.resize(message.detail);
      } else if (message.event === "close") {
        this.close();
        this.launcher?.focus();
      } else if (message.event === "state") {
        this.followState(message.detail);
      }
      if (message.event !== "size" && message.event !== "close") {
        this.emit(message.event, message.detail);
      }
    }

    becameReady(look) {
      clearTimeout(this.readyTimer);
      this.isReady = true;
      this.paint(look);
      if (this.launcher) {
        this.launcher.hidden = false;
        this.launcher.style.removeProperty("display");
      }
      for (const message of this.waiting.splice(0)) {
        this.post(message);
      }
    }

    followState({ state, asks }) {
      if (this.launcher) {
        this.launcher.dataset.live = String(!["idle", "ended", "failed", "busy", "maintenance"].includes(state));
      }
      if (this.options.form === "headless") {
        // Without a face of ours, only what has to be asked of the caller is shown.
        this.box.dataset.asks = String(Boolean(asks));
      }
    }

    resize({ height }) {
      if (this.options.form === "inline" && Number.isFinite(height)) {
        this.frame.style.setProperty("height", `${Math.min(Math.max(height, 320), 4000)}px`);
      }
    }

    notLetIn() {
      console.warn(
        `Parley: ${HOST} could not be shown on this page. Check that ${location.origin} is on the agent's list of sites, and that ` +
          `this page's policy allows frame-src ${HOST}. The agent's page in the console has a check for both.`,
      );
      this.emit("error", { code: "frame_not_loaded" });
    }

    // What the page may do.

    open() {
      if (this.options.form === "floating") {
        this.isOpen = true;
        this.box.hidden = false;
        this.launcher.setAttribute("aria-expanded", "true");
        this.post({ command: "opened" });
        this.frame.focus();
        this.emit("open", {});
      }
      return this;
    }

    close() {
      if (this.options.form === "floating" && this.isOpen) {
        this.isOpen = false;
        this.box.hidden = true;
        this.launcher.setAttribute("aria-expanded", "false");
        this.emit("close", {});
      }
      return this;
    }

    /** Begin a call. `voice`: false types from the start. Whether words may be kept is asked in the frame: nobody answers it for the caller. */
    start({ voice = true } = {}) {
      this.open();
      return this.command("start", { voice });
    }

    end() {
      return this.command("end");
    }

    mute(isMuted = true) {
      return this.command("mute", { muted: Boolean(isMuted) });
    }

    /** In a running call: type from here on (false), or talk again. The microphone is asked for only then. */
    voice(isOn = true) {
      return this.command("voice", { isOn: Boolean(isOn) });
    }

    sendText(text) {
      return this.command("sendText", { text: String(text) });
    }

    command(name, detail = {}) {
      this.post({ command: name, detail });
      return this;
    }

    post(message) {
      if (!this.isReady) {
        this.waiting.push(message);
        return;
      }
      this.frame.contentWindow.postMessage({ parley: 1, ...message }, HOST);
    }

    /** Call `listener(detail)` at each event; returns what stops that. */
    on(name, listener) {
      const listeners = this.listeners.get(name) ?? new Set();
      this.listeners.set(name, listeners.add(listener));
      return () => this.off(name, listener);
    }

    off(name, listener) {
      this.listeners.get(name)?.delete(listener);
      return this;
    }

    emit(name, detail) {
      for (const listener of this.listeners.get(name) ?? []) {
        try {
          listener(detail);
        } catch (error) {
          // A listener of the page's that fails must not stop the call.
          console.error(error);
        }
      }
    }

    /** Take the widget off the page; a live call ends. */
    remove() {
      clearTimeout(this.readyTimer);
      window.removeEventListener("message", this.hear);
      this.element.remove();
    }
  }

  function given(options) {
    const names = ["position", "label", "accent", "title"];
    return Object.fromEntries(names.filter((name) => options.own?.has(name)).map((name) => [name, options[name]]));
  }

  function readableOn(colour) {
    const [red, green, blue] = [1, 3, 5].map((start) => Number.parseInt(colour.slice(start, start + 2), 16) / 255);
    return 0.2126 * red ** 2.2 + 0.7152 * green ** 2.2 + 0.0722 * blue ** 2.2 > 0.3 ? "#111111" : "#ffffff";
  }

  function microphoneIcon() {
    const namespace = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(namespace, "svg");
    const path = document.createElementNS(namespace, "path");
    const attributes = { viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", "stroke-width": "2", "stroke-linecap": "round" };
    Object.entries({ ...attributes, "aria-hidden": "true" }).forEach(([name, value]) => svg.setAttribute(name, value));
    path.setAttribute("d", "M4 10v4M8 7v10M12 4v16M16 7v10M20 10v4");
    svg.append(path);
    return svg;
  }

  // The options of a script's data- attributes; an accent that is no colour is left out rather than passed on.
  function optionsOf(script) {
    const { agent, form, target, position, label, accent, title, language } = script.dataset;
    const own = { agent, form, target, position, label, title, language };
    if (/^#[0-9a-f]{6}$/i.test(accent ?? "")) {
      own.accent = accent;
    }
    return Object.fromEntries(Object.entries(own).filter(([, value]) => value));
  }

  const widgets = [];

  function mount(options) {
    const widget = new Widget({ ...options, own: new Set(Object.keys(options)) });
    widgets.push(widget);
    return widget;
  }

  function mountScript(script) {
    const options = optionsOf(script ?? { dataset: {} });
    if (!options.agent) {
      return; // the page mounts by itself
    }
    if (options.form === "inline" && !options.target) {
      options.target = document.createElement("div");
      script.after(options.target);
    }
    const begin = () => mount(options);
    if (document.body) {
      begin();
    } else {
      document.addEventListener("DOMContentLoaded", begin, { once: true });
    }
  }

  const first = () => {
    if (widgets.length === 0) {
      throw new Error("Parley: no agent is on this page yet.");
    }
    return widgets[0];
  };

  window.Parley = {
    mount,
    mountScript,
    ...Object.fromEntries(
      ["open", "close", "on", "off", "remove", ...COMMANDS].map((name) => [name, (...values) => first()[name](...values)]),
    ),
  };
  mountScript(document.currentScript);
  document.dispatchEvent(new CustomEvent("parley:loaded"));
})();
