/** The emoji picker: the common ones, found by a word, or any one character that is typed in. */

import { placeMenu } from "../conclave/menu.js";
import { $, h } from "./dom.js";
import { EMOJI, oneCharacter } from "./emoji.js";

const COLUMNS = 7;

export class Picker {
  constructor() {
    this.root = $("#emoji");
    this.field = $("#emoji-find");
    this.grid = $("#emoji-grid");
    this.field.addEventListener("input", () => this.#draw());
    this.root.addEventListener("keydown", (event) => this.#key(event));
    this.root.addEventListener("toggle", (event) => {
      if (event.newState === "open") this.field.focus();
      else this.opener?.isConnected && this.opener.focus({ preventScroll: true });
    });
  }

  /** Open beside `opener`; `chosen(emoji)` is called once if something is picked. */
  open(opener, chosen) {
    this.opener = opener;
    this.chosen = chosen;
    this.field.value = "";
    this.#draw();
    this.root.showPopover();
    placeMenu(this.root, opener);
  }

  #draw() {
    const wanted = this.field.value.trim().toLowerCase();
    const found = EMOJI.filter(([emoji, words]) => !wanted || emoji === wanted || words.includes(wanted));
    const own = oneCharacter(this.field.value);
    if (own && !/[\p{L}\p{N}\s]/u.test(own) && !found.some(([emoji]) => emoji === own)) found.unshift([own, "as typed"]);
    this.grid.replaceChildren(...found.map(([emoji, words]) => this.#button(emoji, words)));
    $("#emoji-none").hidden = found.length > 0;
  }

  #button(emoji, words) {
    const button = h("button.emoji-choice", { type: "button", title: words, onclick: () => this.#pick(emoji) }, emoji);
    button.setAttribute("aria-label", `${emoji} ${words}`);
    return button;
  }

  #pick(emoji) {
    this.root.hidePopover();
    this.chosen(emoji);
  }

  #key(event) {
    const buttons = [...this.grid.children];
    if (event.key === "Enter" && event.target === this.field) {
      event.preventDefault();
      buttons[0]?.click();
      return;
    }
    const at = buttons.indexOf(document.activeElement);
    const inField = at < 0;
    const to = {
      ArrowDown: inField ? 0 : at + COLUMNS,
      ArrowUp: at - COLUMNS,
      ...(!inField && { ArrowRight: at + 1, ArrowLeft: at - 1 }),
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    if (to < 0) this.field.focus();
    else buttons[Math.min(to, buttons.length - 1)]?.focus();
  }
}
