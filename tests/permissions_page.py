"""Writes what docs/permissions.md takes from the code: the matrix, and how many mutants there are.

`python -m tests.permissions_page` brings the page up to date.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.mutations import Mutant

PAGE = Path(__file__).resolve().parent.parent / "docs" / "permissions.md"
SHORT = {"no": "–", "yes": "yes"}


def current(page: str) -> str:
    """The page as it has to be."""
    return _between(_between(page, "matrix", matrix()), "figure", figure())


def matrix() -> str:
    """The table, and below it what each rule says."""
    from tenants.permissions import TABLE  # noqa: PLC0415  Django is ready only now
    from tenants.roles import TenantRole  # noqa: PLC0415

    head = ["verb", *TenantRole]
    rows = [
        [f"`{verb}`", *(SHORT.get(rule.__name__, rule.__name__) for rule in cells)] for verb, cells in TABLE.items()
    ]
    named = {rule.__name__: (rule.__doc__ or "").strip() for cells in TABLE.values() for rule in cells}
    rules = [[f"**{name}**", text] for name, text in named.items() if name not in SHORT]
    return f"{_table(head, rows)}\n\n{_table(['rule', 'allows'], rules)}"


def figure() -> str:
    """How many mutants there are, of which kinds, and which of them nobody could tell from the product."""
    from tests.mutations import EQUIVALENT, mutants  # noqa: PLC0415  Django is ready only now

    every = mutants()
    lines = [
        f"The catalogue holds {len(every)} mutants, of which {len(EQUIVALENT)} are equivalent.",
        f"{_count(every, 'cell')} are of cells, {_count(every, 'tenant')} of filters on the organization,",
        f"{_count(every, 'actor')} of filters on the actor, {_count(every, 'statement')} of conditions of",
        f"statements that are compiled once, {_count(every, 'guard')} of guards.",
        "",
        "Equivalent, so that no request can tell them from the product:",
        "",
        *(f"- `{name}`: {reason}" for name, reason in EQUIVALENT.items()),
    ]
    return "\n".join(lines)


def _count(every: Iterable["Mutant"], kind: str) -> int:
    return sum(each.kind == kind for each in every)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    listed = list(head)
    return "\n".join(f"| {' | '.join(row)} |" for row in [listed, ["---"] * len(listed), *rows])


def _between(page: str, name: str, text: str) -> str:
    begin, rest = page.split(f"<!-- {name}: generated, see the end -->\n")
    _, end = rest.split(f"<!-- /{name} -->\n")
    return f"{begin}<!-- {name}: generated, see the end -->\n{text}\n<!-- /{name} -->\n{end}"


def main() -> None:
    import django  # noqa: PLC0415  its settings read the environment

    from tests import environment  # noqa: PLC0415

    os.environ["STACK"] = "embedded"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "core.settings")
    environment.prepare()
    django.setup()
    PAGE.write_text(current(PAGE.read_text()))


if __name__ == "__main__":
    main()
