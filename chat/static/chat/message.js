/** One message as an element: author, time, quote, body, reactions. Only the server's sanitised `html` enters as markup. */

import { avatar, h, icon } from "./dom.js";
import { parts } from "./links.js";
import { nameOf } from "./store.js";
import { clockTime, fullTime } from "./time.js";

const QUOTE_LENGTH = 140;

/** Link every address in this element's text; code and links stay as they are. */
function linkAddresses(element) {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) texts.push(walker.currentNode);
  for (const node of texts) {
    if (!node.data.includes("://") || node.parentElement?.closest("a, code")) continue;
    node.replaceWith(...parts(node.data).map(({ text, href }) => (href ? h("a", { href }, text) : text)));
  }
}

/** The body as it may be shown: `html` of the server, or the text with its line breaks. */
export function bodyOf({ html, body }) {
  const element = h("div.message-body.prose");
  if (html === null || html === undefined) {
    element.classList.add("plain");
    element.textContent = body;
  } else {
    const template = document.createElement("template");
    template.innerHTML = html;
    element.append(template.content);
  }
  linkAddresses(element);
  for (const link of element.querySelectorAll("a[href]")) {
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
  }
  return element;
}

export function shortText({ body, deleted_at: deleted }) {
  if (deleted) return "Deleted message";
  const flat = body.replace(/\s+/g, " ").trim();
  return flat.length > QUOTE_LENGTH ? `${flat.slice(0, QUOTE_LENGTH)}…` : flat;
}

function timeOf(at) {
  return h("time", { dateTime: at, title: fullTime(at) }, clockTime(at));
}

function quoteOf(quoted) {
  if (!quoted) return h("span.quote.faint", {}, icon("reply", "small"), h("span.truncate", {}, "An earlier message"));
  const author = h("strong", {}, nameOf(quoted.author));
  return h(
    "a.quote",
    { href: `#m${quoted.number}` },
    icon("reply", "small"),
    h("span.truncate", {}, author, ` ${shortText(quoted)}`),
  );
}

function reactionsOf(message, { me, names, react, locked }) {
  if (!message.reactions.length) return null;
  const chips = message.reactions.map(({ emoji, count, users }) => {
    const mine = users.includes(me);
    const who = users.map((user) => (user === me ? "You" : names.get(user) ?? "Someone"));
    if (count > users.length) who.push(`${count - users.length} more`);
    const chip = h("button.reaction", { type: "button", title: who.join(", "), disabled: locked }, h("span.glyph", {}, emoji), h("span.num", {}, String(count)));
    chip.setAttribute("aria-pressed", String(mine));
    chip.setAttribute("aria-label", `${emoji}, ${count}: ${who.join(", ")}`);
    chip.addEventListener("click", () => react(message, emoji, !mine));
    return chip;
  });
  return h("div.reactions", {}, ...chips);
}

function headOf(message) {
  return h("div.message-head", {}, h("span.message-author", {}, nameOf(message.author)), timeOf(message.created_at));
}

function noticeElement(message) {
  return h("div.message-notice", {}, h("span", {}, message.body), timeOf(message.created_at));
}

/** `context`: `{me, names, quoted, react, locked, continues}`; `continues` means that the author's name stands above. */
export function messageElement(message, context) {
  const element = h("li.message", { tabIndex: -1, data: { id: message.id, number: message.number } });
  if (message.kind === "notice") {
    element.classList.add("notice-line");
    element.append(noticeElement(message));
    return element;
  }
  element.classList.toggle("continues", context.continues);
  element.classList.toggle("mine", message.author?.id === context.me);
  const side = context.continues ? timeOf(message.created_at) : avatar({ id: message.author?.id, name: nameOf(message.author) });
  const main = h("div.message-main", {}, context.continues ? h("span.visually-hidden", {}, nameOf(message.author)) : headOf(message));
  if (message.reply_to) main.append(quoteOf(context.quoted));
  if (message.deleted_at) main.append(h("div.message-body.deleted", {}, "This message was deleted."));
  else main.append(bodyOf(message));
  if (message.edited_at && !message.deleted_at) {
    main.lastElementChild.append(h("span.edited", { title: fullTime(message.edited_at) }, "edited"));
  }
  const reactions = message.deleted_at ? null : reactionsOf(message, context);
  if (reactions) main.append(reactions);
  element.append(h("div.message-side", {}, side), main);
  return element;
}

/** A message on its way, or one that did not go: `entry` of the outbox. */
export function pendingElement(entry, { author, continues, quoted, retry, discard }) {
  const element = h("li.message.mine", { tabIndex: -1, data: { nonce: entry.nonce } });
  element.classList.add(entry.state);
  element.classList.toggle("continues", continues);
  const at = new Date(entry.at).toISOString();
  const main = h("div.message-main", {}, continues ? null : headOf({ author, created_at: at }));
  if (entry.replyTo) main.append(quoteOf(quoted));
  main.append(bodyOf({ html: null, body: entry.body }));
  if (entry.state === "failed") {
    main.append(
      h(
        "div.message-failed",
        { role: "alert" },
        icon("warn", "small"),
        h("span", {}, `Not sent. ${entry.reason}`),
        h("button.button.small", { type: "button", onclick: retry }, "Send again"),
        h("button.button.small.quiet", { type: "button", onclick: discard }, "Discard"),
      ),
    );
  }
  element.append(h("div.message-side", {}, continues ? icon("clock", "small") : avatar({ id: author.id, name: author.display_name })), main);
  return element;
}
