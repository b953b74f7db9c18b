// Each password field gets a button that shows what was typed.
import { icon } from "./icon.js";

function addButton(input) {
  const frame = document.createElement("div");
  frame.className = "input-group";
  input.before(frame);
  const button = document.createElement("button");
  button.type = "button";
  button.className = "icon-button";
  const draw = () => {
    const shown = input.type === "text";
    button.replaceChildren(icon(shown ? "eye-off" : "eye"));
    button.setAttribute("aria-label", shown ? "Hide the password" : "Show the password");
  };
  button.addEventListener("click", () => {
    input.type = input.type === "text" ? "password" : "text";
    draw();
  });
  input.form?.addEventListener("submit", () => { input.type = "password"; });
  draw();
  frame.append(input, button);
}

export function revealPasswords() {
  const focused = document.activeElement;
  document.querySelectorAll('.field input[type="password"]').forEach(addButton);
  if (focused?.matches?.("input")) focused.focus();
}
