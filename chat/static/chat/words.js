/** What the page says about rooms: their names, who can read them, why one can't write. And which acts it offers; the server decides. */

import { nameOf } from "./store.js";
import { listed, plural } from "./time.js";

export const KIND_ICON = { private: "key", open: "door", direct: "faces" };
export const KIND_WORD = { private: "Private room", open: "Open room", direct: "Direct conversation" };

const RANKS = ["guest", "member", "moderator", "admin", "owner"];
const atLeast = (role, least) => RANKS.indexOf(role) >= RANKS.indexOf(least);

export const rolesUpTo = (role) => RANKS.slice(0, RANKS.indexOf(role) + 1);
export const mayInvite = (role) => atLeast(role, "moderator");
export const mayCreate = (role) => atLeast(role, "member");

/** Rename it, change its topic, add and remove people. */
export function mayRun(role, room) {
  if (room.kind === "direct" || !atLeast(role, "member")) return false;
  return room.room_role === "moderator" || atLeast(role, "admin");
}

export function mayDelete(role, room, message, me) {
  if (message.deleted_at || message.kind !== "text" || room.archived_at) return false;
  return message.author?.id === me || room.room_role === "moderator" || atLeast(role, "moderator");
}

export function mayEdit(room, message, me) {
  return !message.deleted_at && message.kind === "text" && message.author?.id === me && !room.archived_at;
}

export const mayReact = (room) => !room.archived_at && room.room_role !== null && room.room_role !== "reader";

export function others(room, me) {
  return (room.people ?? []).filter((person) => person.id !== me);
}

export function titleOf(room, me) {
  if (room.kind !== "direct") return room.name || "Room";
  const names = others(room, me).map(nameOf);
  return names.length ? listed(names, 4) : room.name || "Direct conversation";
}

/** Why the composer is closed, or null where it is open. */
export function whyNotWrite(room) {
  if (room.archived_at) return "This room is archived. It can be read, but nobody writes in it any more.";
  if (room.room_role === "reader") return "You are a reader in this room. Its moderators can let you write.";
  if (room.posting === "moderators" && room.room_role !== "moderator") return "Only moderators write in this room.";
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
