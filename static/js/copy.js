// Copies the text of the element that a button names in data-copy.

for (const button of document.querySelectorAll("button[data-copy]")) {
  // Only where the browser can: on plain http beyond this machine it cannot.
  button.hidden = !navigator.clipboard;
  const label = button.textContent;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
    button.textContent = "Copied";
    setTimeout(() => {
      button.textContent = label;
    }, 2000);
  });
}
