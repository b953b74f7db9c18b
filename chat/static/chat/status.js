/** Two quiet lines: how the connection is, and who is typing. */

import { $ } from "./dom.js";
import { nameOf } from "./store.js";
import { listed } from "./time.js";

const PATIENCE_MS = 1_500;
const AGAIN_MS = 1_000;

export class ConnectionBar {
  constructor({ retry }) {
    this.root = $("#connection");
    $("#connection-retry").addEventListener("click", retry);
    this.lost = false;
  }

  /** A first connection is quick and says nothing unless it isn't; a lost one says so at once. */
  show(state) {
    clearTimeout(this.timer);
    $("#chat").dataset.connection = state;
    if (state === "online") {
      this.lost = false;
      this.root.classList.remove("shown");
      return;
    }
    if (state === "waiting") this.lost = true;
    $("#connection-retry").hidden = state !== "waiting";
    this.timer = setTimeout(() => this.#say(state), this.lost ? 0 : PATIENCE_MS);
  }

  #say(state) {
    const waiting = "No connection. What you send now goes out when it is back.";
    $("#connection-words").textContent = state === "waiting" ? waiting : "Connecting";
    this.root.dataset.state = state;
    this.root.classList.add("shown");
  }
}

export class TypingLine {
  constructor({ store }) {
    this.store = store;
    this.id = null;
    store.listen((topic, room) => topic === "typing" && room === this.id && this.draw());
  }

  show(id) {
    this.id = id;
    this.draw();
  }

  draw() {
    clearTimeout(this.timer);
    const names = this.store.typists(this.id, Date.now()).map((name) => nameOf({ display_name: name }));
    const verb = names.length === 1 ? "is" : "are";
    $("#typing").textContent = names.length ? `${listed(names)} ${verb} typing` : "";
    if (names.length) this.timer = setTimeout(() => this.draw(), AGAIN_MS);
  }
}
