// The receipt's Print button, which is of no use without a script and hidden until there is one.

const button = document.querySelector("[data-print]");
button.hidden = false;
button.addEventListener("click", () => window.print());
