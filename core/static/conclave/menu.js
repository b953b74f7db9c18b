// Places each popover menu beside its opener and moves through it with the arrow keys.
const GAP = 4;
const EDGE = 8;

export function placeMenu(menu, opener) {
  const from = opener.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = menu;
  const beside = from.width > width / 2 ? from.left : from.right - width;
  const left = Math.min(Math.max(EDGE, beside), innerWidth - width - EDGE);
  const below = from.bottom + GAP;
  const top = below + height > innerHeight - EDGE ? Math.max(EDGE, from.top - GAP - height) : below;
  menu.style.left = `${left}px`;
  menu.style.top = `${top}px`;
}

function step(menu, key) {
  const items = [...menu.querySelectorAll("a[href], button:not(:disabled), input:not(:disabled)")];
  const now = items.indexOf(document.activeElement);
  const next = { ArrowDown: now + 1, ArrowUp: now < 0 ? items.length - 1 : now - 1, Home: 0, End: items.length - 1 }[key];
  items.at(next % items.length)?.focus();
}

export function anchorMenus(root = document) {
  for (const menu of root.querySelectorAll(".menu[popover]")) {
    const opener = root.querySelector(`[popovertarget="${menu.id}"]`);
    if (!opener) continue;
    menu.addEventListener("toggle", (event) => {
      if (event.newState === "open") placeMenu(menu, opener);
    });
    menu.addEventListener("keydown", (event) => {
      if (!["ArrowDown", "ArrowUp", "Home", "End"].includes(event.key) || event.target.type === "radio") return;
      event.preventDefault();
      step(menu, event.key);
    });
    opener.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowDown") return;
      event.preventDefault();
      menu.showPopover();
      step(menu, "Home");
    });
  }
}
