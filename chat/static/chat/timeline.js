/** The conversation on the screen: messages in order, history on scrolling up, and a view that stays where the reader is. */

import { $, announce, eachFrame, h, icon, keyed } from "./dom.js";
import { messageElement, pendingElement, shortText } from "./message.js";
import { nameOf } from "./store.js";
import { dayName, plural, sameDay } from "./time.js";
import { mayReact } from "./words.js";

const NEAR_END = 80;
const NEAR_START = 600;
const PAGE = 50;
const FAR_PAGE = 100;
const FAR_PAGES = 3;
const TOGETHER_MS = 5 * 60_000;

/** The same author within five minutes speaks under one name. */
function continues(message, before) {
  if (!before || before.kind !== "text" || message.kind !== "text" || message.reply_to) return false;
  const near = new Date(message.created_at) - new Date(before.created_at) < TOGETHER_MS;
  return near && before.author?.id === message.author?.id && sameDay(before.created_at, message.created_at);
}

export class Timeline {
  /** `loadOlder(room, limit)` and `loadOne(room, id)` fetch; `onread(room, number)` hears what was seen; `react` acts. */
  constructor({ store, outbox, me, loadOlder, loadOne, onread, react }) {
    Object.assign(this, { store, outbox, me, loadOlder, loadOne, onread, react });
    this.scroller = $("#timeline");
    this.list = $("#messages");
    this.pill = $("#new-pill");
    this.render = eachFrame(() => this.#render());
    this.reset(null);
    this.scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.pill.addEventListener("click", () => this.toEnd());
    new ResizeObserver(() => this.atEnd && this.#jump()).observe(this.scroller);
    document.addEventListener("visibilitychange", () => this.#markRead());
    window.addEventListener("focus", () => this.#markRead());
  }

  /** Turn to another room, or to none. */
  reset(id) {
    this.id = id;
    this.atEnd = true;
    this.opening = true;
    this.seen = 0;
    this.dividerAfter = null;
    this.loading = false;
    this.reached = 0;
    this.missing = new Set();
    this.list.keyed = new Map();
    this.list.replaceChildren();
    this.pill.hidden = true;
    this.render();
  }

  toEnd() {
    this.atEnd = true;
    this.#jump();
    this.#markRead();
  }

  /** A message of this room that just arrived: spoken to screen readers; the divider goes once I answered. */
  arrived(message) {
    if (message.author?.id === this.me.id) {
      this.dividerAfter = null;
      return;
    }
    announce(`${nameOf(message.author)}: ${shortText(message)}`);
    const allRead = this.store.room(this.id).read === message.number - 1;
    if (allRead && (document.hidden || !document.hasFocus())) this.dividerAfter = message.number - 1;
  }

  /** Show the message with this number, reading back as far as it lies. */
  async reveal(number) {
    const { id } = this;
    for (let room = this.store.room(id); room?.loaded && number < room.low && !room.begins; ) {
      if (!(await this.#older(FAR_PAGE)) || this.id !== id) return;
    }
    this.#render();
    const element = $(`[data-number="${number}"]`, this.list);
    if (!element) return;
    this.atEnd = false;
    element.scrollIntoView({ block: "center" });
    element.focus({ preventScroll: true });
    element.classList.add("flash");
    setTimeout(() => element.classList.remove("flash"), 2_000);
  }

  #rows(room) {
    const rows = [];
    let before = null;
    for (const message of this.store.shown(room.id)) {
      if (!before || !sameDay(before.created_at, message.created_at)) {
        rows.push({ type: "day", id: `day-${message.created_at.slice(0, 10)}-${message.number}`, at: message.created_at });
      }
      if (before?.number === this.dividerAfter && this.dividerAfter !== null) {
        rows.push({ type: "divider", id: "divider" });
        before = null;
      }
      rows.push({ type: "message", id: message.id, message, continues: continues(message, before) });
      before = message;
    }
    for (const entry of this.outbox.of(room.id)) {
      const as = { kind: "text", author: this.me, created_at: new Date(entry.at).toISOString(), reply_to: entry.replyTo };
      rows.push({ type: "pending", id: entry.nonce, entry, continues: continues(as, before) });
      before = as;
    }
    return rows;
  }

  #version(room, row) {
    const quote = row.message?.reply_to ?? row.entry?.replyTo;
    const quoted = quote ? (room.byId.get(quote)?.rev ?? "?") : "";
    if (row.type === "message") return `${row.message.rev}|${row.continues}|${quoted}|${mayReact(this.store.mine, room)}`;
    if (row.type === "pending") return `${row.entry.state}|${row.continues}|${quoted}`;
    return row.type === "day" ? dayName(row.at) : "";
  }

  #quoted(room, id) {
    const found = id && room.byId.get(id);
    if (id && !found && !this.missing.has(id)) {
      this.missing.add(id); // Asked once: what can't be read now is quoted as "an earlier message".
      this.loadOne(room.id, id);
    }
    return found || null;
  }

  #made(room, row) {
    if (row.type === "day") return h("li.day", {}, h("span", {}, dayName(row.at)));
    if (row.type === "divider") return h("li.divider", {}, h("span", {}, "New"));
    if (row.type === "pending") {
      const { entry } = row;
      return pendingElement(entry, {
        author: this.me,
        continues: row.continues,
        quoted: this.#quoted(room, entry.replyTo),
        retry: () => this.outbox.retry(entry.nonce),
        discard: () => this.outbox.drop(entry.nonce),
      });
    }
    return messageElement(row.message, {
      me: this.me.id,
      names: this.store.names,
      continues: row.continues,
      quoted: this.#quoted(room, row.message.reply_to),
      react: this.react,
      locked: !mayReact(this.store.mine, room),
    });
  }

  #render() {
    const room = this.store.room(this.id);
    const anchor = this.atEnd ? null : this.#anchor(); // before the head of the room, too, may change its height
    $("#messages-loading").hidden = !room || (room.loaded && room.begins) || room.room_role === null;
    $("#messages-begin").hidden = !room?.loaded || !room.begins;
    if (!room?.loaded || (this.opening && this.#reach(room))) return;
    if (this.opening && room.head > room.read) this.dividerAfter = room.read;
    keyed(this.list, this.#rows(room), {
      key: (row) => row.id,
      version: (row) => this.#version(room, row),
      made: (row) => this.#made(room, row),
    });
    if (this.opening) this.#openAt(room);
    else if (this.atEnd) this.#jump();
    else if (anchor) this.#hold(anchor);
    this.#count(room);
    this.#markRead();
    if (this.scroller.scrollTop < NEAR_START) this.#older();
  }

  /** Before the first look, read back to where the new messages begin, if that isn't too far. Answers whether it does. */
  #reach(room) {
    const far = room.read > 0 && room.head > room.read && room.low > room.read + 1 && !room.begins && this.reached < FAR_PAGES;
    if (!far || this.loading) return far;
    this.reached += 1;
    this.#older(FAR_PAGE).finally(this.render);
    return true;
  }

  /** The first look: at what is new where that is more than a screenful, else at the end. */
  #openAt(room) {
    this.opening = false;
    this.seen = room.head;
    this.#jump();
    const divider = $(".divider", this.list);
    const above = divider && divider.getBoundingClientRect().top < this.scroller.getBoundingClientRect().top;
    if (!above) return;
    divider.scrollIntoView({ block: "start" });
    this.atEnd = false;
    this.seen = room.read;
  }

  /** The first element in view and where it stands, so that what loads above or changes does not move it. */
  #anchor() {
    const { top } = this.scroller.getBoundingClientRect();
    for (const element of this.list.children) {
      const at = element.getBoundingClientRect();
      if (at.bottom > top && element.dataset.id) return { id: element.dataset.id, top: at.top };
    }
    return null;
  }

  #hold({ id, top }) {
    const element = $(`[data-id="${id}"]`, this.list);
    if (element) this.scroller.scrollTop += element.getBoundingClientRect().top - top;
  }

  #jump() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    this.atEnd = scrollHeight - scrollTop - clientHeight < NEAR_END;
    const room = this.store.room(this.id);
    if (!room?.loaded || this.opening) return;
    if (scrollTop < NEAR_START) this.#older();
    this.#count(room);
    this.#markRead();
  }

  #count(room) {
    if (this.atEnd) this.seen = room.head;
    const fresh = room.head - this.seen;
    this.pill.hidden = this.atEnd;
    this.pill.replaceChildren(icon("arrow-down", "small"), fresh > 0 ? plural(fresh, "new message") : "Latest messages");
    this.pill.classList.toggle("plain", fresh <= 0);
  }

  #markRead() {
    const room = this.store.room(this.id);
    if (room?.loaded && !this.opening && this.atEnd && !document.hidden && document.hasFocus()) this.onread(room, room.head);
  }

  /** Read one page further back; answers whether there was one. */
  async #older(limit = PAGE) {
    const { id } = this;
    const room = this.store.room(id);
    if (!room?.loaded || room.begins || this.loading) return false;
    this.loading = true;
    try {
      return await this.loadOlder(room, limit);
    } finally {
      if (this.id === id) this.loading = false;
    }
  }

  /** The message that keyboard and pointer act on. */
  messageAt(element) {
    const id = element?.closest?.(".message")?.dataset.id;
    return (id && this.store.room(this.id)?.byId.get(id)) || null;
  }

  /** Move the focus by `step` messages; from outside, to the last one. */
  move(step) {
    const all = [...this.list.querySelectorAll(".message")];
    const now = all.indexOf(document.activeElement?.closest?.(".message"));
    const next = now < 0 ? all.at(-1) : all[now + step];
    next?.focus({ preventScroll: true });
    next?.scrollIntoView({ block: "nearest" });
    return Boolean(next);
  }
}
