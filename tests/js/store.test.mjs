// The fold of the chat page: what it holds equals the server's newest state, whatever the order of arrival.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Store } from "../../chat/static/chat/store.js";

const ME = "me";
const ROOM = "room";
const EPOCH = "epoch";

const message = (number, rev = number, body = `m${number}`, author = "ada") => ({
  ...{ id: `id-${number}`, room: ROOM, number, rev, body, kind: "text", deleted_at: null },
  author: { id: author, display_name: author },
});
const event = (held) => ({ type: "message.created", room: ROOM, rev: held.rev, message: held });
const run = (from, to) => Array.from({ length: to - from + 1 }, (_, at) => message(from + at));
const numbers = (store) => store.shown(ROOM).map(({ number }) => number);
const bodies = (store) => store.shown(ROOM).map(({ body }) => body);

function opened(messages, { rev = messages.at(-1)?.rev ?? 0, unread = 0 } = {}) {
  const store = new Store(ME);
  const number = messages.at(-1)?.number ?? 0;
  store.hello({ epoch: EPOCH, tenant_role: "member", rooms: [{ id: ROOM, name: "Room", room_role: "member", rev, number, unread }] });
  store.subscribed({ room: ROOM, epoch: EPOCH, rev, messages, more: false, reset: false }, { fresh: true });
  return store;
}

test("a message that is held with a higher rev is not overwritten by an older state", () => {
  const store = opened(run(1, 2));
  store.event(event(message(1, 5, "edited")));
  store.answer(message(1, 4, "stale"));
  assert.deepEqual(bodies(store), ["edited", "m2"]);
});

test("the cursor follows events and subscribe results, never a message inside an ok", () => {
  const store = opened(run(1, 2));
  store.answer(message(3, 9));
  assert.deepEqual(store.cursor(store.room(ROOM)), { epoch: EPOCH, rev: 2 });
  store.event(event(message(4, 10)));
  assert.deepEqual(store.cursor(store.room(ROOM)), { epoch: EPOCH, rev: 10 });
});

test("events in any order end in the same conversation", () => {
  const store = opened(run(1, 2));
  for (const held of [message(5, 6), message(3, 8, "edited later"), message(4, 4)]) store.event(event(held));
  assert.deepEqual(bodies(store), ["m1", "m2", "edited later", "m4", "m5"]);
});

test("an old message that is changed is held, but shown only once history reaches it", () => {
  const store = opened(run(51, 100));
  store.event(event(message(10, 101, "edited")));
  assert.equal(numbers(store)[0], 51);
  store.older(ROOM, run(1, 50));
  assert.equal(numbers(store).length, 100);
  assert.equal(bodies(store)[9], "edited");
  assert.equal(store.room(ROOM).begins, true);
});

test("a reset drops what was held, also what had a higher rev", () => {
  const store = opened(run(1, 100));
  store.subscribed({ room: ROOM, epoch: "restored", rev: 7, messages: [message(1, 6, "again"), message(2, 7)], more: false, reset: true }, { fresh: false });
  assert.deepEqual(bodies(store), ["again", "m2"]);
  assert.deepEqual(store.cursor(store.room(ROOM)), { epoch: "restored", rev: 7 });
});

test("a result in pages is shown once its last page is here", () => {
  const store = opened([]);
  store.subscribed({ room: ROOM, epoch: EPOCH, rev: 30, messages: run(1, 30), more: true, reset: true }, { fresh: false });
  assert.deepEqual(numbers(store), []);
  store.subscribed({ room: ROOM, epoch: EPOCH, rev: 60, messages: run(31, 60), more: false, reset: false }, { fresh: false });
  assert.equal(numbers(store).length, 60);
});

test("one of many rooms that starts anew without its messages is read when it is opened", () => {
  const store = opened(run(1, 5));
  store.subscribed({ room: ROOM, epoch: EPOCH, rev: 9_000, messages: [], more: false, reset: true }, { sparse: true });
  assert.equal(store.room(ROOM).loaded, false);
  assert.equal(store.room(ROOM).number, 5);
});

test("a history that begins later ends where nothing older can be read", () => {
  const store = opened(run(40, 50));
  assert.equal(store.room(ROOM).begins, false);
  store.older(ROOM, []);
  assert.equal(store.room(ROOM).begins, true);
});

test("what others write is unread, what I write at the end is not, and a marker only rises", () => {
  const store = opened(run(1, 3));
  store.event(event(message(4, 4, "mine", ME)));
  assert.equal(store.unread(store.room(ROOM)), 0);
  store.event(event(message(5)));
  assert.equal(store.unread(store.room(ROOM)), 1);
  assert.equal(store.read(ROOM, 5), true);
  assert.equal(store.read(ROOM, 2), false);
  assert.equal(store.unread(store.room(ROOM)), 0);
});

test("my own message still tells the server how far I read", () => {
  const store = opened(run(1, 3));
  store.event(event(message(4, 4, "mine", ME)));
  assert.equal(store.read(ROOM, 4), true);
});

test("trimmed messages can be read again as history", () => {
  const store = opened(run(1, 500));
  store.trim(ROOM);
  const [first] = numbers(store);
  assert.ok(first > 1 && !store.room(ROOM).begins);
  store.older(ROOM, run(first - 50, first - 1));
  assert.equal(numbers(store)[0], first - 50);
});

test("a room that the list no longer has is gone, one that came while it was asked stays", () => {
  const store = opened(run(1, 1));
  const known = [...store.rooms.keys()];
  store.describe([{ id: "new", name: "New", room_role: "member" }]);
  store.replaceRooms([], known);
  assert.deepEqual([...store.rooms.keys()], ["new"]);
});

test("who is here is told whole, then as it changes, and forgotten with the connection", () => {
  const store = opened(run(1, 1));
  const heard = [];
  store.listen((topic, room) => topic === "presence" && heard.push(room));
  const person = (id) => ({ id, display_name: id.toUpperCase() });
  const here = () => [...store.room(ROOM).here];
  store.attended({ room: ROOM, count: 2, here: [person("ada"), person("ben")] });
  store.attended({ room: ROOM, count: 2, joined: [person("cy")], left: ["ada"] });
  assert.deepEqual(here(), [["ben", "BEN"], ["cy", "CY"]]);
  store.attended({ room: ROOM, count: 300, joined: [], left: [] });
  assert.deepEqual([store.room(ROOM).present, here().length], [300, 2]);
  store.attended({ room: ROOM, count: 1, here: [person("dee")] });
  assert.deepEqual(here(), [["dee", "DEE"]]);
  store.attended({ room: "elsewhere", count: 1, here: [person("eve")] });
  store.unattended();
  assert.deepEqual([here(), store.room(ROOM).present], [[], 0]);
  store.unattended();
  assert.equal(heard.length, 5);
});
