/** The conversation column and its panel: which room, in which state, under which title. */

import { toast } from "../conclave/toast.js";
import { $, $$, h, icon, narrow, touch, wide } from "./dom.js";
import { roomMark } from "./rooms.js";
import { storage } from "./storage.js";
import { KIND_ICON, KIND_WORD, mayCreate, mayInvite, mayRun, titleOf } from "./words.js";

export class Page {
  /** The parts are those of `main.js`; `join(room)`, `openCreate()`, `openBrowse()`, `openInvite()` are its acts. */
  constructor(parts) {
    Object.assign(this, parts);
    this.id = null;
    this.listed = false;
    this.opener = null;
    this.store.listen((topic, room) => {
      if (topic === "messages" && room === this.id) this.timeline.render();
      if (topic === "rooms") this.update();
    });
    $("#close-panel").addEventListener("click", () => this.closePanel());
  }

  get room() {
    return this.store.room(this.id);
  }

  /** The address changed. */
  turn() {
    const { room, message } = this.router.here;
    if (room !== this.id) this.#turnTo(room);
    this.update();
    this.#turnPanel();
    if (message) this.wanted = message;
    this.#reveal();
  }

  /** The room list is complete: what is not in it is not here. */
  complete() {
    this.listed = true;
    this.update();
  }

  #turnTo(id) {
    const before = this.id;
    if (before) this.store.trim(before);
    this.id = id;
    this.wanted = null;
    this.mode = null;
    $("#chat").classList.toggle("in-room", id !== null);
    this.timeline.reset(id);
    this.rooms.show(id);
    this.typing.show(id);
    if (id) storage.write(this.lastKey, id);
    else if (narrow()) $(`.room-link[data-room="${before}"]`)?.focus();
  }

  /** Where `/t/…/` leads on a screen that has room for a conversation beside the list. */
  openLast() {
    if (this.id || narrow()) return;
    const last = storage.read(this.lastKey);
    if (last && this.store.room(last)) this.router.go(this.router.address(last), { replace: true });
  }

  #state() {
    const { room } = this;
    if (!this.id && this.listed) return this.store.joined().length ? "welcome" : "empty";
    if (!this.id) return "loading";
    if (!room) return this.listed ? "missing" : "loading";
    return room.room_role === null ? "outside" : "room";
  }

  /** Draw what the store knows of this room now. */
  update() {
    const state = this.#state();
    const { room } = this;
    this.#head(room);
    const mode = `${state}|${this.id}`;
    if (mode !== this.mode) {
      this.mode = mode;
      $("#main").dataset.state = state;
      $("#room-view").hidden = state !== "room" && state !== "loading";
      $("#room-aside").hidden = state === "room" || state === "loading";
      this.composer.show(state === "room" ? room : null);
      if (state === "room") this.#entered(room);
      else this.#aside(state, room);
    } else if (state === "room") this.composer.refresh(room);
    this.#reveal();
  }

  #entered(room) {
    this.sync.show(room.id);
    this.people.load(room.id).catch((problem) => toast(problem.message, "danger"));
    if (!$("dialog[open]") && !this.router.here.panel) this.#focus();
    this.timeline.render();
  }

  /** On a touch screen the keyboard stays away until it is wanted. */
  #focus() {
    if (touch()) $("#main").focus({ preventScroll: true });
    else this.composer.focus();
  }

  #head(room) {
    const title = room ? titleOf(room, this.me.id) : "";
    $("#room-name").textContent = title || (this.id ? "" : this.organization);
    $("#room-topic").textContent = room?.topic ?? "";
    const kind = room?.kind ?? "";
    if ($("#room-title-mark").dataset.drawn !== `${kind}|${title}`) {
      $("#room-title-mark").dataset.drawn = `${kind}|${title}`;
      $("#room-title-mark").replaceChildren(...(room ? [roomMark(room, this.me.id)] : []));
      $("#begin-mark").replaceChildren(...(room ? [icon(KIND_ICON[kind], "large")] : []));
    }
    const runs = Boolean(room) && mayRun(this.store.mine, room);
    $("#room-title").classList.toggle("plain", !room);
    $("#open-create").hidden = !mayCreate(this.store.mine);
    for (const opener of $$("[data-invite]")) opener.hidden = !mayInvite(this.store.mine);
    $("#open-people").hidden = !room;
    $("#open-room-menu").hidden = !room || (room.room_role === null && !runs);
    $("#open-add").hidden = !runs || Boolean(room.archived_at);
    $("#open-settings").hidden = !runs;
    $("#leave-room").hidden = !room || room.kind === "direct" || room.room_role === null;
    if (room) this.#beginning(room, title);
  }

  #beginning(room, title) {
    const later = room.begins && room.low > 1;
    const beginning = room.kind === "direct" ? `You and ${title}` : `The beginning of ${title}`;
    $("#begin-title").textContent = later ? `Here you came into ${title}` : beginning;
    $("#begin-words").textContent = later ? "What was written before is not yours to read." : room.topic || `${KIND_WORD[room.kind]}.`;
  }

  #aside(state, room) {
    const acts = [];
    const button = (kind, onclick, words) => acts.push(h(`button.button${kind}`, { type: "button", onclick }, words));
    let [mark, title, words] = ["faces", `Welcome to ${this.organization}`, "Choose a room on the left."];
    if (state === "empty") words = "You are in no room yet. Someone who is in one can add you.";
    if (state === "empty" && mayCreate(this.store.mine)) {
      words = "You are in no room yet. Create one: private, for those you add, or open to every member.";
      button(".primary", this.openCreate, "Create a room");
      if (this.store.rooms.size) button("", this.openBrowse, "Join a room");
      else if (mayInvite(this.store.mine)) button("", this.openInvite, "Invite people");
    }
    if (state === "missing") {
      [mark, title] = ["lock", "This room isn't here"];
      words = "It does not exist, or you are not in it. Someone who is in it can add you.";
      acts.push(h("a.button", { href: this.router.home }, "Back to the rooms"));
    }
    if (state === "outside") {
      mark = KIND_ICON[room.kind];
      title = `You are not in ${room.name}`;
      const open = room.kind === "open";
      words = open ? room.topic || "Join to read and write here." : "You can see its name and members because you administer the organization, not its messages. Entering is announced in the room, and you read from then on.";
      button(".primary", () => this.join(room), open ? "Join this room" : "Enter this room");
      this.people.load(room.id).catch((problem) => toast(problem.message, "danger"));
    }
    $("#aside-mark").replaceChildren(icon(mark, "large"));
    $("#aside-title").textContent = title;
    $("#aside-words").textContent = words;
    $("#aside-acts").replaceChildren(...acts);
  }

  /** Go to the message that the address names, as soon as there are messages. */
  #reveal() {
    if (!this.wanted || !this.room?.loaded) return;
    const number = this.wanted;
    this.wanted = null;
    requestAnimationFrame(() => this.timeline.reveal(number));
  }

  #turnPanel() {
    const { panel } = this.router.here;
    const shown = panel === "settings" && this.room && !mayRun(this.store.mine, this.room) ? "people" : panel;
    const root = $("#panel");
    const opens = shown && root.hidden;
    if (opens) this.opener = document.activeElement;
    root.hidden = !shown;
    $("#chat").classList.toggle("with-panel", Boolean(shown));
    $("#panel-people").hidden = shown !== "people";
    $("#panel-settings").hidden = shown !== "settings";
    $("#panel-title").textContent = shown === "settings" ? "Room settings" : "Who can read this";
    if (shown === "settings" && this.room) this.settings.show(this.room);
    if (opens && (!wide() || this.opener !== document.body)) root.focus({ preventScroll: true });
  }

  /** Answers whether there was a panel to close. */
  closePanel() {
    if ($("#panel").hidden) return false;
    this.router.closePanel();
    const back = this.opener?.isConnected && this.opener !== document.body ? this.opener : $("#open-people");
    requestAnimationFrame(() => back.focus({ preventScroll: true }));
    return true;
  }
}

