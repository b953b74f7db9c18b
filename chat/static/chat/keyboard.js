/** The keys that work anywhere on the page. What belongs to a message or to the composer is theirs. */

import { $, $$ } from "./dom.js";
import { openDialog } from "./dialogs.js";

const editable = (element) => element.matches?.("input, textarea, select, [contenteditable]");
const floating = () => $("dialog[open], [popover]:popover-open");

export class Keyboard {
  /** `acts`: `{switchRoom, neighbour(step), closePanel() → whether there was one, cancel() → the same, toMessages, toComposer}`. */
  constructor(acts) {
    this.acts = acts;
    document.addEventListener("keydown", (event) => this.#key(event));
    $("#open-help").addEventListener("click", () => openDialog("dialog-help"));
  }

  #key(event) {
    if (event.defaultPrevented || event.isComposing) return;
    const { key, ctrlKey, metaKey, altKey } = event;
    if ((ctrlKey || metaKey) && !altKey && key.toLowerCase() === "k") this.#switch(event);
    else if (floating()) return; // Its keys are its own; the browser closes the topmost on Escape and gives focus back.
    else if (altKey && !ctrlKey && (key === "ArrowUp" || key === "ArrowDown")) {
      event.preventDefault();
      this.acts.neighbour(key === "ArrowUp" ? -1 : 1);
    } else if (key === "Escape") this.#escape(event);
    else if (!ctrlKey && !metaKey && !altKey && key.length === 1 && !editable(event.target)) this.#letter(event);
  }

  #switch(event) {
    event.preventDefault();
    const open = $$("dialog[open]");
    if (!open.length) this.acts.switchRoom();
    else if (open.length === 1 && open[0].id === "dialog-switcher") open[0].close();
  }

  #escape(event) {
    if (this.acts.cancel() || this.acts.closePanel()) event.preventDefault();
    else if (event.target.id === "composer-field") this.acts.toMessages();
    else if (event.target.closest(".message")) this.acts.toComposer();
  }

  #letter(event) {
    if (event.key === "?") {
      event.preventDefault();
      openDialog("dialog-help");
    } else if (event.target === document.body || event.target.id === "main") {
      this.acts.toComposer(); // The letter itself lands there.
    }
  }
}
