// Keeps the screen on during a call, where the browser can.

export class WakeLock {
  constructor() {
    this.lock = null;
    this.isWanted = false;
    // The browser drops the lock whenever the page is hidden.
    document.addEventListener("visibilitychange", () => this.isWanted && document.visibilityState === "visible" && this.request());
  }

  async hold() {
    this.isWanted = true;
    await this.request();
  }

  async request() {
    try {
      this.lock = (await navigator.wakeLock?.request("screen")) ?? null;
      if (!this.isWanted) {
        this.release();
      }
    } catch {
      this.lock = null; // Battery saver, or not supported: the call goes on.
    }
  }

  release() {
    this.isWanted = false;
    this.lock?.release().catch(() => {});
    this.lock = null;
  }
}
