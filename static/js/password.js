// Lets a person look at the password they are typing.

for (const box of document.querySelectorAll(".password")) {
  const input = box.querySelector("input");
  const button = document.createElement("button");
  const show = (visible) => {
    input.type = visible ? "text" : "password";
    button.textContent = visible ? "Hide" : "Show";
    button.setAttribute("aria-pressed", String(visible));
  };
  button.type = "button";
  button.className = "password__toggle";
  button.setAttribute("aria-label", "Show the password");
  button.setAttribute("aria-controls", input.id);
  button.addEventListener("click", () => show(input.type === "password"));
  // A password manager, and the next person, should find a password field.
  input.form?.addEventListener("submit", () => show(false));
  box.append(button);
  show(false);
}
