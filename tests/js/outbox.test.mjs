// Messages on their way: in order, with one nonce for life, and kept until they arrived.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Outbox } from "../../chat/static/chat/outbox.js";

class Kept {
  held = new Map();

  write(key, value) {
    this.held.set(key, value);
  }

  remove(key) {
    this.held.delete(key);
  }

  under() {
    return [...this.held.values()];
  }
}

const settle = () => new Promise((resolve) => setTimeout(resolve, 5));
const refused = (code, message = code) => Object.assign(new Error(message), { code });

function outbox(send, storage = new Kept(), now = () => 1_000) {
  const sent = [];
  const made = new Outbox({ storage, prefix: "p:", send, onchange: () => {}, onsent: (message) => sent.push(message), now });
  return { box: made, storage, sent };
}

test("what is written without a connection is sent when there is one, in order, with its first nonce", async () => {
  let online = false;
  const tried = [];
  const { box, sent, storage } = outbox(async (entry) => {
    tried.push(entry.nonce);
    if (!online) throw refused("disconnected");
    return entry.body;
  });
  for (const body of ["one", "two", "three"]) box.add({ room: "r", body });
  await settle();
  assert.deepEqual(sent, []);
  online = true;
  box.flush();
  await settle();
  assert.deepEqual(sent, ["one", "two", "three"]);
  assert.equal(new Set(tried).size, 3);
  assert.equal(storage.held.size, 0);
});

test("a refusal keeps the text, and sending again uses the same nonce", async () => {
  const nonces = [];
  let allowed = false;
  const { box, sent } = outbox(async ({ nonce, body }) => {
    nonces.push(nonce);
    if (!allowed) throw refused("forbidden", "Only moderators write here");
    return body;
  });
  box.add({ room: "r", body: "text" });
  await settle();
  const [failed] = box.of("r");
  assert.equal(failed.state, "failed");
  assert.equal(failed.reason, "Only moderators write here");
  allowed = true;
  box.retry(failed.nonce);
  await settle();
  assert.deepEqual(sent, ["text"]);
  assert.equal(nonces[0], nonces[1]);
});

test("a server that says when is waited for, however often, with the same nonce and before what follows", async () => {
  const tried = [];
  const { box, sent } = outbox(async ({ nonce, body }) => {
    tried.push(nonce);
    if (tried.length < 9) throw Object.assign(refused("rate_limited"), { retryAfter: 0.001 });
    return body;
  });
  for (const body of ["one", "two"]) box.add({ room: "r", body });
  while (sent.length < 2) await settle();
  assert.deepEqual(sent, ["one", "two"]);
  assert.equal(new Set(tried.slice(0, 9)).size, 1);
  assert.deepEqual(box.of("r"), []);
});

test("a reload brings back what was not sent; what is old asks first", async () => {
  const storage = new Kept();
  outbox(async () => { throw refused("disconnected"); }, storage).box.add({ room: "r", body: "kept" });
  await settle();
  const soon = outbox(async ({ body }) => body, storage, () => 2_000);
  assert.equal(soon.box.of("r")[0].state, "pending");
  const late = outbox(async ({ body }) => body, storage, () => 3_600_000);
  assert.equal(late.box.of("r")[0].state, "failed");
});

test("a message that arrived by its event is not pending any more", async () => {
  const { box, storage } = outbox(() => new Promise(() => {}));
  box.add({ room: "r", body: "text" });
  box.drop(box.of("r")[0].nonce);
  assert.deepEqual(box.of("r"), []);
  assert.equal(storage.held.size, 0);
});
