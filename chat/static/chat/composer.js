/** Where messages are written: drafts per room, replies, edits, the count of characters, and when to say that one types. */

import { $, touch } from "./dom.js";
import { shortText } from "./message.js";
import { nameOf } from "./store.js";
import { storage } from "./storage.js";
import { whyNotWrite } from "./words.js";

const MOST = 8_000;
const COUNT_FROM = 7_000;
const TYPING_EVERY_MS = 3_000;

/** Length as the server counts: code points, not UTF-16 units. */
export const codePoints = (text) => [...text].length;

export class Composer {
  /** `send({room, body, replyTo})`, `edit(message, body)` → promise, `typing(room)`, `mine()`: what I may do, `editLast()`: Up was pressed on nothing. */
  constructor({ prefix, send, edit, typing, mine, editLast }) {
    Object.assign(this, { prefix, send, edit, typing, mine, editLast });
    this.form = $("#composer");
    this.field = $("#composer-field");
    this.banner = $("#composer-banner");
    this.room = null;
    this.mode = null; // {type: "reply" | "edit", message}
    this.typedAt = 0;
    this.form.addEventListener("submit", (event) => this.#submit(event));
    this.field.addEventListener("input", () => this.#input());
    this.field.addEventListener("keydown", (event) => this.#key(event));
    $("#composer-cancel").addEventListener("click", () => this.cancel());
  }

  /** Turn to another room (or to none); what was written in the last one stays its draft. */
  show(room) {
    if (this.mode) this.#leaveMode();
    this.room = room?.id ?? null;
    if (room) this.#load();
    this.refresh(room);
  }

  /** The room or my role in it changed. */
  refresh(room) {
    const why = room ? whyNotWrite(this.mine(), room) : null;
    this.form.inert = !room;
    this.form.hidden = why !== null;
    $("#composer-closed").hidden = why === null;
    $("#composer-closed-why").textContent = why ?? "";
  }

  focus() {
    if (!this.form.hidden && !touch()) this.field.focus();
  }

  reply(message) {
    if (this.mode?.type === "edit") this.#leaveMode();
    this.#enter({ type: "reply", message }, `Replying to ${nameOf(message.author)}`, shortText(message));
    this.#saveDraft();
  }

  startEdit(message) {
    this.#enter({ type: "edit", message }, "Editing your message", "Esc cancels");
    this.#set(message.body);
  }

  /** Leave reply or edit; answers whether there was one to leave. */
  cancel() {
    if (!this.mode) return false;
    this.#leaveMode();
    this.field.focus();
    return true;
  }

  insert(text) {
    this.field.focus();
    this.field.setRangeText(text, this.field.selectionStart, this.field.selectionEnd, "end");
    this.#input();
  }

  #enter(mode, title, detail) {
    this.mode = mode;
    this.banner.hidden = false;
    this.banner.dataset.mode = mode.type;
    $("#composer-banner-title").textContent = title;
    $("#composer-banner-detail").textContent = detail;
    $("#composer-send-label").textContent = mode.type === "edit" ? "Save" : "Send";
    this.field.focus();
  }

  #leaveMode() {
    const { type } = this.mode;
    this.mode = null;
    this.banner.hidden = true;
    $("#composer-send-label").textContent = "Send";
    if (type === "edit") this.#load();
    else this.#saveDraft();
  }

  #key(event) {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey && !touch()) {
      event.preventDefault();
      this.form.requestSubmit();
    } else if (event.key === "ArrowUp" && !this.field.value && !this.mode) {
      if (this.editLast()) event.preventDefault();
    }
  }

  #input() {
    const count = codePoints(this.field.value);
    const counter = $("#composer-count");
    counter.hidden = count < COUNT_FROM;
    counter.textContent = count > MOST ? `${count - MOST} too many` : `${MOST - count} left`;
    counter.classList.toggle("over", count > MOST);
    $("#composer-send").disabled = count > MOST || this.field.value.trim() === "";
    this.#fit();
    if (this.mode?.type === "edit") return;
    this.#saveDraft();
    if (this.field.value.trim() && Date.now() - this.typedAt >= TYPING_EVERY_MS) {
      this.typedAt = Date.now();
      this.typing(this.room);
    }
  }

  /** As high as its text, up to the limit that the stylesheet sets. */
  #fit() {
    this.field.style.height = "auto";
    this.field.style.height = `${this.field.scrollHeight}px`;
  }

  #submit(event) {
    event.preventDefault();
    const body = this.field.value.trimEnd();
    if (!body.trim() || codePoints(body) > MOST) return;
    if (this.mode?.type === "edit") {
      this.#saveEdit(this.mode.message, body);
      return;
    }
    const replyTo = this.mode?.message.id ?? null;
    if (this.mode) this.#leaveMode();
    this.typedAt = 0;
    this.#set("");
    this.send({ room: this.room, body, replyTo });
  }

  async #saveEdit(message, body) {
    const button = $("#composer-send");
    button.setAttribute("aria-busy", "true");
    const saved = body === message.body || (await this.edit(message, body));
    button.removeAttribute("aria-busy");
    if (saved && this.mode?.message.id === message.id) this.cancel();
  }

  #set(text) {
    this.field.value = text;
    this.field.setSelectionRange(text.length, text.length);
    this.#input();
  }

  #load() {
    const draft = storage.read(this.prefix + this.room);
    this.field.value = draft?.body ?? "";
    const { typedAt } = this;
    this.typedAt = Infinity; // Bringing a draft back is not typing.
    this.#input();
    this.typedAt = typedAt;
  }

  #saveDraft() {
    const body = this.field.value;
    if (body) storage.write(this.prefix + this.room, { body });
    else storage.remove(this.prefix + this.room);
  }
}
