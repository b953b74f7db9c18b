import assert from "node:assert/strict";
import { test } from "node:test";

import { parts } from "../../chat/static/chat/links.js";

const links = (text) => parts(text).filter(({ href }) => href).map(({ href }) => href);

test("an address is a link, the sentence around it is not", () => {
  assert.deepEqual(parts("see https://a.test/x, or not"), [
    { text: "see " },
    { text: "https://a.test/x", href: "https://a.test/x" },
    { text: ", or not" },
  ]);
  assert.deepEqual(links("(http://a.test/x_(y)) and https://b.test."), ["http://a.test/x_(y)", "https://b.test"]);
  assert.deepEqual(links("https://a.test/?q=1&r=[2]#end!"), ["https://a.test/?q=1&r=[2]#end"]);
});

test("nothing else becomes a link, and no text is lost", () => {
  for (const text of ["javascript://x/%0aalert(1)", "data:text/html,x", "http://", "https://[", "no address", "", "://"]) {
    assert.deepEqual(links(text), []);
    assert.equal(parts(text).map((part) => part.text).join(""), text);
  }
});
