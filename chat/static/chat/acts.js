/** What a person does here, as requests: each says what went wrong in a toast, and none throws. */

import { toast } from "../conclave/toast.js";
import { $, avatar, h } from "./dom.js";
import { confirmed } from "./dialogs.js";
import { shortText } from "./message.js";

/** Run `act`; while it runs, further calls wait for one more run after it. */
function coalesced(act) {
  let running = null;
  let again = false;
  const run = async () => {
    do {
      again = false;
      await act();
    } while (again);
  };
  return () => {
    if (running) again = true;
    running ??= run().finally(() => (running = null));
    return running;
  };
}

export class Acts {
  constructor({ api, store, connection }) {
    Object.assign(this, { api, store, connection });
    this.leaving = null;
    this.loadRooms = coalesced(() => this.#loadRooms());
  }

  async #loadRooms() {
    const known = [...this.store.rooms.keys()];
    const shapes = await this.#try(() => this.api.all("rooms/"));
    if (shapes) this.store.replaceRooms(shapes, known);
  }

  /** Answers what `act` answers, or null after saying why not. */
  async #try(act) {
    try {
      return await act();
    } catch (error) {
      if (!("code" in error)) throw error;
      const words = error.code === "disconnected" ? "There is no connection. Try again when it is back." : error.message;
      toast(words, "danger");
      return null;
    }
  }

  async send({ room, body, nonce, replyTo }) {
    const { message } = await this.connection.ask("message.send", { room, body, nonce, ...(replyTo && { reply_to: replyTo }) });
    return message;
  }

  async #changed(type, fields) {
    const result = await this.#try(() => this.connection.ask(type, fields));
    if (result) this.store.answer(result.message);
    return result !== null;
  }

  react(message, emoji, on) {
    return this.#changed(on ? "reaction.add" : "reaction.remove", { message: message.id, emoji });
  }

  /** Save an edit, unless the text was changed elsewhere meanwhile (a reaction also moves the rev, and is no reason). */
  async edit(message, body) {
    const save = (rev) => this.connection.ask("message.edit", { message: message.id, body, rev });
    const saved = await this.#try(() =>
      save(message.rev).catch(async (error) => {
        if (error.code !== "conflict") throw error;
        const now = await this.api.get(`rooms/${message.room}/messages/${message.id}/`);
        this.store.answer(now);
        if (now.body !== message.body) throw error;
        return save(now.rev);
      }),
    );
    if (saved) this.store.answer(saved.message);
    return saved !== null;
  }

  async remove(message) {
    const text = shortText(message);
    const sure = await confirmed({
      title: "Delete this message?",
      text: `“${text}” is taken from everyone, and cannot be brought back. Its place stays marked.`,
      act: "Delete",
    });
    if (sure) await this.#changed("message.delete", { message: message.id });
  }

  /** Answers whether there was something older. */
  async loadOlder(room, limit) {
    const page = await this.#try(() => this.api.get(`rooms/${room.id}/messages/`, { before: room.low, limit }));
    if (page) this.store.older(room.id, page.results);
    return Boolean(page?.results.length);
  }

  /** One message that is quoted but not held; one that can't be read stays unknown. */
  async loadOne(room, id) {
    const message = await this.api.get(`rooms/${room}/messages/${id}/`).catch(() => null);
    if (message) this.store.answer(message);
  }

  /** Seen up to this number; a lost frame is made good by the next. */
  read(room, number) {
    if (this.connection.state !== "online" || !this.store.read(room.id, number)) return;
    this.connection.ask("read", { room: room.id, number }).catch(() => {});
  }

  type(room) {
    this.connection.ask("typing", { room }).catch(() => {}); // A hint: nobody waits for it.
  }

  async join(room) {
    const joined = await this.#try(() => this.api.post(`rooms/${room.id}/join/`));
    return joined && { ...room, room_role: "member", ...joined };
  }

  async leave(room) {
    const back = room.kind === "open" ? "You can join again at any time." : "Only someone who is in it can add you again.";
    if (!(await confirmed({ title: `Leave ${room.name}?`, text: back, act: "Leave" }))) return false;
    this.leaving = room.id;
    const left = await this.#try(() => this.api.post(`rooms/${room.id}/leave/`).then(() => true));
    if (left) {
      this.store.remove(room.id);
      await this.loadRooms();
    }
    this.leaving = null;
    return Boolean(left);
  }
}

/** The other organizations I am in, in this one's menu. */
export async function loadOrganizations(api, slug) {
  const { results } = await api.organizations();
  const others = results.filter((organization) => organization.slug !== slug);
  const links = others.map((organization) =>
    h("a.menu-item", { href: `/t/${organization.slug}/` }, avatar(organization, "small", "square"), h("span.truncate", {}, organization.name)),
  );
  $("#other-organizations").replaceChildren(...links, ...(links.length ? [h("hr")] : []));
}
