/** Keeps the store equal to the server: subscribes to every room I am in, pages catch-up, applies events. */

const ROOMS_AT_ONCE = 100;
const LATEST = 50;
const AGAIN_MS = 2_000;

export class Sync {
  /** `loadRooms()` fetches the whole room list by REST; `notice` hears of what views should know besides the store. */
  constructor({ store, connection, loadRooms, notice }) {
    Object.assign(this, { store, connection, loadRooms, notice });
    this.open = null;
    this.subscribed = new Set();
  }

  offline() {
    this.subscribed.clear();
  }

  /** Show this room: its latest messages now, if they aren't held yet. */
  async show(id) {
    this.open = id;
    const room = this.store.room(id);
    if (!id || this.connection.state !== "online" || room?.room_role === null) return;
    if (room?.loaded && this.subscribed.has(id)) return;
    await this.#start(id);
  }

  receive(event) {
    const take = this[event.type];
    if (take) take.call(this, event);
  }

  async hello(event) {
    this.store.hello(event);
    const { open } = this;
    if (open && this.store.room(open)?.room_role != null) await this.#start(open);
    this.#resume();
    this.notice("hello", event);
  }

  "message.created"(event) {
    const message = this.store.event(event);
    if (message) this.notice("message", message);
  }

  "message.updated"(event) {
    this.store.event(event);
  }

  "message.deleted"(event) {
    this.store.event(event);
  }

  read({ room, number }) {
    this.store.read(room, number);
  }

  typing({ room, user }) {
    this.store.typed(room, user?.id ?? user, Date.now(), user?.display_name);
  }

  "room.added"({ room }) {
    this.store.describe([room]);
    this.#start(room.id);
  }

  "room.updated"({ room }) {
    this.store.describe([room]);
  }

  "room.removed"({ room }) {
    const id = room?.id ?? room;
    this.subscribed.delete(id);
    this.notice("removed", this.store.room(id) ?? { id });
    this.store.remove(id);
    this.loadRooms();
  }

  "member.changed"(event) {
    this.notice("member", event);
  }

  "role.changed"(event) {
    this.notice("role", event);
    this.loadRooms();
  }

  async resync({ room }) {
    if (room) return this.#start(room);
    await this.loadRooms();
    await this.hello(await this.connection.ask("hello"));
  }

  bye(event) {
    this.notice("bye", event);
  }

  /** Subscribe to one room: from its cursor, or afresh when it is on the screen and nothing of it is held. */
  async #start(id) {
    const room = this.store.room(id);
    const since = room && (room.loaded || id !== this.open) ? this.store.cursor(room) : null;
    try {
      const result = await this.connection.ask("subscribe", since ? { room: id, since } : { room: id, limit: LATEST });
      await this.#finish(result, !since);
    } catch (error) {
      this.#refused(id, error);
    }
  }

  /** The rest of my rooms, from where each stands, a hundred at a time. */
  async #resume() {
    const rooms = this.store.joined().filter((room) => !this.subscribed.has(room.id) && room.id !== this.open);
    for (let at = 0; at < rooms.length; at += ROOMS_AT_ONCE) {
      const some = rooms.slice(at, at + ROOMS_AT_ONCE);
      const asked = some.map((room) => ({ room: room.id, since: this.store.cursor(room) }));
      try {
        const { rooms: results } = await this.connection.ask("subscribe", { rooms: asked });
        for (const result of results) {
          if (result.code) this.#refused(result.room, result);
          else await this.#finish(result, false);
        }
      } catch (error) {
        for (const room of some) this.#refused(room.id, error);
      }
    }
  }

  /** Fold a result and, while the server says that there is more, what follows it. */
  async #finish(result, fresh) {
    this.store.subscribed(result, { fresh });
    if (!result.more) return this.subscribed.add(result.room);
    const since = { epoch: result.epoch, rev: result.rev };
    return this.#finish(await this.connection.ask("subscribe", { room: result.room, since }), false);
  }

  /** A lost connection resumes by itself; a room that is not mine (any more) leaves the list; the rest is asked again. */
  #refused(id, error) {
    if (error.code === "disconnected" || this.subscribed.has(id)) return;
    if (error.code === "not_found" || error.code === "forbidden") this.loadRooms();
    else setTimeout(() => this.#start(id), (error.retryAfter ?? 0) * 1_000 || AGAIN_MS);
  }
}
