/** Where the page is. The address says it, and nothing else does. */

const PANELS = new Set(["people", "settings"]);

export class Router {
  constructor(slug, onchange) {
    this.home = `/t/${slug}/`;
    this.onchange = onchange;
    window.addEventListener("popstate", onchange);
    document.addEventListener("click", (event) => this.#click(event));
  }

  /** `{room, panel, message}`: a room's id, an open panel's name, a message's number; each null where there is none. */
  get here() {
    return this.#read(location);
  }

  address(room) {
    return `${this.home}rooms/${room}/`;
  }

  go(address, { replace = false } = {}) {
    const before = this.here;
    const after = this.#read(new URL(address, location.href));
    const deeper = !replace && after.room === before.room && Boolean(after.panel) && !before.panel;
    history[replace ? "replaceState" : "pushState"]({ deeper }, "", address);
    this.onchange();
  }

  /** Back to the room without its panel, by the browser's own way back where that is what it does. */
  closePanel() {
    if (history.state?.deeper) history.back();
    else this.go(location.pathname, { replace: true });
  }

  #read({ pathname, hash }) {
    const room = pathname.match(/^\/t\/[^/]+\/rooms\/([0-9a-f-]{36})\/$/)?.[1] ?? null;
    const name = hash.slice(1);
    return {
      room,
      panel: room && PANELS.has(name) ? name : null,
      message: room && /^m\d+$/.test(name) ? Number(name.slice(1)) : null,
    };
  }

  /** Links within the chat turn the page; every other link, and every other way to open one, is the browser's. */
  #click(event) {
    const link = event.target.closest?.("a[href]");
    if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const { room, panel, message } = this.#read(link);
    const ours = link.origin === location.origin && (room || link.pathname === this.home);
    if (!ours || (link.hash && !panel && !message)) return;
    event.preventDefault();
    this.go(link.href);
  }
}
