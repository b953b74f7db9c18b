"""Bodies: what may be said, and its Markdown as sanitised HTML, once per message, before any lock is taken."""

import re
from functools import lru_cache

import nh3
from markdown_it import MarkdownIt

from core.errors import Invalid

BODY_BYTES = 32 * 1024
HTML_CHARACTERS = 128 * 1024
"""A body that would render to more stays plain text."""

SHORT = 400
"""Characters that render in about the time that handing them to another thread would take."""
_MARKUP = re.compile(r"[\\`*_~\[\]<>&|\r]|^[ \t]*(?:[-+#=]|\d)|^(?: {4}|\t)|^ *\t", re.MULTILINE)
"""Whatever markup begins with, and a little more."""

_markdown = MarkdownIt(
    "commonmark", {"html": False, "linkify": False, "breaks": True, "typographer": False, "maxNesting": 20}
).enable(["table", "strikethrough"]).disable(["image"])  # fmt: skip
_TAGS = {
    "a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "s",
    "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
_ATTRIBUTES = {"a": {"href"}, "ol": {"start"}}
_SCHEMES = {"http", "https", "mailto"}


_cleaner = nh3.Cleaner(
    tags=_TAGS, attributes=_ATTRIBUTES, url_schemes=_SCHEMES, link_rel="noopener noreferrer nofollow ugc"
)


def checked_body(body: str) -> str:
    """The body as it may be stored: not blank, at most 32 KiB. Else `Invalid`."""
    if not body.strip():
        raise Invalid("body: blank.", errors={"body": ["Blank."]})
    if len(body.encode()) > BODY_BYTES:
        raise Invalid("body: more than 32 KiB.", errors={"body": ["More than 32 KiB."]})
    return body


def render(body: str) -> str | None:
    """The HTML of a body, or None where it has no markup and the text says it all."""
    return _rendered(body) if _MARKUP.search(body) else None


def renders_quickly(body: str) -> bool:
    """Whether an event loop may render it."""
    return len(body) <= SHORT or not _MARKUP.search(body)


@lru_cache(maxsize=512)
def _rendered(body: str) -> str | None:
    html = _markdown.render(body)
    if len(html) > HTML_CHARACTERS:
        return None
    clean = _cleaner.clean(html).strip()
    return None if _is_plain(clean) else clean


def _is_plain(html: str) -> bool:
    """Only paragraphs and line breaks: no better than the text itself."""
    rest = html.replace("<p>", "").replace("</p>", "").replace("<br>", "")
    return "<" not in rest
