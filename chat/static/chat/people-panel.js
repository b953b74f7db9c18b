/** The side panel about people: who can read this room, who is in it, as what. */

import { toast } from "../conclave/toast.js";
import { $, h, iconButton, keyed } from "./dom.js";
import { confirmed } from "./dialogs.js";
import { personRow } from "./people-search.js";
import { nameOf } from "./store.js";
import { mayRun, whoCanRead } from "./words.js";

const ROLES = { reader: "Reader", member: "Member", moderator: "Moderator" };

export class PeoplePanel {
  constructor({ api, store, me, organization, add }) {
    Object.assign(this, { api, store, me, organization });
    this.id = null;
    this.members = [];
    this.list = $("#members");
    $("#panel-add").addEventListener("click", () => add(this.store.room(this.id)));
    store.listen((topic, room) => topic === "presence" && room === this.id && this.members.length && this.draw());
  }

  /** Load the members of a room; shown or not, their count stands in the room's header. */
  async load(id) {
    if (this.id !== id) {
      this.id = id;
      this.members = [];
      this.list.replaceChildren();
      this.list.keyed = new Map();
      $("#people-count").textContent = "";
      $("#people-here").textContent = "";
      $("#members-loading").hidden = false;
      $("#who-reads").textContent = "";
    }
    const members = await this.api.all(`rooms/${id}/members/`);
    if (this.id !== id) return;
    this.members = members;
    this.draw();
  }

  draw() {
    const room = this.store.room(this.id);
    if (!room) return;
    $("#members-loading").hidden = true;
    $("#people-count").textContent = String(this.members.length);
    $("#people-here").textContent = room.present > 1 ? `${room.present} here` : ""; // That I am, I know.
    const people = this.members.map((member) => member.user);
    const { organization } = this;
    const words = whoCanRead(room, { count: people.length, people, organization, me: this.me.id });
    $("#who-reads").textContent = words;
    const runs = mayRun(this.store.mine, room);
    $("#panel-add").hidden = !runs || Boolean(room.archived_at);
    const sorted = [...this.members].sort((a, b) => nameOf(a.user).localeCompare(nameOf(b.user)));
    keyed(this.list, sorted, {
      key: (member) => member.user.id,
      version: (member) => JSON.stringify([member, runs, room.here.has(member.user.id)]),
      made: (member) => this.#row(room, member, runs),
    });
  }

  #row(room, member, runs) {
    const { user } = member;
    const mine = user.id === this.me.id;
    const words = [mine ? "You" : null, member.tenant_role === "guest" ? "Guest" : null].filter(Boolean).join(", ");
    const here = !mine && room.here.has(user.id) ? h("span.here", {}, "Here") : null;
    const detail = words && here ? h("span", {}, here, `, ${words}`) : words || here;
    if (room.kind === "direct") return personRow(user, detail);
    if (!runs) {
      const badge = member.room_role === "member" ? null : h("span.badge", {}, ROLES[member.room_role]);
      return personRow(user, detail, badge);
    }
    const select = h("select.role-select", { onchange: () => this.#change(room, member, select) });
    select.setAttribute("aria-label", `Role of ${nameOf(user)} in this room`);
    for (const [value, label] of Object.entries(ROLES)) select.append(h("option", { value, selected: value === member.room_role }, label));
    const act = () => this.#remove(room, member);
    const remove = mine ? h("span.icon-space") : iconButton("close", `Remove ${nameOf(user)} from this room`, act);
    return personRow(user, detail, select, remove);
  }

  async #change(room, member, select) {
    try {
      await this.api.patch(`rooms/${room.id}/members/${member.user.id}/`, { room_role: select.value });
      toast(`${nameOf(member.user)} is now ${ROLES[select.value].toLowerCase()} here.`, "ok");
    } catch (problem) {
      select.value = member.room_role;
      toast(problem.message, "danger");
    }
    await this.load(room.id);
  }

  async #remove(room, member) {
    const name = nameOf(member.user);
    const sure = await confirmed({
      title: `Remove ${name} from ${room.name}?`,
      text: "They stop reading this room at once. What they wrote stays.",
      act: "Remove",
    });
    if (!sure) return;
    try {
      await this.api.delete(`rooms/${room.id}/members/${member.user.id}/`);
      toast(`${name} was removed.`, "ok");
    } catch (problem) {
      toast(problem.message, "danger");
    }
    await this.load(room.id);
  }
}
