/** Inviting people by link: who they become, where they enter, until when; the link is shown once. */

import { $, $$, h, icon } from "./dom.js";
import { clearErrors, onSubmit, openDialog } from "./dialogs.js";
import { fullTime, listed, plural } from "./time.js";
import { KIND_ICON, ROLE_MEANS, mayRun } from "./words.js";

const DAY_MS = 86_400_000;

export class InviteDialog {
  constructor({ api, store }) {
    Object.assign(this, { api, store });
    this.form = $("#form-invite");
    this.form.elements.tenant_role.addEventListener("change", () => this.#hint());
    for (const opener of $$("[data-invite]")) opener.addEventListener("click", () => this.open());
    $("#invite-another").addEventListener("click", () => this.#start());
    $("#dialog-invite").addEventListener("close", () => ($("#invite-url").textContent = ""));
    onSubmit(this.form, () => this.#make());
  }

  open() {
    this.#start();
    openDialog("dialog-invite");
  }

  #start() {
    clearErrors(this.form);
    this.form.hidden = false;
    $("#invite-made").hidden = true;
    const roles = this.store.mine.gives.map((role) => h("option", { value: role, selected: role === "member" }, role[0].toUpperCase() + role.slice(1)));
    this.form.elements.tenant_role.replaceChildren(...roles);
    this.#hint();
    const rooms = this.store.joined().filter((room) => mayRun(this.store.mine, room) && !room.archived_at);
    const checks = rooms.map((room) =>
      h("label.check", {}, h("input", { type: "checkbox", name: "rooms", value: room.id }), icon(KIND_ICON[room.kind], "small"), h("span.truncate", {}, room.name)),
    );
    $("#invite-rooms").replaceChildren(...checks);
    $(".rooms-field", this.form).hidden = !checks.length;
  }

  #hint() {
    const role = this.form.elements.tenant_role.value;
    const means = ROLE_MEANS[role] ?? "may do what the organization decided for this role";
    $("#invite-role-hint").textContent = `A ${role} ${means}.`.replace(/^A (?=[aeio])/, "An ");
  }

  async #make() {
    const given = new FormData(this.form);
    const ends = new Date(Date.now() + Number(given.get("expires_at")) * DAY_MS);
    const made = await this.api.post("invitations/", {
      tenant_role: given.get("tenant_role"),
      rooms: given.getAll("rooms"),
      expires_at: ends.toISOString(),
      max_uses: Number(given.get("max_uses")),
    });
    const rooms = given.getAll("rooms").map((id) => this.store.room(id)?.name).filter(Boolean);
    const into = rooms.length ? ` They enter ${listed(rooms, 5)}.` : "";
    const uses = plural(Number(given.get("max_uses")), "person", "people");
    $("#invite-means").textContent = `It lets ${uses} join as ${given.get("tenant_role")}, until ${fullTime(ends)}.${into}`;
    $("#invite-url").textContent = new URL(made.url, location.href).href;
    this.form.hidden = true;
    $("#invite-made").hidden = false;
    $("#invite-made [data-copy-from]").focus();
  }
}
