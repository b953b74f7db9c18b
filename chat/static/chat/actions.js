/** What can be done to a message: one toolbar that follows pointer, focus or tap, and one key for each act. */

import { toast } from "../conclave/toast.js";
import { $, h, iconButton, touch } from "./dom.js";
import { mayDelete, mayEdit, mayReact, whyNotWrite } from "./words.js";

const QUICK = ["👍", "❤️", "😂"];

export class Actions {
  /** `acts`: `{react(message, emoji, on), reply, edit, remove, linkTo(message)}`. */
  constructor({ store, timeline, picker, acts }) {
    Object.assign(this, { store, timeline, picker, acts });
    this.bar = h("div.message-actions", { role: "toolbar", "aria-label": "Message actions" });
    this.bar.addEventListener("click", () => touch() && !picker.root.matches(":popover-open") && this.bar.remove());
    const { list } = timeline;
    list.addEventListener("pointerover", (event) => event.pointerType === "mouse" && this.#show(event.target));
    list.addEventListener("focusin", (event) => this.#show(event.target));
    list.addEventListener("click", (event) => this.#click(event));
    list.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && this.#hide());
    document.addEventListener("pointerdown", (event) => event.target.closest(".message") || this.#hide());
    timeline.scroller.addEventListener("keydown", (event) => this.#key(event));
  }

  #hide() {
    if (!this.bar.contains(document.activeElement) && !this.picker.root.matches(":popover-open")) this.bar.remove();
  }

  #click(event) {
    const quote = event.target.closest("a.quote");
    if (quote) {
      event.preventDefault();
      this.timeline.reveal(Number(quote.hash.slice(2)));
    } else if (!event.target.closest("a, button")) this.#show(event.target);
  }

  #show(target) {
    const element = target.closest(".message");
    if (!element || this.bar.parentElement === element) return;
    const message = this.timeline.messageAt(element);
    const buttons = message && message.kind === "text" && !message.deleted_at ? this.#buttons(message) : [];
    if (!buttons.length) return this.bar.remove();
    this.bar.replaceChildren(...buttons);
    element.append(this.bar);
  }

  #buttons(message) {
    const room = this.store.room(message.room);
    const may = this.#may(message, room);
    const quick = QUICK.map((emoji) => {
      const button = h("button.icon-button.emoji", { type: "button", title: `React with ${emoji}` }, emoji);
      button.setAttribute("aria-label", `React with ${emoji}`);
      button.addEventListener("click", () => this.acts.react(message, emoji, true));
      return button;
    });
    return [
      ...(may.react ? [...quick, iconButton("smile-plus", "Add a reaction (+)", (event) => this.#pick(message, event.currentTarget))] : []),
      may.reply && iconButton("reply", "Reply (R)", () => this.acts.reply(message)),
      may.edit && iconButton("edit", "Edit (E)", () => this.acts.edit(message)),
      iconButton("link", "Copy a link (L)", () => this.#copyLink(message)),
      may.remove && iconButton("trash", "Delete (Del)", () => this.acts.remove(message), "danger"),
    ].filter(Boolean);
  }

  #may(message, room) {
    return {
      react: mayReact(this.store.mine, room),
      reply: whyNotWrite(this.store.mine, room) === null,
      edit: mayEdit(this.store.mine, room, message, this.store.me),
      remove: mayDelete(this.store.mine, room, message, this.store.me),
    };
  }

  #pick(message, opener) {
    this.picker.open(opener, (emoji) => this.acts.react(message, emoji, true));
  }

  async #copyLink(message) {
    try {
      await navigator.clipboard.writeText(this.acts.linkTo(message));
      toast("Link copied.", "ok");
    } catch {
      toast("The browser did not allow copying.", "warn");
    }
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const onMessage = event.target.classList.contains("message");
    if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      event.preventDefault();
      if (!this.timeline.move(event.key === "ArrowUp" ? -1 : 1) && event.key === "ArrowDown") $("#composer-field").focus();
      return;
    }
    const message = onMessage && this.timeline.messageAt(event.target);
    if (!message || message.kind !== "text" || message.deleted_at) return;
    const may = this.#may(message, this.store.room(message.room));
    const act = {
      r: may.reply && (() => this.acts.reply(message)),
      e: may.edit && (() => this.acts.edit(message)),
      "+": may.react && (() => this.#pick(message, event.target)),
      l: () => this.#copyLink(message),
      Delete: may.remove && (() => this.acts.remove(message)),
      Backspace: may.remove && (() => this.acts.remove(message)),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }
}
