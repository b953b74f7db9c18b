// Wires what every page shares: menus, toasts, and the helpers that elements ask for by a data attribute.
import { adoptToasts } from "./toast.js";
import { anchorMenus } from "./menu.js";
import { copyOnClick } from "./copy.js";
import { busyOnSubmit } from "./busy.js";
import { chooseTheme } from "./theme-choice.js";
import { revealPasswords } from "./reveal.js";
import { suggestSlugs } from "./slug.js";
import { localTimes } from "./times.js";

adoptToasts();
anchorMenus();
busyOnSubmit();
chooseTheme();
copyOnClick();
localTimes();
revealPasswords();
suggestSlugs();
