"""`make mutants`: does a test notice each permission that goes wrong? Runs the policy tests and the sweep on mutants.

One process collects the tests and makes the cast once. Each mutant is a fork of it with a copy of the database, which
changes the loaded product, runs the tests that use what was changed, the quickest first, and ends at the first failure.
A mutant that none fails has survived.
"""

import argparse
import contextlib
import gc
import io
import json
import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

if TYPE_CHECKING:
    from tests.mutations import Mutant

TESTS = (
    "test_policy_organization.py",
    "test_policy_rooms.py",
    "test_policy_messages.py",
    "test_policy_own.py",
    "test_policy_socket.py",
    "test_sweep.py",
    "test_sweep_pages.py",
)
AT_ONCE = 2
PATIENCE = 1_200
"""Seconds for one fork, on a machine that has other things to do."""
KILLED, SURVIVED, BROKEN = 0, 1, 2
Record = dict[str, dict[str, Any]]
"""By test: the seconds it takes, and what it touches."""


@dataclass
class Outcome:
    """What became of the mutants."""

    mutants: int = 0
    killed: int = 0
    equivalent: int = 0
    survived: list[str] = field(default_factory=list)
    wrongly_equivalent: list[str] = field(default_factory=list)
    kinds: dict[str, int] = field(default_factory=dict)
    seconds: float = 0

    @property
    def good(self) -> bool:
        return self.mutants > 0 and not self.survived and not self.wrongly_equivalent


class Runner:
    """A pytest plugin that runs the collected tests on each mutant instead of running them once."""

    def __init__(self, only: list[str], say: Callable[[str], None]) -> None:
        self.only = only
        self.say = say
        self.outcome = Outcome()
        self.failed: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(f"{report.when} of {report.nodeid}: {report.longreprtext[-2_000:]}")

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        from tests.mutations import EQUIVALENT, mutants  # noqa: PLC0415  Django is ready only now

        begun = time.monotonic()
        everything = mutants()
        names = {each.name for each in everything}
        chosen = [
            each for each in everything if not self.only or any(_meant(part, each.name, names) for part in self.only)
        ]
        unknown = set(EQUIVALENT) - names
        assert not unknown, f"no such mutants: {unknown}"
        gc.freeze()
        with Ground() as ground:
            record = self._baseline(session, ground)
            self.say(f"{len(chosen)} mutants, {len(record)} tests")
            forks = [(each.name, lambda each=each: self._try(session, ground, record, each)) for each in chosen]
            ends = {name: self._tell(name, end) for name, end in at_once(forks)}
        self._sum_up(chosen, ends, EQUIVALENT)
        self.outcome.seconds = round(time.monotonic() - begun, 1)
        return True

    def _baseline(self, session: pytest.Session, ground: "Ground") -> Record:
        """Run every test on the product as it is; all must pass. Tells what each touches."""

        def share(place: int) -> Callable[[], int]:
            def run() -> int:
                record = self._recorded(ground, session.items[place::AT_ONCE])
                (ground.folder / f"record-{place}.json").write_text(json.dumps([record, self.failed]))
                return KILLED

            return run

        list(at_once((str(place), share(place)) for place in range(AT_ONCE)))
        found: Record = {}
        for place in range(AT_ONCE):
            record, failed = json.loads((ground.folder / f"record-{place}.json").read_text())
            if failed:
                pytest.exit("the tests fail without any mutant:\n" + "\n".join(failed), returncode=1)
            found |= record
        return found

    def _recorded(self, ground: "Ground", items: list[pytest.Item]) -> Record:
        ground.enter()
        touched = watch()
        record: Record = {}
        for item, following in pairs(items):
            touched.clear()
            begun = time.process_time()
            item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
            record[item.nodeid] = {"seconds": time.process_time() - begun, "touches": sorted(touched)}
        return record

    def _try(self, session: pytest.Session, ground: "Ground", record: Record, mutant: "Mutant") -> int:
        """Kill it with the tests that use what it changes; the others can't tell it from the original."""
        ground.enter()
        mutant.apply()
        using = [each for each in session.items if mutant.touches in record[each.nodeid]["touches"]]
        for item, following in pairs(sorted(using, key=lambda each: record[each.nodeid]["seconds"])):
            item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
            if any(each.startswith("call of ") for each in self.failed):
                return KILLED
        return BROKEN if self.failed else SURVIVED

    def _tell(self, name: str, end: int) -> int:
        self.outcome.mutants += 1
        words = {KILLED: "killed", SURVIVED: "SURVIVED"}.get(end, "BROKEN")
        self.say(f"{self.outcome.mutants:4}  {words:9} {name}")
        return end

    def _sum_up(self, chosen: list["Mutant"], ends: dict[str, int], equivalent: dict[str, str]) -> None:
        found = self.outcome
        for mutant in chosen:
            end, same = ends[mutant.name], mutant.name in equivalent
            found.killed += end == KILLED and not same
            found.equivalent += end == SURVIVED and same
            if same and end != SURVIVED:
                found.wrongly_equivalent.append(mutant.name)
            if not same and end != KILLED:
                found.survived.append(mutant.name)
        found.kinds = dict(Counter(each.kind for each in chosen))


def _meant(part: str, name: str, names: set[str]) -> bool:
    """A whole name means that mutant alone; any other text those with it in their name."""
    return part == name if part in names else part in name


class Ground:
    """A migrated database with the cast in it, and a copy of it for each fork."""

    def __enter__(self) -> Self:
        from tests.conftest import seed  # noqa: PLC0415  Django is ready only now
        from tests.processes import Stack  # noqa: PLC0415

        self._stack = Stack("embedded", ACCESS_TOKEN_SECONDS="86400")
        self._cast = seed(self._stack)
        self.folder = self._stack.folder
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.stop()

    def enter(self) -> None:
        """In a fork: quiet, with a database of its own, in which the cast stands already."""
        import django.test.utils  # noqa: PLC0415
        from django.db import connection  # noqa: PLC0415

        from tests import conftest  # noqa: PLC0415

        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        copy = self.folder / f"{os.getpid()}.sqlite3"
        shutil.copy(self.folder / "conclave.sqlite3", copy)
        connection.close()
        connection.settings_dict["NAME"] = str(copy)
        django.test.utils.setup_databases = lambda *_args, **_named: []
        django.test.utils.teardown_databases = lambda *_args, **_named: None
        conftest.make_cast = lambda: self._cast


def watch() -> set[str]:
    """What is used from now on: cells that are asked, and what is called of all that has a condition in it."""
    from core.sql import Compiled  # noqa: PLC0415  Django is ready only now
    from tenants import permissions  # noqa: PLC0415
    from tests.mutations import omissions, original, statement  # noqa: PLC0415

    touched: set[str] = set()
    every = list(omissions())
    asked = permissions.rule_for

    def rule_for(role: Any, verb: Any) -> Any:
        touched.add(f"{verb} {role}")
        return asked(role, verb)

    permissions.rule_for = rule_for
    made = {id(statement(*each.touches.split(":"))): each.touches for each in every if each.kind == "statement"}
    call = Compiled.__call__

    def called(compiled: Any, **sets: Any) -> Any:
        touched.add(made.get(id(compiled), ""))
        return call(compiled, **sets)

    Compiled.__call__ = called  # type: ignore[method-assign]
    functions = {each.touches for each in every if each.kind != "statement"}
    codes = {original(*touches.split(":")).__code__: touches for touches in functions}

    def profile(frame: Any, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code in codes:
            touched.add(codes[frame.f_code])

    sys.setprofile(profile)
    return touched


def pairs(items: Iterable[pytest.Item]) -> Iterator[tuple[pytest.Item, pytest.Item | None]]:
    """Each test and the one after it, which tells pytest what to keep set up."""
    listed = list(items)
    return zip(listed, [*listed[1:], None][: len(listed)], strict=True)


def at_once(work: Iterable[tuple[str, Callable[[], int]]]) -> Iterator[tuple[str, int]]:
    """Run each in a fork, a few at a time; its name and exit code as it ends."""
    running: dict[int, str] = {}
    try:
        for name, run in work:
            while len(running) >= AT_ONCE:
                yield _next_end(running)
            running[_fork(run)] = name
        while running:
            yield _next_end(running)
    finally:
        for pid in running:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _fork(run: Callable[[], int]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        signal.alarm(PATIENCE)
        os._exit(run())
    except BaseException:
        os._exit(BROKEN)


def _next_end(running: dict[int, str]) -> tuple[str, int]:
    pid, status = os.wait()
    return running.pop(pid), os.waitstatus_to_exitcode(status)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", default=[], metavar="TEXT", help="of this name, or with this in it")
    parser.add_argument("--tests", metavar="EXPRESSION", help="kill with these tests only: as pytest's -k")
    parser.add_argument("--list", action="store_true", help="the names of the mutants, without running them")
    parser.add_argument("--json", action="store_true", help="the outcome as JSON")
    given = parser.parse_args()
    if given.list:
        print("\n".join(names()))
        return 0
    runner = Runner(given.only, lambda text: print(text, file=sys.stderr, flush=True))
    files = [str(Path(__file__).parent / name) for name in TESTS]
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = pytest.main([*files, "-p", "no:cacheprovider", "-k", given.tests or ""], plugins=[runner])
    if code != pytest.ExitCode.OK:
        print(said.getvalue(), file=sys.stderr)
        return 1
    report(runner.outcome, given.json)
    return 0 if runner.outcome.good else 1


def names() -> list[str]:
    """Of all mutants."""
    import django  # noqa: PLC0415  its settings read the environment

    from tests import environment  # noqa: PLC0415  before pytest it could not rewrite what this imports

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "core.settings")
    environment.prepare()
    django.setup()
    from tests.mutations import mutants  # noqa: PLC0415

    return [each.name for each in mutants()]


def report(outcome: Outcome, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(outcome)))
        return
    for name in outcome.survived:
        print(f"SURVIVED: {name}")
    for name in outcome.wrongly_equivalent:
        print(f"killed, though listed as equivalent: {name}")
    print(f"{outcome.mutants} mutants, {outcome.killed} killed, {outcome.equivalent} equivalent", end=", ")
    print(f"{len(outcome.survived)} survived, in {outcome.seconds:.0f} s")


if __name__ == "__main__":
    os.environ["STACK"] = "embedded"
    sys.exit(main())
