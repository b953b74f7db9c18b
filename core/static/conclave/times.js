// <time datetime data-relative>: "3 hours ago", with the full local time on hover.
const STEPS = [["year", 31536000], ["month", 2592000], ["week", 604800], ["day", 86400], ["hour", 3600], ["minute", 60]];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export function ago(date, now = new Date()) {
  const seconds = (date - now) / 1000;
  const found = STEPS.find(([, length]) => Math.abs(seconds) >= length);
  return found ? relative.format(Math.round(seconds / found[1]), found[0]) : "just now";
}

export function localTimes(root = document) {
  for (const element of root.querySelectorAll("time[data-relative]")) {
    const date = new Date(element.dateTime);
    element.textContent = ago(date);
    element.title = full.format(date);
  }
}
