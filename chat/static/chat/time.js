/** Times and numbers as people read them, in this browser's zone and language. */

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const dayOfYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" });

const DAY_MS = 86_400_000;
const startOfDay = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();

export const clockTime = (at) => clock.format(new Date(at));
export const fullTime = (at) => full.format(new Date(at));
export const sameDay = (one, other) => startOfDay(new Date(one)) === startOfDay(new Date(other));

/** "Today", "Yesterday", "Monday 3 March", or with its year when that is another. */
export function dayName(at, now = new Date()) {
  const date = new Date(at);
  const days = Math.round((startOfDay(now) - startOfDay(date)) / DAY_MS);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  return (date.getFullYear() === now.getFullYear() ? day : dayOfYear).format(date);
}

export const shortCount = (count) => (count > 99 ? "99+" : String(count));
export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

/** "Ada", "Ada and Ben", "Ada, Ben and 3 others". */
export function listed(names, most = 3) {
  if (names.length <= 1) return names[0] ?? "";
  const shown = names.length > most ? [...names.slice(0, most - 1), plural(names.length - most + 1, "other")] : names;
  return `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}`;
}
