/** What this page holds of the organization: its rooms and their messages, folded as the contract says. No DOM, no network. */

const KEPT = 200;
const TYPING_MS = 5_000;
const DESCRIBED = ["name", "kind", "topic", "posting", "history", "archived_at", "room_role", "people"];

function newRoom(id) {
  return {
    id,
    name: "",
    kind: "private",
    topic: "",
    posting: "everyone",
    history: "shared",
    archived_at: null,
    room_role: null,
    people: null,
    rev: 0,
    number: 0,
    head: 0, // the highest number that is held
    read: 0,
    told: 0, // my read marker as the server has it
    cursor: null, // {epoch, rev} of the last event or subscribe result
    loaded: false, // what is held reaches from `low` to the head without a gap
    low: Infinity,
    begins: false, // nothing older can be read
    byId: new Map(),
    byNumber: new Map(),
    typing: new Map(),
    here: new Map(), // names by id of those who are in the room now; of many only some
    present: 0, // how many they are
  };
}

/** A person's name as every answer and event writes it. */
export const nameOf = (person) => person?.display_name || "Someone";

export class Store {
  constructor(me, mine) {
    this.me = me;
    this.mine = mine;
    this.epoch = null;
    this.rooms = new Map();
    this.names = new Map();
    this.listeners = new Set();
  }

  /** `listener(topic, roomId)`: topic is `rooms`, `messages`, `typing` or `presence`. Answers how to stop listening. */
  listen(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  changed(topic, room = null) {
    for (const listener of this.listeners) listener(topic, room);
  }

  /** What I may do here is this from now on. */
  allow(mine) {
    this.mine = mine;
    this.changed("rooms");
  }

  room(id) {
    return this.rooms.get(id);
  }

  joined() {
    return [...this.rooms.values()].filter((room) => room.room_role !== null);
  }

  unread(room) {
    return room.room_role === null ? 0 : Math.max(0, room.number - room.read);
  }

  unreadRooms() {
    return this.joined().filter((room) => this.unread(room) > 0);
  }

  /** Take in room shapes of REST, `hello` or an event; fields that a shape lacks stay as they are. */
  describe(shapes) {
    for (const shape of shapes) {
      const room = this.rooms.get(shape.id) ?? newRoom(shape.id);
      for (const field of DESCRIBED) if (field in shape) room[field] = shape[field];
      room.rev = Math.max(room.rev, shape.rev ?? 0);
      if (Number.isInteger(shape.number)) {
        room.number = Math.max(room.number, shape.number);
        if (Number.isInteger(shape.unread)) room.told = Math.max(room.told, shape.number - shape.unread);
        room.read = Math.max(room.read, room.told);
      }
      this.rooms.set(room.id, room);
    }
    this.changed("rooms");
  }

  /** The whole list, as REST shows it: what was `known` before it was asked for and isn't in it, is gone. */
  replaceRooms(shapes, known) {
    const seen = new Set(shapes.map((shape) => shape.id));
    for (const id of known) if (!seen.has(id)) this.rooms.delete(id);
    this.describe(shapes.map((shape) => ({ room_role: null, ...shape })));
  }

  /** `hello`: a new epoch means that every rev held means nothing any more. */
  hello({ epoch, rooms }) {
    if (this.epoch !== null && this.epoch !== epoch) for (const room of this.rooms.values()) room.rev = 0;
    this.epoch = epoch;
    this.describe(rooms);
  }

  /** Where to resume this room, or null to start from its latest messages. */
  cursor(room) {
    return room.cursor ?? (room.loaded || this.epoch === null ? null : { epoch: this.epoch, rev: room.rev });
  }

  /**
   * A `subscribe` or `changes` result. `fresh`: it was asked without `since`, so it is the latest run of messages.
   * `sparse`: one of many, which may have left its messages out.
   */
  subscribed(result, { fresh = false, sparse = false }) {
    const room = this.rooms.get(result.room) ?? newRoom(result.room);
    this.rooms.set(room.id, room);
    if (result.reset || fresh) this.#restart(room, result);
    room.cursor = { epoch: result.epoch, rev: result.rev };
    for (const message of result.messages) this.#put(room, message);
    if (room.restarting && !result.more) {
      room.restarting = false;
      room.loaded = !sparse || room.byNumber.size > 0;
      room.low = (room.head || room.number) + 1;
    }
    this.#settle(room);
  }

  /** Forget what this room's run held. Without `reset`, newer states that overtook the result are kept. */
  #restart(room, { reset, rev, messages }) {
    for (const message of [...room.byId.values()]) if (reset || message.rev <= rev) this.#forget(room, message);
    if (reset && messages.length) {
      room.number = messages.at(-1).number;
      room.read = Math.min(room.read, room.number);
      room.told = Math.min(room.told, room.number);
    }
    room.head = Math.max(0, ...room.byNumber.keys());
    room.restarting = true;
    room.loaded = false;
    room.begins = false;
    room.low = Infinity;
  }

  /** An event of the socket. Answers the message that is new to this page, if that is what it brought. */
  event(event) {
    const room = this.rooms.get(event.room);
    if (!room) return null;
    const before = room.number;
    const { message } = event;
    this.#put(room, message);
    if (room.cursor) room.cursor = { epoch: room.cursor.epoch, rev: Math.max(room.cursor.rev, event.rev) };
    this.typed(room.id, message.author?.id, 0);
    this.#settle(room);
    return message.number > before ? message : null;
  }

  /** A message from an `ok` or a single read: newer state, but no cursor. */
  answer(message) {
    const room = this.rooms.get(message.room);
    if (!room) return;
    this.#put(room, message);
    this.#settle(room);
  }

  /** A page of history that ends right below `low`; an empty one means that the room begins there. */
  older(id, messages) {
    const room = this.rooms.get(id);
    if (!room) return;
    for (const message of messages) this.#put(room, message);
    if (messages.length === 0) room.begins = true;
    this.#settle(room);
  }

  /** My read marker, from here or from another of my sockets; it only rises. Answers whether that was news. */
  read(id, number) {
    const room = this.rooms.get(id);
    if (!room || number <= room.told) return false;
    room.told = number;
    room.read = Math.max(room.read, number);
    this.changed("rooms");
    return true;
  }

  remove(id) {
    if (this.rooms.delete(id)) this.changed("rooms");
  }

  /** The run of messages that the page shows, oldest first. */
  shown(id) {
    const room = this.rooms.get(id);
    if (!room?.loaded) return [];
    return [...room.byNumber.values()].filter((m) => m.number >= room.low).sort((a, b) => a.number - b.number);
  }

  myLast(id) {
    return this.shown(id).findLast((m) => m.author?.id === this.me && m.kind === "text" && !m.deleted_at) ?? null;
  }

  /** Give back memory of a room that is no longer looked at. */
  trim(id) {
    const room = this.rooms.get(id);
    if (!room?.loaded || room.number - room.low < KEPT) return;
    const low = room.number - KEPT / 2;
    for (const message of [...room.byId.values()]) if (message.number < low) this.#forget(room, message);
    room.low = low;
    room.begins = false;
  }

  /** Who is in a room now: everyone, or who came and went since this was last told. */
  attended({ room: id, count, here = null, joined = [], left = [] }) {
    const room = this.rooms.get(id);
    if (!room) return;
    if (here) room.here.clear();
    for (const user of left) room.here.delete(user);
    for (const person of here ?? joined) room.here.set(person.id, person.display_name);
    room.present = count;
    this.changed("presence", id);
  }

  /** Without a connection nobody knows who is where. */
  unattended() {
    for (const room of this.rooms.values()) if (room.present) this.attended({ room: room.id, count: 0, here: [] });
  }

  /** Someone types in a room until `now` + 5 s; `now` 0 means that they stopped. */
  typed(id, user, now, name = "") {
    const room = this.rooms.get(id);
    if (!room || !user || user === this.me) return;
    if (now) room.typing.set(user, { name, until: now + TYPING_MS });
    else if (!room.typing.delete(user)) return;
    this.changed("typing", id);
  }

  typists(id, now) {
    const typing = this.rooms.get(id)?.typing ?? new Map();
    for (const [user, { until }] of typing) if (until <= now) typing.delete(user);
    return [...typing.values()].map(({ name }) => name);
  }

  #put(room, message) {
    const held = room.byId.get(message.id);
    if (held && held.rev > message.rev) return;
    if (message.author) this.names.set(message.author.id, message.author.display_name);
    room.byId.set(message.id, message);
    room.byNumber.set(message.number, message);
    room.head = Math.max(room.head, message.number);
    if (message.number > room.number) {
      // Writing is reading: my own message at the end leaves nothing unread above it.
      if (message.author?.id === this.me && room.read === room.number) room.read = message.number;
      room.number = message.number;
    }
  }

  #forget(room, message) {
    room.byId.delete(message.id);
    room.byNumber.delete(message.number);
  }

  /** Numbers have no gaps, so whatever joins the run from below belongs to it. */
  #settle(room) {
    if (room.loaded) {
      while (room.byNumber.has(room.low - 1)) room.low -= 1;
      if (room.low <= 1) room.begins = true;
    }
    this.changed("messages", room.id);
    this.changed("rooms");
  }
}
