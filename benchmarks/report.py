"""Prints what was measured as the tables of docs/performance.md, and says which of its targets were met."""

import os
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.parts import BARE, SERVE, SOCKETIO, TUTORIAL, USUAL, USUAL_SQLITE, UVICORN, Plan
from benchmarks.rows import Row

TITLES = {
    "deliver": "A delivery in one room",
    "send": "Stored messages at saturation, ten rooms of two",
    "connect": "A connection",
    "grow": "One room as more listen",
    "members": "One room as more are members and not there",
}
_STEADY = {
    "server_us": ("server µs per delivery", ".1f"),
    "whole_us": ("all µs", ".1f"),
    "send_ms": ("all ms per message", ".2f"),
    "p50_ms": ("p50 ms", ".0f"),
    "p99_ms": ("p99 ms", ".0f"),
    "lost": ("lost", ".0f"),
}
COLUMNS: dict[str, dict[str, tuple[str, str]]] = {
    "deliver": _STEADY,
    "send": {
        "sends": ("messages/s", ",.0f"),
        "server_ms": ("server ms per message", ".2f"),
        "whole_ms": ("all ms", ".2f"),
        "p50_ms": ("answer p50 ms", ".1f"),
        "p99_ms": ("p99 ms", ".1f"),
        "lost": ("lost", ".0f"),
    },
    "connect": {
        "server_ms": ("server ms per connect", ".2f"),
        "whole_ms": ("all ms", ".2f"),
        "rss_kb": ("RSS KB per idle socket", ".1f"),
        "anonymous_kb": ("of it anonymous PSS", ".1f"),
    },
    "grow": _STEADY,
    "members": _STEADY,
}
"""The heading and the format of each figure, by part."""
AT_LEAST, AT_MOST = "at least", "at most"
FLAT = 1.1
"""Growth up to which something counts as flat: less than what two runs differ by."""


class Table:
    """The rows, to be asked for single figures."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = {(row.part, row.peer, row.case): row.figures for row in rows}

    def get(self, part: str, peer: str, case: str, figure: str) -> float:
        return self._rows[part, peer, case][figure]


@dataclass(frozen=True)
class Target:
    """A ratio that is promised; `ratio` raises KeyError where its rows were not measured."""

    text: str
    bound: str
    limit: float
    ratio: Callable[[Table], float]

    def met(self, value: float) -> bool:
        return value >= self.limit if self.bound == AT_LEAST else value <= self.limit


def compared(
    part: str, case: str, figure: str, ours: str, theirs: str, *, their_case: str = ""
) -> Callable[[Table], float]:
    """Our figure as a share of theirs."""
    return lambda table: table.get(part, ours, case, figure) / table.get(part, theirs, their_case or case, figure)


def targets(plan: Plan) -> Iterator[Target]:
    yield from _delivery_targets(plan)
    yield from _send_targets(plan)
    yield from _connect_targets()
    yield from _growth_targets(plan)


def _delivery_targets(plan: Plan) -> Iterator[Target]:
    case = f"{max(plan.rooms)} sockets, {plan.rate:g}/s"
    for text, limit, ours, theirs in (
        ("CPU per delivery, `serve` : tutorial", 1 / 15, SERVE, TUTORIAL),
        ("CPU per delivery, `serve` : bare picows", 2, SERVE, BARE),
        ("CPU per delivery, uvicorn : tutorial", 1 / 10, UVICORN, TUTORIAL),
    ):
        yield Target(f"{case}: {text}", AT_MOST, limit, compared("deliver", case, "whole_us", ours, theirs))
    for size in sorted(plan.rooms)[-2:]:
        case = f"{size} sockets, {plan.rate:g}/s"
        yield Target(
            f"{case}: CPU per delivery, `serve` : Socket.IO",
            AT_MOST,
            1,
            compared("deliver", case, "whole_us", SERVE, SOCKETIO),
        )
    yield Target(f"{case}: p99, `serve` : Socket.IO", AT_MOST, 1, compared("deliver", case, "p99_ms", SERVE, SOCKETIO))


def _send_targets(plan: Plan) -> Iterator[Target]:
    for flight in plan.flights:
        case = f"{flight} in flight"
        for theirs in (USUAL, USUAL_SQLITE):
            text = f"{case}: %s, `serve` : {theirs}"
            yield Target(text % "messages/s", AT_LEAST, 4, compared("send", case, "sends", SERVE, theirs))
            yield Target(text % "CPU per message", AT_MOST, 1 / 4, compared("send", case, "whole_ms", SERVE, theirs))
        text = f"{case}: %s, `serve` : Socket.IO"
        yield Target(text % "messages/s", AT_LEAST, 0.6, compared("send", case, "sends", SERVE, SOCKETIO))
        yield Target(text % "CPU per message", AT_MOST, 1.5, compared("send", case, "whole_ms", SERVE, SOCKETIO))


def _connect_targets() -> Iterator[Target]:
    for case in ("token", "cookie"):
        for text, limit, figure in (
            ("CPU per connect", 3, "whole_ms"),
            ("memory per idle socket", 1.2, "anonymous_kb"),
        ):
            ratio = compared("connect", case, figure, SERVE, TUTORIAL, their_case="bare")
            yield Target(f"{case}: {text}, `serve` : tutorial", AT_MOST, limit, ratio)


def _growth_targets(plan: Plan) -> Iterator[Target]:
    sockets = [f"{size:,} sockets" for size in plan.growing]
    few, *more = [f"{min(plan.members)} sockets, {count:,} members" for count in plan.members]
    for before, after in pairwise(sockets):
        ratio = compared("grow", after, "whole_us", SERVE, SERVE, their_case=before)
        yield Target(f"CPU per delivery, {after} : {before}", AT_MOST, FLAT, ratio)
    for after in more:
        ratio = compared("members", after, "send_ms", SERVE, SERVE, their_case=few)
        yield Target(f"CPU per message, {after} : {few}", AT_MOST, FLAT, ratio)


def verdicts(rows: Sequence[Row], plan: Plan) -> Iterator[tuple[Target, float]]:
    """Each target whose rows were measured, with the ratio that they have."""
    table = Table(rows)
    for target in targets(plan):
        try:
            yield target, target.ratio(table)
        except (KeyError, ZeroDivisionError):
            continue


def markdown(rows: Sequence[Row], plan: Plan) -> str:
    """The tables, then the targets."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    lines = [f"{machine}; medians of {plan.runs} measurements of {plan.seconds:g} s."]
    for part, columns in COLUMNS.items():
        mine = [row for row in rows if row.part == part]
        if not mine:
            continue
        lines += ["", f"### {TITLES[part]}", "", _line(["", "", *(heading for heading, _ in columns.values())])]
        lines.append(_line(["---", "---", *["---:"] * len(columns)]))
        for row in mine:
            figures = [format(row.figures[name], shape) for name, (_, shape) in columns.items()]
            lines.append(_line([row.peer, row.case, *figures]))
    found = list(verdicts(rows, plan))
    if found:
        lines += ["", "### Targets", "", "| ratio | target | measured | met |", "|---|---:|---:|---|"]
    for target, value in found:
        met = "yes" if target.met(value) else "**no**"
        lines.append(_line([target.text, f"{target.bound} {target.limit:.3g}", f"{value:.3f}", met]))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
