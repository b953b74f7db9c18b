"""Plain text is told from markup without rendering it, and never wrongly."""

import nh3
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chat import render

pytestmark = pytest.mark.once
MARKUP = "\\`*_~[]<>&|-+=#0123456789.):/!\"'(\t\n\r \v\f\u2028\u00a0{}^@abcxyz"
"""What markup is made of, and what surrounds it."""
BODIES = st.lists(
    st.one_of(
        st.text(MARKUP, max_size=8),
        st.text(max_size=4),
        st.sampled_from(
            ["\n", "\n\n", "    ", "\t", "1. ", "- ", "# ", "> ", "---", "===", "http://a.b", "&amp;", "  \n"]
        ),
    ),
    max_size=12,
).map("".join)


@settings(max_examples=300, deadline=None)
@given(BODIES)
@example("a\n=")
@example("a\n---")
@example("a\n ===")
@example("1) one")
@example("\r    code")
@example("a\r===")
@example("a  \nb")
@example("&copy;")
@example("www.example.org and a@b.example")
def test_what_is_taken_for_plain_renders_to_nothing_but_paragraphs(body: str) -> None:
    if render._MARKUP.search(body) is None:
        assert render.render(body) is None
        assert render._rendered(body) is None, "the whole renderer finds no markup either"


@pytest.mark.parametrize("body", ["**b**", "`c`", "# h", "- l", "1. o", "> q", "[a](http://b.c)", "a\n===", "    code"])
def test_and_markup_is_still_found(body: str) -> None:
    found = render.render(body)
    assert found is not None
    assert nh3.clean_text(body) != found
