/** One authenticated socket that stays up: asks and answers by id, notices silence, comes back as the close code says. */

const PROTOCOL = "conclave.v1";
const FIRST_WAIT = 500;
const LONGEST_WAIT = 30_000;
const GRACE = 10_000;

/** Why a command was not carried out; `code` is the contract's, or `disconnected`. */
export class Refused extends Error {
  constructor({ code, detail, retry_after: retryAfter = null }) {
    super(detail || code);
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/** What a close code asks of us: `sign_in`, `gone`, or `retry` after so many milliseconds. */
export function afterClose(code, attempt, { retryAfter = null, random = Math.random } = {}) {
  if (code === 4401 || code === 4411) return { next: "sign_in" };
  if (code === 4403) return { next: "gone" };
  if (retryAfter !== null) return { next: "retry", wait: retryAfter * 1_000 + random() * 500 };
  if (code === 1012) return { next: "retry", wait: random() * 5_000 };
  if ((code === 4410 || code === 4408) && attempt === 0) return { next: "retry", wait: 0 };
  if (code === 4429 || code === 4400) return { next: "retry", wait: LONGEST_WAIT * (0.5 + random() / 2) };
  const ceiling = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** attempt);
  return { next: "retry", wait: ceiling * (0.5 + random() / 2) };
}

export class Connection {
  /** `onstate(state, {at})`: `connecting`, `online`, `waiting`, `sign_in` or `gone`. `onevent(event)`: every frame without an id. */
  constructor(url, { onstate, onevent, open = (address) => new WebSocket(address, [PROTOCOL]), random = Math.random }) {
    Object.assign(this, { url, onstate, onevent, open, random });
    this.state = "idle";
    this.attempt = 0;
    this.count = 0;
    this.waiting = new Map();
  }

  start() {
    this.#connect();
  }

  /** Come back now instead of at the end of the wait. */
  retry() {
    if (this.state !== "waiting") return;
    clearTimeout(this.timer);
    this.#connect();
  }

  stop() {
    this.state = "idle";
    clearTimeout(this.timer);
    this.#leave(null);
  }

  /** Send one command; resolves with its result or rejects with `Refused`. */
  ask(type, fields = {}) {
    if (this.state !== "online") return Promise.reject(new Refused({ code: "disconnected", detail: "Not connected" }));
    this.count += 1;
    const id = String(this.count);
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.socket.send(JSON.stringify({ type, id, ...fields }));
    });
  }

  #enter(state, info = {}) {
    this.state = state;
    this.onstate(state, info);
  }

  #connect() {
    this.#enter("connecting");
    this.retryAfter = null;
    this.silence = GRACE;
    const socket = this.open(this.url);
    this.socket = socket;
    socket.onmessage = ({ data }) => socket === this.socket && this.#receive(JSON.parse(data));
    socket.onclose = ({ code }) => socket === this.socket && this.#closed(code);
    this.#watch();
  }

  #receive(frame) {
    if (frame.type === "hello") this.silence = frame.heartbeat * 1_000 + GRACE;
    this.#watch();
    if (frame.type === "ok" || frame.type === "error") {
      const asked = this.waiting.get(frame.id);
      this.waiting.delete(frame.id);
      if (frame.type === "ok") asked?.resolve(frame.result);
      else asked?.reject(new Refused(frame));
      return;
    }
    if (frame.type === "bye") this.retryAfter = frame.retry_after ?? null;
    if (frame.type === "hello" && this.state === "connecting") {
      this.#enter("online");
      this.steady = setTimeout(() => (this.attempt = 0), GRACE);
    }
    this.onevent(frame);
  }

  /** The server is never silent longer than its heartbeat: a socket that is, is dead, whatever the browser believes. */
  #watch() {
    clearTimeout(this.guard);
    this.guard = setTimeout(() => this.#closed(1006), this.silence);
  }

  #closed(code) {
    this.#leave(code);
    const { next, wait } = afterClose(code, this.attempt, { retryAfter: this.retryAfter, random: this.random });
    if (next !== "retry") return this.#enter(next);
    this.attempt += 1;
    this.timer = setTimeout(() => this.#connect(), wait);
    this.#enter("waiting", { at: Date.now() + wait });
  }

  #leave() {
    clearTimeout(this.guard);
    clearTimeout(this.steady);
    const { socket } = this;
    this.socket = null;
    socket?.close();
    const lost = new Refused({ code: "disconnected", detail: "The connection was lost" });
    for (const { reject } of this.waiting.values()) reject(lost);
    this.waiting.clear();
  }
}
