/** Messages on their way: each with its nonce, kept across reloads, sent in order, never twice, never lost. */

const TRIES = 5;
const AGAIN_MS = 2_000;
const STALE_MS = 10 * 60_000;
const LATER = new Set(["unavailable", "rate_limited", "internal"]);

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** 128 random bits; unlike `randomUUID` this also exists where the page is not served over https. */
export function newNonce() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class Outbox {
  /** `send(entry)` resolves with the message; `onchange(room)` and `onsent(message)` tell the page. */
  constructor({ storage, prefix, send, onchange, onsent, now = Date.now }) {
    Object.assign(this, { storage, prefix, send, onchange, onsent, now });
    this.entries = new Map();
    this.pumping = new Set();
    for (const kept of storage.under(prefix)) {
      const stale = now() - kept.at > STALE_MS;
      const state = stale ? { state: "failed", reason: "This was not sent yet" } : { state: "pending", reason: "" };
      this.entries.set(kept.nonce, { ...kept, ...state });
    }
  }

  of(room) {
    return [...this.entries.values()].filter((entry) => entry.room === room).sort((a, b) => a.at - b.at);
  }

  add({ room, body, replyTo = null }) {
    const entry = { nonce: newNonce(), room, body, replyTo, at: this.now(), state: "pending", reason: "" };
    this.#keep(entry);
    this.#pump(room);
  }

  /** Connected again: send what waits. */
  flush() {
    for (const room of new Set([...this.entries.values()].map((entry) => entry.room))) this.#pump(room);
  }

  retry(nonce) {
    const entry = this.entries.get(nonce);
    if (!entry) return;
    if (entry.spent) this.drop(nonce);
    this.#keep({ ...entry, nonce: entry.spent ? newNonce() : nonce, state: "pending", reason: "", spent: false });
    this.#pump(entry.room);
  }

  /** It arrived, by whichever way this page heard of it, or its author gave it up. */
  drop(nonce) {
    const entry = this.entries.get(nonce);
    if (!entry) return;
    this.entries.delete(nonce);
    this.storage.remove(this.prefix + nonce);
    this.onchange(entry.room);
  }

  #keep(entry) {
    this.entries.set(entry.nonce, entry);
    const { nonce, room, body, replyTo, at } = entry;
    this.storage.write(this.prefix + nonce, { nonce, room, body, replyTo, at });
    this.onchange(entry.room);
  }

  /** One at a time in a room, so that the order of writing is the order of numbers. */
  async #pump(room) {
    if (this.pumping.has(room)) return;
    this.pumping.add(room);
    try {
      for (let entry = this.#next(room); entry; entry = this.#next(room)) {
        if (!(await this.#deliver(entry))) break;
      }
    } finally {
      this.pumping.delete(room);
    }
  }

  #next(room) {
    return this.of(room).find((entry) => entry.state === "pending");
  }

  /** Answers whether the next message may follow. */
  async #deliver(entry) {
    for (let failed = 0; ; ) {
      try {
        const message = await this.send(entry);
        this.onsent(message);
        this.drop(entry.nonce);
        return true;
      } catch (error) {
        if (error.code === "disconnected") return false;
        if (error.code !== "rate_limited") failed += 1; // A server that says when is no failure.
        if (!LATER.has(error.code) || failed === TRIES) {
          const spent = error.code === "conflict"; // The server knows this nonce as another message's.
          if (this.entries.has(entry.nonce)) this.#keep({ ...entry, state: "failed", reason: error.message, spent });
          return true;
        }
        await sleep((error.retryAfter ?? 0) * 1_000 || AGAIN_MS * Math.max(1, failed));
      }
    }
  }
}
