/** Going to a room by a few letters of its name. */

import { $, h } from "./dom.js";
import { openDialog } from "./dialogs.js";
import { roomMark } from "./rooms.js";
import { shortCount } from "./time.js";
import { titleOf } from "./words.js";

const MOST = 12;

/** Lower is better; null where the letters don't occur in order. */
export function match(title, wanted) {
  const [name, letters] = [title.toLowerCase(), wanted.toLowerCase()];
  const at = name.indexOf(letters);
  if (at === 0) return 0;
  if (at > 0) return /[\s\-_,]/.test(name[at - 1]) ? 1 : 2;
  let from = 0;
  for (const letter of letters.replace(/\s/g, "")) {
    from = name.indexOf(letter, from) + 1;
    if (!from) return null;
  }
  return 3;
}

export class Switcher {
  constructor({ store, me, go }) {
    Object.assign(this, { store, me, go });
    this.field = $("#switcher-field");
    this.list = $("#switcher-list");
    this.at = 0;
    this.field.addEventListener("input", () => this.#draw());
    this.field.addEventListener("keydown", (event) => this.#key(event));
    $("#open-switcher").addEventListener("click", () => this.open());
  }

  open() {
    this.field.value = "";
    this.#draw();
    openDialog("dialog-switcher");
  }

  #found() {
    const wanted = this.field.value.trim();
    const ranked = [...this.store.rooms.values()]
      .map((room) => ({ room, title: titleOf(room, this.me.id), unread: this.store.unread(room) }))
      .map((found) => ({ ...found, rank: match(found.title, wanted) }))
      .filter(({ rank }) => rank !== null);
    const order = (a, b) => a.rank - b.rank || Boolean(b.unread) - Boolean(a.unread) || a.title.localeCompare(b.title);
    return ranked.sort(order).slice(0, MOST);
  }

  #draw() {
    this.rooms = this.#found();
    this.at = 0;
    this.list.replaceChildren(...this.rooms.map((found, at) => this.#option(found, at)));
    $("#switcher-empty").hidden = this.rooms.length > 0;
    this.#mark();
  }

  #option({ room, title, unread }, at) {
    const option = h("li.room-link", { role: "option", id: `switch-${at}`, onclick: () => this.#choose(at) });
    option.append(roomMark(room, this.me.id), h("span.truncate.grow", {}, title));
    if (room.room_role === null) option.append(h("span.small.faint", {}, "not joined"));
    if (unread) option.append(h("span.pill.count", {}, shortCount(unread)));
    return option;
  }

  #mark() {
    [...this.list.children].forEach((option, at) => option.setAttribute("aria-selected", String(at === this.at)));
    this.field.setAttribute("aria-activedescendant", this.rooms.length ? `switch-${this.at}` : "");
    this.list.children[this.at]?.scrollIntoView({ block: "nearest" });
  }

  #choose(at) {
    const found = this.rooms[at];
    if (!found) return;
    $("#dialog-switcher").close();
    this.go(found.room.id);
  }

  #key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && this.rooms.length) {
      event.preventDefault();
      this.at = (this.at + step + this.rooms.length) % this.rooms.length;
      this.#mark();
    } else if (event.key === "Enter") {
      event.preventDefault();
      this.#choose(this.at);
    }
  }
}
