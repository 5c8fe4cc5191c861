// Part of the view: the nine bars that move with whoever is speaking, and stand still where motion is not wanted.

// The middle moves most, so that the bars read as one voice.
const SHAPE = [0.35, 0.55, 0.75, 0.92, 1, 0.92, 0.75, 0.55, 0.35];
// Speech at a comfortable level has an RMS near 0.1; this brings it to about two thirds of the height.
const GAIN = 2.1;
const STILL = { listening: 0.12, speaking: 0.45 };

export class Visualiser {
  constructor(bars) {
    this.bars = [...bars.children];
    this.stillness = window.matchMedia("(prefers-reduced-motion: reduce)");
    this.frame = null;
    this.smooth = 0;
  }

  /** level(): 0..1, asked for on every frame of the screen. */
  run(level) {
    this.stop();
    const step = () => {
      this.draw(this.stillness.matches ? null : level());
      this.frame = requestAnimationFrame(step);
    };
    step();
  }

  stop() {
    cancelAnimationFrame(this.frame);
    this.frame = null;
    this.set(0);
  }

  draw(level) {
    if (level === null) {
      const state = this.bars[0].closest("[data-state]").dataset.state;
      this.set(STILL[state] ?? 0);
      return;
    }
    // Rises at once, falls slowly: the gaps between words do not flicker.
    this.smooth = Math.max(Math.min(1, Math.sqrt(level) * GAIN), this.smooth * 0.9);
    this.set(this.smooth);
  }

  set(height) {
    if (height === this.height) {
      return;
    }
    this.height = height;
    this.bars.forEach((bar, index) => {
      const sway = height > 0.05 ? 0.85 + 0.15 * Math.sin(index * 2.4 + height * 9) : 1;
      bar.style.setProperty("--level", (height * SHAPE[index] * sway).toFixed(3));
    });
  }
}
