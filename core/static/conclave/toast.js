// Short messages at the foot of the window: toast("Copied"), toast("Not saved", "danger", { action, onAction }).
import { icon } from "./icon.js";

const ICONS = { ok: "check-circle", warn: "warn", danger: "warn", info: "info" };
const STAYS_MS = 6000;

function region() {
  let found = document.querySelector(".toasts");
  if (!found) {
    found = document.createElement("div");
    found.className = "toasts";
    found.setAttribute("role", "status");
    document.body.append(found);
  }
  return found;
}

function button(className, label) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = className;
  if (label) made.textContent = label;
  return made;
}

function dismissable(element, kind) {
  const close = button("icon-button");
  close.setAttribute("aria-label", "Dismiss");
  close.append(icon("close", "small"));
  close.addEventListener("click", () => element.remove());
  element.append(close);
  if (kind === "danger") return;
  let timer = 0;
  const start = () => { timer = setTimeout(() => element.remove(), STAYS_MS); };
  for (const event of ["pointerenter", "focusin"]) element.addEventListener(event, () => clearTimeout(timer));
  for (const event of ["pointerleave", "focusout"]) element.addEventListener(event, start);
  start();
}

export function toast(text, kind = "info", { action, onAction } = {}) {
  const element = document.createElement("div");
  element.className = `toast ${kind}`;
  const words = document.createElement("span");
  words.textContent = text;
  element.append(icon(ICONS[kind]), words);
  if (action) {
    const act = button("button quiet small", action);
    act.addEventListener("click", () => { element.remove(); onAction(); });
    element.append(act);
  }
  dismissable(element, kind);
  region().append(element);
  return element;
}

export function adoptToasts() {
  for (const element of document.querySelectorAll(".toast")) {
    dismissable(element, element.classList.contains("danger") ? "danger" : "info");
  }
}
