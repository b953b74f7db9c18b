"""The parent's hold on the load generator: a process, asked line by line and waited for no longer than it may take."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.dialects import Seat
from tests.processes import ROOT
from tests.servers import end_with_parent

OPENING = 600.0
PATIENCE = 90.0
"""Seconds beyond the asked-for length of a measurement."""


class BenchError(Exception):
    """A peer or the load did not do what was asked; the text says what."""


def packages() -> str:
    """The folder of what only the benchmark needs (requirements/bench.txt); `make bench` made it."""
    found = sorted((ROOT / ".venv").glob("bench-*"), key=lambda path: path.stat().st_mtime)
    given = os.environ.get("BENCH_PACKAGES") or (str(found[-1]) if found else "")
    if not given:
        raise BenchError("picows and uvloop are not installed: run make bench")
    return str(Path(given).resolve())


class Load:
    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.load"],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": packages()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=end_with_parent,  # noqa: PLW1509  there are no threads here
        )

    def open(self, seats: Sequence[Seat], *, enter: bool = True) -> None:
        self._ask(OPENING, do="open", seats=[asdict(seat) for seat in seats], enter=enter)

    def enter(self) -> None:
        self._ask(OPENING, do="enter")

    def steady(self, rate: float, seconds: float) -> dict[str, Any]:
        return self._ask(seconds + PATIENCE, do="steady", rate=rate, seconds=seconds)

    def saturate(self, senders: Sequence[int], hearers: int, flight: int, seconds: float) -> dict[str, Any]:
        job = {"senders": list(senders), "hearers": hearers, "flight": flight, "seconds": seconds}
        return self._ask(seconds + PATIENCE, do="saturate", **job)

    def close(self) -> None:
        self._ask(OPENING, do="close")

    def _ask(self, patience: float, **job: Any) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        readable, _, _ = select.select([self._process.stdout], [], [], patience)
        line = self._process.stdout.readline() if readable else ""
        if not line:
            raise BenchError(f"the load ended, or did not answer {job['do']} within {patience:g} s")
        answer: dict[str, Any] = json.loads(line)
        if problem := answer.get("error") or answer.get("refusals"):
            raise BenchError(f"{job['do']}: {problem}")
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
