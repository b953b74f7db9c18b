"""`make bench`: what messages and connections cost here and in other servers, in one run, as tables of ratios.

PEERS=1 adds Socket.IO. The tables go to standard output, as docs/performance.md has them, progress to standard error.
"""

import argparse
import json
import os
import resource
import sys
import time
from dataclasses import asdict, replace

from benchmarks.driver import BenchError, packages
from benchmarks.parts import PARTS, Plan, Sites
from benchmarks.peers import socketio_packages
from benchmarks.report import markdown, verdicts
from benchmarks.rows import Row, medians


def main() -> int:
    options = arguments()
    prepare()
    plan = Plan.quick(options.peers) if options.quick else Plan(socketio=options.peers)
    if options.seconds:
        plan = replace(plan, seconds=options.seconds)
    runs = options.runs or (1 if options.quick else 3)
    try:
        packages()
        if options.peers:
            socketio_packages()
        rows = medians(measure(options.only, plan, runs))
    except BenchError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    found = [
        {"target": target.text, "bound": target.bound, "limit": target.limit, "ratio": ratio, "met": target.met(ratio)}
        for target, ratio in verdicts(rows, plan)
    ]
    if options.json:
        print(json.dumps({"runs": runs, "rows": [asdict(row) for row in rows], "targets": found}, indent=1))
    else:
        print(markdown(rows, plan, runs))
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("--only", type=parts, default=list(PARTS), help=f"parts, of {','.join(PARTS)} (default: all)")
    parser.add_argument("--runs", type=int, help="runs of which the median counts (default 3)")
    parser.add_argument("--seconds", type=float, help="length of one measurement (default 10)")
    parser.add_argument("--peers", action="store_true", help="Socket.IO too; make bench PEERS=1 installs it")
    parser.add_argument(
        "--quick", action="store_true", help="one short run of small cases: proves that all of it works"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    return parser.parse_args()


def parts(text: str) -> list[str]:
    chosen = text.split(",")
    if unknown := set(chosen) - set(PARTS):
        raise argparse.ArgumentTypeError(f"no such part: {', '.join(sorted(unknown))}")
    return chosen


def prepare() -> None:
    """As many open files as allowed, for all that is started; and servers of our own, which alone can be accounted."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for name in ("TEST_DATABASE_URL", "TEST_REDIS_URL"):
        os.environ.pop(name, None)


def measure(chosen: list[str], plan: Plan, runs: int) -> list[Row]:
    began, sites = time.monotonic(), Sites()
    rows: list[Row] = []
    try:
        for part in chosen:
            for run in range(runs):
                for row in PARTS[part](plan, sites):
                    rows.append(row)
                    note(time.monotonic() - began, run + 1, runs, row)
    finally:
        sites.stop()
    return rows


def note(seconds: float, run: int, runs: int, row: Row) -> None:
    figures = ", ".join(f"{name} {figure:.3g}" for name, figure in row.figures.items())
    sys.stderr.write(f"{seconds:5.0f} s  {row.part} {run}/{runs}  {row.peer}, {row.case}: {figures}\n")


if __name__ == "__main__":
    sys.exit(main())
