// Shows that a person is calling: ALTCHA's proof of work, Google's reCAPTCHA where the operator chose it, or nothing.

const READY_TIMEOUT_MS = 10_000;
const RECAPTCHA_URL = "https://www.google.com/recaptcha/api.js?render=explicit&onload=parleyRecaptchaReady";

export class CaptchaFailed extends Error {
  constructor() {
    super("captcha_failed");
    this.name = "CaptchaFailed";
    this.code = "captcha_failed";
  }
}

function within(promise, timeout_ms) {
  const tooLate = new Promise((_resolve, reject) => setTimeout(() => reject(new CaptchaFailed()), timeout_ms));
  return Promise.race([promise, tooLate]);
}

const noCaptcha = () => ({ solve: async () => "" });

function altcha(widget, challengeUrl) {
  widget.setAttribute("challenge", challengeUrl);
  return {
    async solve() {
      await within(customElements.whenDefined("altcha-widget"), READY_TIMEOUT_MS);
      await within(methodsOf(widget), READY_TIMEOUT_MS);
      widget.reset();
      const result = await widget.verify();
      if (!result?.payload) {
        throw new CaptchaFailed();
      }
      return result.payload;
    },
  };
}

// The element gets its methods a moment after it is defined.
async function methodsOf(widget) {
  while (typeof widget.verify !== "function") {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

let recaptchaLoading = null;

// Only here, and only when chosen, is anything of Google's loaded.
function loadRecaptcha() {
  recaptchaLoading ??= new Promise((resolve, reject) => {
    window.parleyRecaptchaReady = () => resolve(window.grecaptcha);
    const script = document.createElement("script");
    script.src = RECAPTCHA_URL;
    script.onerror = () => {
      recaptchaLoading = null;
      reject(new CaptchaFailed());
    };
    document.head.append(script);
  });
  return recaptchaLoading;
}

function recaptcha(container, siteKey) {
  let widget = null;
  let settle = null;
  return {
    async solve() {
      const grecaptcha = await within(loadRecaptcha(), READY_TIMEOUT_MS);
      return new Promise((resolve, reject) => {
        settle = { resolve, reject };
        if (widget !== null) {
          grecaptcha.reset(widget);
          return;
        }
        widget = grecaptcha.render(container, {
          sitekey: siteKey,
          callback: (answer) => settle.resolve(answer),
          "error-callback": () => settle.reject(new CaptchaFailed()),
        });
      });
    },
  };
}

/** solve() answers the payload for the server, new for each call; throws CaptchaFailed. */
export function createCaptcha(kind, { widget, challengeUrl, container, siteKey }) {
  if (kind === "altcha" && widget) {
    return altcha(widget, challengeUrl);
  }
  return kind === "recaptcha" ? recaptcha(container, siteKey) : noCaptcha();
}
