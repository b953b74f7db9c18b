/** Coming to a room: create one, join one, write to someone; and adding others to it. */

import { toast } from "../conclave/toast.js";
import { $, h, icon, iconButton, keyed } from "./dom.js";
import { clearErrors, onSubmit, openDialog } from "./dialogs.js";
import { newNonce } from "./outbox.js";
import { PeopleSearch, personRow } from "./people-search.js";
import { nameOf } from "./store.js";
import { KIND_ICON, KIND_WORD } from "./words.js";

const HISTORY_MEANS = {
  shared: "Someone who joins in a year reads the room from its first message.",
  since_join: "Someone who joins in a year reads nothing of what is written until then.",
};

export class CreateDialog {
  constructor({ api, entered }) {
    const form = $("#form-create");
    form.elements.history.addEventListener("change", () => {
      $("#create-history-hint").textContent = HISTORY_MEANS[form.elements.history.value];
    });
    onSubmit(form, async () => {
      const body = Object.fromEntries(new FormData(form));
      const json = JSON.stringify(body);
      // The same key for the same words: a retry after a lost answer finds the room that was made.
      if (this.last?.json !== json) this.last = { json, key: newNonce() };
      const room = await api.post("rooms/", body, { key: this.last.key });
      this.last = null;
      $("#dialog-create").close();
      form.reset();
      entered(room);
    });
    $("#open-create").addEventListener("click", () => this.open());
  }

  open() {
    clearErrors($("#form-create"));
    openDialog("dialog-create");
  }
}

export class BrowseDialog {
  constructor({ store, join }) {
    Object.assign(this, { store, join });
    $("#open-browse")?.addEventListener("click", () => this.open());
    $("#browse-field").addEventListener("input", () => this.#draw());
  }

  open() {
    $("#browse-field").value = "";
    this.#draw();
    openDialog("dialog-browse");
  }

  #draw() {
    const wanted = $("#browse-field").value.trim().toLowerCase();
    const rooms = [...this.store.rooms.values()]
      .filter((room) => room.room_role === null && !room.archived_at && room.name.toLowerCase().includes(wanted))
      .sort((a, b) => a.name.localeCompare(b.name));
    keyed($("#browse-list"), rooms, { key: (room) => room.id, version: () => "", made: (room) => this.#row(room) });
    $("#browse-empty").hidden = rooms.length > 0;
  }

  #row(room) {
    const act = async () => {
      if (await this.join(room)) $("#dialog-browse").close();
    };
    const button = h("button.button.small", { type: "button", onclick: act }, room.kind === "open" ? "Join" : "Enter");
    button.setAttribute("aria-label", `${button.textContent} ${room.name}`);
    const detail = h("span.person-detail.truncate", {}, room.topic || KIND_WORD[room.kind]);
    const words = h("span.grow", {}, h("span.truncate", {}, room.name), detail);
    return h("li.person-row", {}, h("span.room-mark", {}, icon(KIND_ICON[room.kind])), words, button);
  }
}

export class DirectDialog {
  constructor({ api, me, entered }) {
    this.chosen = new Map();
    this.search = new PeopleSearch({
      api,
      field: $("#direct-field"),
      list: $("#direct-list"),
      empty: $("#direct-empty"),
      hidden: (id) => id === me.id || this.chosen.has(id),
      row: ({ user, tenant_role: role }) => {
        const choose = h("button.person-choice", { type: "button", onclick: () => this.#choose(user) });
        choose.append(...personRow(user, role).childNodes);
        return h("li", {}, choose);
      },
    });
    $("#open-direct").addEventListener("click", () => this.open());
    $("#direct-field").addEventListener("keydown", (event) => this.#key(event));
    onSubmit($("#form-direct"), async () => {
      const room = await api.post("direct/", { users: [...this.chosen.keys()] });
      $("#dialog-direct").close();
      entered(room);
    });
  }

  open() {
    this.chosen.clear();
    $("#direct-field").value = "";
    clearErrors($("#form-direct"));
    this.#draw();
    openDialog("dialog-direct");
    this.search.search().catch((problem) => toast(problem.message, "danger"));
  }

  /** Enter takes the first find while something is typed, and starts once nothing is; Backspace takes the last one back. */
  #key(event) {
    const { value } = event.target;
    if (event.key === "Enter" && (value.trim() || !this.chosen.size)) {
      event.preventDefault();
      $("button", this.search.list)?.click();
    } else if (event.key === "Backspace" && !value && this.chosen.size) {
      this.#drop([...this.chosen.keys()].at(-1));
    }
  }

  #choose(user) {
    this.chosen.set(user.id, user);
    $("#direct-field").value = "";
    $("#direct-field").focus();
    this.#draw();
    this.search.search();
  }

  #drop(id) {
    this.chosen.delete(id);
    $("#direct-field").focus();
    this.#draw();
  }

  #draw() {
    const chips = [...this.chosen.values()].map((user) => {
      const remove = iconButton("close", `Take ${nameOf(user)} back`, () => this.#drop(user.id));
      return h("span.chip", {}, nameOf(user), remove);
    });
    $("#direct-chosen").replaceChildren(...chips);
    $("#direct-start").disabled = !this.chosen.size;
    this.search.draw();
  }
}

export class AddDialog {
  /** `added(room)`: someone came in. */
  constructor({ api, members, added }) {
    this.room = null;
    this.search = new PeopleSearch({
      api,
      field: $("#add-field"),
      list: $("#add-list"),
      empty: $("#add-empty"),
      hidden: (id) => members().some((member) => member.user.id === id),
      row: ({ user, tenant_role: role }) => {
        const act = async () => {
          button.disabled = true;
          try {
            await api.post(`rooms/${this.room.id}/members/`, { user: user.id, room_role: "member" });
            await added(this.room);
            this.search.draw();
          } catch (problem) {
            button.disabled = false;
            toast(problem.message, "danger");
          }
        };
        const button = h("button.button.small", { type: "button", onclick: act, "aria-label": `Add ${nameOf(user)}` }, "Add");
        return personRow(user, role, button);
      },
    });
  }

  open(room) {
    this.room = room;
    $("#add-title").textContent = `Add people to ${room.name}`;
    $("#add-words").textContent =
      room.history === "shared"
        ? "They will read everything that was written here before."
        : "They will read what is written from now on.";
    $("#add-field").value = "";
    openDialog("dialog-add");
    this.search.search().catch((problem) => toast(problem.message, "danger"));
  }
}
