/** The side panel for those who run a room: its name, topic and policies, and putting it away. */

import { toast } from "../conclave/toast.js";
import { $ } from "./dom.js";
import { clearErrors, confirmed, onSubmit } from "./dialogs.js";

const FIELDS = ["name", "topic", "posting", "history"];

export class SettingsPanel {
  constructor({ api, store }) {
    Object.assign(this, { api, store });
    this.form = $("#room-settings");
    onSubmit(this.form, () => this.#save());
    $("#archive-room").addEventListener("click", () => this.#archive());
  }

  show(room) {
    this.id = room.id;
    clearErrors(this.form);
    for (const field of FIELDS) this.form.elements[field].value = room[field];
    $("#archive-room").classList.toggle("danger", !room.archived_at);
    $("#archive-words").textContent = room.archived_at ? "Restore this room" : "Archive this room";
  }

  async #save() {
    const room = this.store.room(this.id);
    const given = FIELDS.map((field) => [field, this.form.elements[field].value.trim()]);
    const changed = Object.fromEntries(given.filter(([field, value]) => value !== room[field]));
    if (Object.keys(changed).length) this.store.describe([await this.api.patch(`rooms/${this.id}/`, changed)]);
    toast("Saved.", "ok");
  }

  async #archive() {
    const room = this.store.room(this.id);
    const archived = Boolean(room.archived_at);
    const sure =
      archived ||
      (await confirmed({
        title: `Archive ${room.name}?`,
        text: "Its members can still read it; nobody writes in it. It can be restored.",
        act: "Archive",
      }));
    if (!sure) return;
    try {
      this.store.describe([await this.api.post(`rooms/${room.id}/${archived ? "restore" : "archive"}/`)]);
      this.show(this.store.room(room.id));
      toast(archived ? "The room is open again." : "The room is archived.", "ok");
    } catch (problem) {
      toast(problem.message, "danger");
    }
  }
}
