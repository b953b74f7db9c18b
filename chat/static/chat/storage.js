/** What this browser remembers for one person: drafts, unsent messages, the last room. Memory where storage is blocked. */

const memory = new Map();

function guarded(act, fallback) {
  try {
    return act();
  } catch {
    return fallback(); // Blocked or full: this tab still remembers.
  }
}

export const storage = {
  read(key) {
    if (memory.has(key)) return memory.get(key);
    return guarded(
      () => JSON.parse(localStorage.getItem(key)),
      () => null,
    );
  },

  write(key, value) {
    memory.delete(key);
    guarded(
      () => localStorage.setItem(key, JSON.stringify(value)),
      () => memory.set(key, value),
    );
  },

  remove(key) {
    memory.delete(key);
    guarded(
      () => localStorage.removeItem(key),
      () => {},
    );
  },

  /** Every value whose key starts with this prefix. */
  under(prefix) {
    const keys = guarded(
      () => Object.keys(localStorage),
      () => [],
    );
    return [...keys, ...memory.keys()]
      .filter((key) => key.startsWith(prefix))
      .map((key) => this.read(key))
      .filter(Boolean);
  },
};
