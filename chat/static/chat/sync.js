/** Keeps the store equal to the server: subscribes to every room I am in, pages catch-up, applies events. */

const ROOMS_AT_ONCE = 100;
const LATEST = 50;
const AGAIN_MS = 2_000;
const EVENTS = new Set([
  "hello",
  "message.created",
  "message.updated",
  "message.deleted",
  "read",
  "typing",
  "presence",
  "room.added",
  "room.updated",
  "room.removed",
  "member.changed",
  "role.changed",
  "resync",
]);

export class Sync {
  /** `loadRooms()` fetches the whole room list by REST; `notice` hears of what views should know besides the store. */
  constructor({ store, connection, loadRooms, notice }) {
    Object.assign(this, { store, connection, loadRooms, notice });
    this.open = null;
    this.subscribed = new Set(); // or about to be
  }

  offline() {
    this.subscribed.clear();
    this.store.unattended();
  }

  /** Show this room: its latest messages now, if they aren't held yet. */
  async show(id) {
    this.open = id;
    const room = this.store.room(id);
    if (!room || room.room_role === null || this.connection.state !== "online") return;
    if (!(room.loaded && this.subscribed.has(id))) await this.#start(id);
  }

  /** Apply an event; one of a type that this page does not know is for a later page. */
  receive(event) {
    if (EVENTS.has(event.type)) this[event.type](event);
  }

  async hello(event) {
    this.store.hello(event);
    const open = this.store.room(this.open);
    if (open && open.room_role !== null) this.#start(open.id);
    this.resume();
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

  presence(event) {
    this.store.attended(event);
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

  /** Subscribe to one room: from its cursor, or afresh when it is on the screen and nothing of it is held. */
  async #start(id) {
    const room = this.store.room(id);
    const since = room.loaded || id !== this.open ? this.store.cursor(room) : null;
    this.subscribed.add(id);
    try {
      const result = await this.connection.ask("subscribe", since ? { room: id, since } : { room: id, limit: LATEST });
      await this.#finish(result, { fresh: !since });
    } catch (error) {
      this.#refused(id, error);
    }
  }

  /** Those of my rooms that are not subscribed to yet, from where each stands, a hundred at a time. */
  async resume() {
    const rooms = this.store.joined().filter((room) => !this.subscribed.has(room.id));
    for (const { id } of rooms) this.subscribed.add(id);
    for (let at = 0; at < rooms.length; at += ROOMS_AT_ONCE) await this.#batch(rooms.slice(at, at + ROOMS_AT_ONCE));
  }

  async #batch(rooms) {
    const left = new Set(rooms.map((room) => room.id));
    const asked = rooms.map((room) => ({ room: room.id, since: this.store.cursor(room) }));
    try {
      const { rooms: results } = await this.connection.ask("subscribe", { rooms: asked });
      for (const result of results) {
        left.delete(result.room);
        if (result.code) this.#refused(result.room, result);
        else await this.#finish(result, { sparse: true }).catch((error) => this.#refused(result.room, error));
      }
    } catch (error) {
      for (const id of left) this.#refused(id, error);
    }
  }

  /** Fold a result and, while the server says that there is more, what follows it. */
  async #finish(result, how) {
    this.store.subscribed(result, how);
    if (!result.more) return;
    const since = { epoch: result.epoch, rev: result.rev };
    await this.#finish(await this.connection.ask("subscribe", { room: result.room, since }), {});
  }

  /** A lost connection resumes by itself; a room that is not mine (any more) leaves the list; the rest is asked again. */
  #refused(id, error) {
    this.subscribed.delete(id);
    if (error.code === "disconnected") return;
    if (error.code === "not_found" || error.code === "forbidden") this.loadRooms();
    else setTimeout(() => this.store.room(id) && this.#start(id), (error.retryAfter ?? 0) * 1_000 || AGAIN_MS);
  }
}
