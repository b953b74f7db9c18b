/** Starts the chat page: makes its parts and ties them together. */

import { toast } from "../conclave/toast.js";
import { Actions } from "./actions.js";
import { Acts, loadOrganizations } from "./acts.js";
import { Api } from "./api.js";
import { Composer } from "./composer.js";
import { wireDialogs } from "./dialogs.js";
import { $ } from "./dom.js";
import { InviteDialog } from "./invite.js";
import { Keyboard } from "./keyboard.js";
import { Outbox } from "./outbox.js";
import { Page } from "./page.js";
import { PeoplePanel } from "./people-panel.js";
import { Picker } from "./picker.js";
import { AddDialog, BrowseDialog, CreateDialog, DirectDialog } from "./room-dialogs.js";
import { RoomList } from "./rooms.js";
import { Router } from "./router.js";
import { SettingsPanel } from "./settings-panel.js";
import { Connection } from "./socket.js";
import { ConnectionBar, TypingLine } from "./status.js";
import { storage } from "./storage.js";
import { Store } from "./store.js";
import { Switcher } from "./switcher.js";
import { Sync } from "./sync.js";
import { Timeline } from "./timeline.js";

const { slug, organization, tenant, user, name, login } = $("#chat").dataset;
const me = { id: user, display_name: name };
const kept = (what) => `conclave:${what}:${user}:${tenant}:`;

const store = new Store(user, JSON.parse($("#abilities").textContent));
const api = new Api(slug, { onsignin: signIn });
const connection = new Connection(`${location.protocol === "http:" ? "ws" : "wss"}://${location.host}/ws/v1/${slug}/`, {
  onstate,
  onevent: (event) => sync.receive(event),
});
const acts = new Acts({ api, store, connection });
const sync = new Sync({ store, connection, loadRooms: () => acts.loadRooms(), notice });
const outbox = new Outbox({
  storage,
  prefix: kept("outbox"),
  send: (entry) => acts.send(entry),
  onchange: (room) => store.changed("messages", room),
  onsent: (message) => store.answer(message),
});
const router = new Router(slug, () => page.turn());
const timeline = new Timeline({
  store,
  outbox,
  me,
  loadOlder: (room, limit) => acts.loadOlder(room, limit),
  loadOne: (room, id) => acts.loadOne(room, id),
  onread: (room, number) => acts.read(room, number),
  react: (message, emoji, on) => acts.react(message, emoji, on),
});
const composer = new Composer({
  prefix: kept("draft"),
  send: (entry) => {
    outbox.add(entry);
    timeline.toEnd();
  },
  edit: (message, body) => acts.edit(message, body),
  typing: (room) => acts.type(room),
  mine: () => store.mine,
  editLast: () => {
    const last = store.myLast(page.id);
    if (last) composer.startEdit(last);
    return Boolean(last);
  },
});
const rooms = new RoomList({ store, me, organization, address: (room) => router.address(room) });
const people = new PeoplePanel({ api, store, me, organization, add: (room) => addDialog.open(room) });
const addDialog = new AddDialog({ api, members: () => people.members, added: (room) => people.load(room.id) });
const createDialog = new CreateDialog({ api, entered });
const browseDialog = new BrowseDialog({ store, join });
new DirectDialog({ api, me, entered });
const inviteDialog = new InviteDialog({ api, store });
const switcher = new Switcher({ store, me, go: (id) => router.go(router.address(id)) });
const picker = new Picker();
const bar = new ConnectionBar({ retry: () => connection.retry() });
const page = new Page({
  ...{ store, router, timeline, composer, rooms, people, sync, me, organization, join },
  typing: new TypingLine({ store }),
  settings: new SettingsPanel({ api, store }),
  lastKey: kept("last"),
  openCreate: () => createDialog.open(),
  openBrowse: () => browseDialog.open(),
  openInvite: () => inviteDialog.open(),
});
new Actions({
  ...{ store, timeline, picker },
  acts: {
    react: (message, emoji, on) => acts.react(message, emoji, on),
    reply: (message) => composer.reply(message),
    edit: (message) => composer.startEdit(message),
    remove: (message) => acts.remove(message),
    linkTo: (message) => new URL(`${router.address(message.room)}#m${message.number}`, location.href).href,
  },
});
new Keyboard({
  switchRoom: () => switcher.open(),
  neighbour: (step) => {
    const next = rooms.neighbour(step);
    if (next) router.go(router.address(next.id));
  },
  cancel: () => composer.cancel(),
  closePanel: () => page.closePanel(),
  toMessages: () => timeline.move(0),
  toComposer: () => composer.focus(),
});

function signIn() {
  connection.stop();
  location.assign(`${login}?next=${encodeURIComponent(location.pathname + location.hash)}`);
}

function onstate(state) {
  if (state === "sign_in") return signIn();
  if (state === "gone") {
    $("#chat").hidden = true;
    $("#gone").hidden = false;
    return;
  }
  if (state === "waiting") sync.offline();
  bar.show(state);
}

/** What the socket says besides messages and rooms. */
async function notice(what, about) {
  if (what === "hello") {
    outbox.flush();
    await Promise.all([acts.loadRooms(), reread()]);
    page.complete();
    page.openLast();
    sync.resume();
  } else if (what === "message") {
    if (about.author?.id === user && about.nonce) outbox.drop(about.nonce);
    if (about.room === page.id) timeline.arrived(about);
  } else if (what === "member") {
    if (about.user === user) acts.loadRooms();
    if (about.room === page.id) people.load(page.id).catch(() => {}); // Gone meanwhile: the room itself says so.
  } else if (what === "removed" && about.name && about.id !== acts.leaving) toast(`You are no longer in ${about.name}.`, "info");
  else if (what === "role") {
    const before = store.mine.tenant_role;
    await reread();
    toast(before === about.tenant_role ? "What your role may do here has changed." : `Your role here is now ${about.tenant_role}.`, "info");
  }
}

/** What I may do here, as of now: the page offers that, and no more. */
async function reread() {
  store.allow(await api.get("abilities/"));
  timeline.render();
}

/** I am in this room now: go there. */
function entered(room) {
  store.describe([room]);
  router.go(router.address(room.id));
}

async function join(room) {
  const joined = await acts.join(room);
  if (joined) entered(joined);
  return Boolean(joined);
}

$("#leave-room").addEventListener("click", async () => {
  if (await acts.leave(page.room)) router.go(router.home);
});
$("#open-add").addEventListener("click", () => addDialog.open(page.room));
$("#composer-emoji").addEventListener("click", (event) => picker.open(event.currentTarget, (emoji) => composer.insert(emoji)));
window.addEventListener("online", () => connection.retry());
document.addEventListener("visibilitychange", () => document.hidden || connection.retry());
window.addEventListener("focus", () => rooms.render());
window.addEventListener("pageshow", (event) => event.persisted && connection.retry());

wireDialogs();
loadOrganizations(api, slug);
page.turn();
connection.start();
