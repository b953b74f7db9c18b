"""What every test run has: its environment, set before Django loads, and at its end what was skipped and why."""

import os
import tempfile
from collections import Counter
from pathlib import Path
from weakref import WeakKeyDictionary

import pytest
from _pytest.terminal import TerminalReporter

from tests import environment

STRICT = os.environ.get("REQUIRE_ALL") == "1"
missing = environment.prepare()
skipped: Counter[str] = Counter()


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    if missing:
        reason = f"skipped: everything on PostgreSQL and Redis: {missing} (INSTALL=1 make test installs it)"
        pytest.exit(reason, returncode=1 if STRICT else 0)
    _database_in_a_file(config)
    _without_waste()


def _database_in_a_file(config: pytest.Config) -> None:
    """Django's SQLite test database lives in memory, where threads lock each other out; the product's never does."""
    from django.conf import settings  # noqa: PLC0415 - Django may be imported only once the environment is set

    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        folder = tempfile.TemporaryDirectory(prefix="conclave-test-")
        config.add_cleanup(folder.cleanup)
        database.setdefault("TEST", {})["NAME"] = str(Path(folder.name) / "test.sqlite3")


def _without_waste() -> None:
    """In this process passwords are hashed as cheaply as argon2 can, and static files are not listed for each client.
    The servers that tests start do both as in use."""
    from django.conf import settings  # noqa: PLC0415 - as above

    settings.PASSWORD_HASHERS = ["tests.hashing.CheapArgon2"]
    settings.SERVESTATIC_AUTOREFRESH = True
    _one_middleware_for_all_clients()


def _one_middleware_for_all_clients() -> None:
    """Made anew for each client it looks up every static file, a tenth of a second. None of it keeps anything of a
    request; where a test has changed settings it is made anew."""
    from django.conf import settings  # noqa: PLC0415 - as above
    from django.test.client import ClientHandler  # noqa: PLC0415

    load = ClientHandler.load_middleware
    known: WeakKeyDictionary[object, dict[str, object]] = WeakKeyDictionary()

    def load_once(handler: ClientHandler, is_async: bool = False) -> None:
        if is_async:
            load(handler, is_async)
            return
        made = known.get(settings._wrapped)
        if made is None:
            load(handler)
            made = {name: value for name, value in vars(handler).items() if name.endswith("_middleware")}
            made["_middleware_chain"] = handler._middleware_chain
            known[settings._wrapped] = made
        vars(handler).update(made)

    ClientHandler.load_middleware = load_once  # type: ignore[method-assign]


def pytest_report_header() -> str:
    return f"stack: {environment.stack_name()}"


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        _note(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.skipped:
        _note(report)


def _note(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    skipped[f"{report.nodeid.partition('::')[0]}: {reason.removeprefix('Skipped: ')}"] += 1


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if skipped and STRICT and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    terminalreporter.section("parts skipped and why")
    if not skipped:
        terminalreporter.line("none")
    for part, count in sorted(skipped.items()):
        terminalreporter.line(f"{count} × {part}")
    if skipped and STRICT:
        terminalreporter.line("REQUIRE_ALL=1: a skip is a failure", red=True)
