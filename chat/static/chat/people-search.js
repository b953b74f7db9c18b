/** Finding people of the organization while one types, for whoever asks: an input, and what to do with each find. */

import { avatar, h, keyed } from "./dom.js";
import { nameOf } from "./store.js";

const WAIT_MS = 150;

export function personRow(person, detail, ...acts) {
  return h(
    "li.person-row",
    {},
    avatar({ id: person.id, name: nameOf(person) }),
    h("span.grow", {}, h("span.truncate", {}, nameOf(person)), detail ? h("span.person-detail.truncate", {}, detail) : null),
    ...acts,
  );
}

export class PeopleSearch {
  /** `row(member)` makes the list item of one find, `hidden(id)` tells whom to leave out. */
  constructor({ api, field, list, empty, row, hidden, version = () => "" }) {
    Object.assign(this, { api, field, list, empty, row, hidden, version });
    this.asked = 0;
    this.found = [];
    field.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.search(), WAIT_MS);
    });
  }

  async search() {
    this.asked += 1;
    const { asked } = this;
    const { results } = await this.api.get("members/", { q: this.field.value.trim(), limit: 30 });
    if (asked !== this.asked) return;
    this.found = results.filter((member) => !member.suspended);
    this.draw();
  }

  draw() {
    const shown = this.found.filter((member) => !this.hidden(member.user.id));
    keyed(this.list, shown, { key: (member) => member.user.id, version: this.version, made: this.row });
    this.empty.hidden = shown.length > 0;
  }
}
