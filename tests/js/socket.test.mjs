// The page's connection: each close code leads where the contract says, and no answer is lost in silence.
import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { Connection, afterClose } from "../../chat/static/chat/socket.js";

class FakeSocket {
  sent = [];
  closed = false;

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {
    this.closed = true;
  }

  say(frame) {
    this.onmessage({ data: JSON.stringify(frame) });
  }
}

function connected() {
  const sockets = [];
  const states = [];
  const events = [];
  const open = () => sockets[sockets.push(new FakeSocket()) - 1];
  const connection = new Connection("ws://x", { open, random: () => 0.5, onstate: (state) => states.push(state), onevent: (event) => events.push(event.type) });
  connection.start();
  sockets[0].say({ type: "hello", heartbeat: 25 });
  return { connection, sockets, states, events };
}

beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "Date"] }));
afterEach(() => mock.timers.reset());

test("who is not signed in, or no longer, signs in; who has no seat is told so", () => {
  assert.equal(afterClose(4401, 0).next, "sign_in");
  assert.equal(afterClose(4411, 0).next, "sign_in");
  assert.equal(afterClose(4403, 0).next, "gone");
});

test("an expired or a slow connection comes back at once, but not in a loop", () => {
  for (const code of [4410, 4408]) {
    assert.equal(afterClose(code, 0).wait, 0);
    assert.ok(afterClose(code, 3).wait > 0);
  }
});

test("a restart is spread over five seconds, a named wait is kept", () => {
  assert.ok(afterClose(1012, 0, { random: () => 0.999 }).wait < 5_000);
  assert.ok(afterClose(1013, 0, { retryAfter: 7 }).wait >= 7_000);
});

test("waits grow to half a minute and no further", () => {
  const waits = [0, 1, 2, 3, 20].map((attempt) => afterClose(1006, attempt, { random: () => 1 }).wait);
  assert.deepEqual(waits, [500, 1_000, 2_000, 4_000, 30_000]);
});

test("an answer finds its question, an error rejects with its code", async () => {
  const { connection, sockets } = connected();
  const [one, two] = [connection.ask("ping"), connection.ask("read", { room: "r", number: 1 })];
  const [first, second] = sockets[0].sent;
  sockets[0].say({ type: "error", id: second.id, code: "rate_limited", detail: "Slow down", retry_after: 2 });
  sockets[0].say({ type: "ok", id: first.id, result: { fine: true } });
  assert.deepEqual(await one, { fine: true });
  await assert.rejects(two, { code: "rate_limited", retryAfter: 2 });
  connection.stop();
});

test("what was asked on a lost connection is refused, and a new one is opened", async () => {
  const { connection, sockets, states } = connected();
  const asked = connection.ask("ping");
  sockets[0].onclose({ code: 1006 });
  await assert.rejects(asked, { code: "disconnected" });
  assert.equal(sockets.length, 1);
  mock.timers.tick(500);
  assert.equal(sockets.length, 2);
  assert.deepEqual(states, ["connecting", "online", "waiting", "connecting"]);
  connection.stop();
});

test("a silent connection is taken for dead", () => {
  const { connection, sockets, states } = connected();
  mock.timers.tick(34_000);
  sockets[0].say({ type: "ping" });
  mock.timers.tick(34_000);
  assert.equal(states.at(-1), "online");
  mock.timers.tick(2_000);
  assert.equal(states.at(-1), "waiting");
  assert.equal(sockets[0].closed, true);
  connection.stop();
});

test("frames of a socket that was left are not heard", () => {
  const { connection, sockets, events } = connected();
  sockets[0].onclose({ code: 1012 });
  sockets[0].say({ type: "message.created" });
  assert.deepEqual(events, ["hello"]);
  connection.stop();
});

test("a wait that the server's goodbye named is kept", () => {
  const { connection, sockets } = connected();
  sockets[0].say({ type: "bye", code: "unavailable", detail: "", retry_after: 4 });
  sockets[0].onclose({ code: 1013 });
  mock.timers.tick(3_900);
  assert.equal(sockets.length, 1);
  mock.timers.tick(400);
  assert.equal(sockets.length, 2);
  connection.stop();
});
