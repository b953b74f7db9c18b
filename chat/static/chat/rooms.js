/** The list of rooms: what there is to read, where one is, and what each room is. */

import { $, avatar, eachFrame, h, icon, keyed } from "./dom.js";
import { nameOf } from "./store.js";
import { shortCount } from "./time.js";
import { KIND_ICON, KIND_WORD, others, titleOf } from "./words.js";

/** The mark of a room: a key, a door, or the face of who is in it. */
export function roomMark(room, me) {
  const people = others(room, me);
  if (room.kind === "direct" && people.length === 1) return avatar({ id: people[0].id, name: nameOf(people[0]) }, "small");
  return h("span.room-mark", {}, icon(KIND_ICON[room.kind]));
}

export class RoomList {
  constructor({ store, me, address, organization }) {
    Object.assign(this, { store, me, address, organization });
    this.current = null;
    this.render = eachFrame(() => this.#render());
    store.listen((topic) => topic === "rooms" && this.render());
  }

  show(id) {
    this.current = id;
    this.render();
  }

  /** My rooms as the list shows them, top to bottom. */
  ordered() {
    const byTitle = (a, b) => titleOf(a, this.me.id).localeCompare(titleOf(b, this.me.id));
    const joined = this.store.joined().filter((room) => !room.archived_at || room.id === this.current);
    const direct = (room) => room.kind === "direct";
    return [...joined.filter((room) => !direct(room)).sort(byTitle), ...joined.filter(direct).sort(byTitle)];
  }

  /** The room above or below this one; from nowhere, the first or the last. */
  neighbour(step) {
    const rooms = this.ordered();
    const at = rooms.findIndex((room) => room.id === this.current);
    if (at < 0) return rooms.at(step > 0 ? 0 : -1) ?? null;
    return rooms[at + step] ?? null;
  }

  #render() {
    const rooms = this.ordered();
    const direct = rooms.filter((room) => room.kind === "direct");
    this.#fill($("#rooms"), rooms.filter((room) => room.kind !== "direct"));
    this.#fill($("#directs"), direct);
    const open = [...this.store.rooms.values()].filter((room) => room.room_role === null && !room.archived_at);
    const browse = $("#open-browse");
    if (browse) {
      browse.hidden = !open.length;
      $("#browse-count").textContent = String(open.length);
    }
    $("#rooms-empty").hidden = rooms.length > direct.length;
    $("#directs-empty").hidden = direct.length > 0;
    $("#chat").classList.add("listed");
    const unread = rooms.reduce((sum, room) => sum + (room.id === this.current && document.hasFocus() ? 0 : this.store.unread(room)), 0);
    const here = this.store.room(this.current);
    const title = [here && titleOf(here, this.me.id), this.organization].filter(Boolean).join(" · ");
    document.title = unread ? `(${shortCount(unread)}) ${title}` : title;
  }

  #fill(list, rooms) {
    keyed(list, rooms, {
      key: (room) => room.id,
      version: (room) => [titleOf(room, this.me.id), room.kind, this.store.unread(room), room.id === this.current].join("|"),
      made: (room) => this.#row(room),
    });
  }

  #row(room) {
    const unread = this.store.unread(room);
    const title = titleOf(room, this.me.id);
    const link = h(
      "a.room-link",
      { href: this.address(room.id), data: { room: room.id } },
      roomMark(room, this.me.id),
      h("span.truncate.grow", {}, title),
      h("span.visually-hidden", {}, `, ${KIND_WORD[room.kind]}${unread ? `, ${unread} unread` : ""}`),
      unread ? h("span.pill.count", { "aria-hidden": "true" }, shortCount(unread)) : null,
    );
    if (unread) link.classList.add("unread");
    if (room.id === this.current) link.setAttribute("aria-current", "page");
    return h("li", {}, link);
  }
}
