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
from benchmarks.parts import ONCE, PARTS, Plan, Sites
from benchmarks.peers import socketio_packages
from benchmarks.report import markdown, verdicts
from benchmarks.rows import Row, medians


def main() -> int:
    options = arguments()
    prepare()
    plan = Plan.quick(options.peers) if options.quick else Plan(socketio=options.peers)
    plan = replace(plan, seconds=options.seconds or plan.seconds, runs=options.runs or plan.runs)
    try:
        packages()
        if options.peers:
            socketio_packages()
    except BenchError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    measured, whole = measure(options.only, plan)
    rows = medians(measured)
    found = [
        {"target": target.text, "bound": target.bound, "limit": target.limit, "ratio": ratio, "met": target.met(ratio)}
        for target, ratio in verdicts(rows, plan)
    ]
    if options.json:
        print(json.dumps({"runs": plan.runs, "rows": [asdict(row) for row in rows], "targets": found}, indent=1))
    else:
        print(markdown(rows, plan))
    return 0 if whole else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("--only", type=parts, default=list(PARTS), help=f"parts, of {','.join(PARTS)} (default: all)")
    parser.add_argument("--runs", type=int, help="runs of which the median counts (default 3)")
    parser.add_argument("--seconds", type=float, help="length of one measurement (default 8)")
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


def measure(chosen: list[str], plan: Plan) -> tuple[list[Row], bool]:
    """The rows of all runs, and whether nothing failed. Where a run of a part fails, what it had measured stays."""
    began, sites, whole = time.monotonic(), Sites(), True
    rows: list[Row] = []
    try:
        for part, run in ((each, run) for each in chosen for run in range(1 if each in ONCE else plan.runs)):
            try:
                for row in PARTS[part](plan, sites):
                    rows.append(row)
                    note(time.monotonic() - began, run + 1, row)
            except (BenchError, RuntimeError, OSError) as error:
                whole = False
                sys.stderr.write(f"bench: {part}, run {run + 1}, failed: {error}\n")
    except KeyboardInterrupt:
        whole = False
    finally:
        sites.stop()
    return rows, whole


def note(seconds: float, run: int, row: Row) -> None:
    figures = ", ".join(f"{name} {figure:.3g}" for name, figure in row.figures.items())
    sys.stderr.write(f"{seconds:5.0f} s  {row.part} {run}  {row.peer}, {row.case}: {figures}\n")


if __name__ == "__main__":
    sys.exit(main())
