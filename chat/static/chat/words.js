/** What the page says about rooms: their names, who can read them, why one can't write. And which acts it offers; the server decides. */

import { nameOf } from "./store.js";
import { listed, plural } from "./time.js";

export const KIND_ICON = { private: "key", open: "door", direct: "faces" };
export const KIND_WORD = { private: "Private room", open: "Open room", direct: "Direct conversation" };

// `mine`: what I may do in this organization, as `abilities/` tells it. `cells` names the rule of each verb.
export const mayInvite = (mine) => mine.cells["invitation.create"] !== "no" && mine.gives.length > 0;
export const mayCreate = (mine) => mine.cells["room.create"] !== "no";

/** Rename it, change its topic, add and remove people. */
export function mayRun(mine, room) {
  const rule = mine.cells["room.change"];
  if (room.kind === "direct" || rule === "no") return false;
  return rule === "manages" || room.room_role === "moderator";
}

export function mayDelete(mine, room, message, me) {
  const rule = mine.cells["message.delete"];
  if (message.deleted_at || message.kind !== "text" || room.archived_at || rule === "no") return false;
  return rule === "polices" || message.author?.id === me || room.room_role === "moderator";
}

export function mayEdit(mine, room, message, me) {
  if (message.deleted_at || message.kind !== "text" || room.archived_at) return false;
  return mine.cells["message.edit"] !== "no" && message.author?.id === me;
}

export function mayReact(mine, room) {
  if (room.archived_at || mine.cells["message.react"] === "no") return false;
  return room.room_role !== null && room.room_role !== "reader";
}

export function others(room, me) {
  return (room.people ?? []).filter((person) => person.id !== me);
}

export function titleOf(room, me) {
  if (room.kind !== "direct") return room.name || "Room";
  const names = others(room, me).map(nameOf);
  return names.length ? listed(names, 4) : room.name || "Direct conversation";
}

/** Why the composer is closed, or null where it is open. */
export function whyNotWrite(mine, room) {
  if (room.archived_at) return "This room is archived. It can be read, but nobody writes in it any more.";
  if (room.room_role === "reader") return "You are a reader in this room. Its moderators can let you write.";
  if (room.posting === "moderators" && room.room_role !== "moderator") return "Only moderators write in this room.";
  if (mine.cells["message.send"] === "no") return `In this organization the role ${mine.tenant_role} does not write messages.`;
  return null;
}

/** Who can read this room, in a sentence or two. */
export function whoCanRead(room, { count, people, organization, me }) {
  if (room.kind === "direct") {
    const names = people.filter((person) => person.id !== me).map(nameOf);
    return `Only you and ${listed(names, 8) || "nobody else"} can read this. Nobody else knows that it exists, not even admins.`;
  }
  const reads = `${plural(count, "person", "people")} can read this room.`;
  const newcomers =
    room.history === "shared"
      ? "Newcomers read everything that was written before."
      : "Newcomers read what is written after they join.";
  const outside =
    room.kind === "private"
      ? `Admins of ${organization} see its name, topic and members, not the messages; if one enters, the room is told.`
      : `Anyone in ${organization} but guests may join.`;
  return `${reads} ${outside} ${newcomers}`;
}

export const ROLE_MEANS = {
  guest: "sees only the rooms they are invited to",
  member: "finds open rooms, creates rooms, writes to anyone",
  moderator: "also invites people and removes messages",
  admin: "also manages members, rooms and settings",
  owner: "everything, also deleting the organization",
};
