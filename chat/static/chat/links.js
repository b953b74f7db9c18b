/** Finds the addresses that stand in a text. */

const ADDRESS = /https?:\/\/[^\s<>"`]+/gi;
const SENTENCE = /[.,:;!?'*_~…]+$/u;
const BRACKETS = { ")": "(", "]": "[", "}": "{" };

/** Without the punctuation that belongs to the sentence around it: `(see https://a.test/x).` ends at the x. */
function trimmed(address) {
  let text = address;
  for (;;) {
    const before = text;
    text = text.replace(SENTENCE, "");
    const last = text.at(-1);
    const open = BRACKETS[last];
    if (open && text.split(open).length < text.split(last).length) text = text.slice(0, -1);
    if (text === before) return text;
  }
}

/** The text in parts, each `{text, href?}`. */
export function parts(text) {
  const found = [];
  let from = 0;
  for (const { 0: match, index } of text.matchAll(ADDRESS)) {
    const href = trimmed(match);
    if (!URL.canParse(href) || !new URL(href).hostname) continue;
    if (index > from) found.push({ text: text.slice(from, index) });
    found.push({ text: href, href });
    from = index + href.length;
  }
  if (from < text.length) found.push({ text: text.slice(from) });
  return found;
}
