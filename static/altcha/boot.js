// Starts the ALTCHA widget (3.2.2, MIT, see LICENSE) with its worker as a file of ours, so that no blob: URL is needed.
import "./altcha.min.js";

const here = new URL(".", import.meta.url);
for (const hash of ["SHA-256", "SHA-384", "SHA-512"]) {
  $altcha.algorithms.set(`PBKDF2/${hash}`, () => new Worker(new URL("workers/pbkdf2.js", here)));
}
// The proof of work is all we want: how a visitor moves the pointer is none of our business.
$altcha.defaults.set({ humanInteractionSignature: false, minDuration: 0, hideLogo: true, hideFooter: true });
