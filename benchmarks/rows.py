"""What a measurement leaves: rows of figures, and the medians of several runs of them."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """The figures of one peer in one case, in one part of the benchmark."""

    part: str
    peer: str
    case: str
    figures: dict[str, float]


def medians(rows: Iterable[Row]) -> list[Row]:
    """One row for each peer and case, in the order of their first. What was `lost` is summed up."""
    found: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row.part, row.peer, row.case), []).append(row)
    return [Row(*key, _medians([row.figures for row in same])) for key, same in found.items()]


def _medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {
        name: (sum if name == "lost" else statistics.median)([figures[name] for figures in runs]) for name in runs[0]
    }
