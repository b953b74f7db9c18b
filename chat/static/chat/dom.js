/** Small helpers over the document: building, finding, keyed lists, and speaking to screen readers. */

import { icon } from "../conclave/icon.js";

export { icon };

export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

/** An element: `h("p.soft", {title}, "text", child, null)`. Properties, `on…` listeners, `data` and attributes with a dash. */
export function h(selector, properties = {}, ...children) {
  const [tag, ...classes] = selector.split(".");
  const element = document.createElement(tag);
  element.classList.add(...classes);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "data") Object.assign(element.dataset, value);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "role" || name === "for") element.setAttribute(name, value);
    else if (value !== undefined) element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A person's or organization's initial in their own hue. */
export function avatar({ id, name }, ...classes) {
  const letter = [...name.trim()][0]?.toUpperCase() ?? "?";
  return h(["span", "avatar", ...classes].join("."), { data: { hue: id?.at(-1) ?? "0" }, "aria-hidden": "true" }, letter);
}

export function iconButton(name, label, onclick, ...classes) {
  const made = h(["button", "icon-button", ...classes].join("."), { type: "button", title: label, onclick }, icon(name));
  made.setAttribute("aria-label", label);
  return made;
}

/** Put `fresh` in the place of `old`; the focus stays at that place. */
function replace(old, fresh) {
  const focused = old.contains(document.activeElement);
  old.replaceWith(fresh);
  if (focused) (fresh.tabIndex >= 0 || fresh.hasAttribute("tabindex") ? fresh : $("a, button", fresh))?.focus({ preventScroll: true });
}

/**
 * Make `parent`'s children match `items` in order, keeping each element whose `version` is unchanged, so that focus,
 * selection and scroll position survive. `made(item)` builds an element.
 */
export function keyed(parent, items, { key, version, made }) {
  parent.keyed ??= new Map();
  const now = new Map();
  let place = parent.firstElementChild;
  for (const item of items) {
    const id = key(item);
    const wanted = version(item);
    let held = parent.keyed.get(id);
    if (held?.version !== wanted) {
      const element = made(item);
      if (held) {
        if (place === held.element) place = element;
        replace(held.element, element);
      }
      held = { element, version: wanted };
    }
    if (held.element === place) place = place.nextElementSibling;
    else parent.insertBefore(held.element, place);
    now.set(id, held);
  }
  for (const [id, { element }] of parent.keyed) if (!now.has(id)) element.remove();
  parent.keyed = now;
}

/** Run `act` at most once a frame, however often it is asked for. */
export function eachFrame(act) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    const run = () => {
      asked = false;
      act();
    };
    if (document.hidden) setTimeout(run, 100); // Frames stand still in a hidden tab, its title must not.
    else requestAnimationFrame(run);
  };
}

export function announce(text) {
  $("#announcer").textContent = text;
}

export const wide = () => matchMedia("(min-width: 1100px)").matches;
export const narrow = () => matchMedia("(max-width: 719px)").matches;
export const touch = () => matchMedia("(pointer: coarse)").matches;
