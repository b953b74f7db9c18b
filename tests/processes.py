"""Real server processes for tests: a fresh migrated database on either stack, and any number of servers over it."""

import functools
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest

from tests import environment, servers

ROOT = Path(__file__).resolve().parent.parent
KILL_SECONDS = 20
Kind = Literal["embedded", "real"]
OF_TOKENS = {"ACCESS_TOKEN_SECONDS", "REFRESH_TOKEN_DAYS", "SECRET_KEY", "SECRET_KEY_FALLBACKS", "JWT_KEYS"}
Command = Literal["serve", "daphne", "uvicorn"]


class Process:
    """One server: `url` and `ws_url` are on 127.0.0.1, `public_url` is the origin that a browser is to use."""

    def __init__(self, arguments: list[str], port: int, environ: dict[str, str], folder: Path) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.ws_url = f"ws://127.0.0.1:{port}"
        self.public_url = environ["PUBLIC_URL"]
        self._log = folder / f"server-{port}.log"
        with self._log.open("ab") as log:
            self.popen = subprocess.Popen(
                arguments,
                cwd=ROOT,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=servers.end_with_parent,
            )

    def wait_until_it_answers(self) -> None:
        servers.wait_for(self._answers, self.popen, self._log)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/livez", timeout=2) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError:
            raise
        except OSError:
            return False

    def terminate(self) -> int:
        """SIGTERM, as an operator stops it; its exit code."""
        self.popen.terminate()
        return self.wait()

    def kill(self) -> None:
        """SIGKILL, as a crash ends it."""
        self.popen.kill()
        self.popen.wait()

    def wait(self) -> int:
        try:
            return self.popen.wait(KILL_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def log_text(self) -> str:
        return self._log.read_text(errors="replace")


class Stack:
    """A database, a channel layer, a cache and a mailbox of its own, and the servers that were started over them."""

    def __init__(self, kind: Kind, *, own_database: bool = False, **settings: str) -> None:
        """`own_database`: a PostgreSQL that this stack may stop or pause. `settings`: more of the environment."""
        self.kind = kind
        self.folder = Path(tempfile.mkdtemp(prefix="conclave-stack-"))
        self.processes: list[Process] = []
        self.postgres: servers.Server | None = None
        self.redis: servers.Server | None = None
        self._own_database = own_database
        self._settings = settings
        self.environ = environment.plain() | {
            "PATH": os.environ["PATH"],
            "PYTHONUNBUFFERED": "1",
            "EMAIL_URL": f"file://{self.folder}/mail",
            "DATABASE_POOL": "10",
        }
        if kind == "real":
            self._provide()
        else:
            shutil.copy(_migrated_sqlite(), self.folder / "conclave.sqlite3")
            self.environ |= {"DATABASE_URL": f"sqlite:///{self.folder}/conclave.sqlite3", "CHANNELS_URL": "memory://"}
        self.environ |= settings

    def _provide(self) -> None:
        self.postgres = servers.postgres(private=self._own_database)
        self.redis = servers.redis(private=True)
        if self.postgres is None or self.redis is None:
            pytest.skip("no PostgreSQL" if self.postgres is None else "no Redis")
        database = _copy_of_migrated_postgres(self.postgres.url)
        self.environ |= {
            "DATABASE_URL": database,
            "CHANNELS_URL": f"{self.redis.url}/0",
            "CACHE_URL": f"{self.redis.url}/1",
        }

    def seeded(self) -> str | None:
        """Put the cast into the database, by a copy of one that has it; its JSON. None where that can't serve: on a
        database of its own, or with settings by which tokens would be others."""
        if self._own_database or self._settings.keys() & OF_TOKENS:
            return None
        source, cast = _seeded(self.kind)
        if self.kind == "embedded":
            shutil.copy(source, self.folder / "conclave.sqlite3")
        else:
            assert self.postgres is not None
            self.environ["DATABASE_URL"] = _copy_of(self.postgres.url, source)
        return cast

    def serve(self, n: int = 1, command: Command = "serve", *options: str) -> list[Process]:
        """Start `n` servers, each on a port of its own, and wait until all answer. `options` go to the command."""
        started = [self._start(command, options) for _ in range(n)]
        for process in started:
            process.wait_until_it_answers()
        return started

    def _start(self, command: Command, options: tuple[str, ...]) -> Process:
        port = servers.free_port()
        arguments = {
            "serve": ["manage.py", "serve", f"--port={port}"],
            "daphne": ["-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "core.asgi:application"],
            "uvicorn": ["-m", "uvicorn", "--port", str(port), "--lifespan", "off", "core.asgi:application"],
        }[command]
        environ = self.environ | {"PUBLIC_URL": f"http://localhost:{port}", "DJANGO_SETTINGS_MODULE": "core.settings"}
        process = Process([sys.executable, *arguments, *options], port, environ, self.folder)
        self.processes.append(process)
        return process

    def manage(self, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        """Run a management command over this stack to its end; the caller looks at its code."""
        return _manage(self.environ | settings, *arguments)

    def mails(self) -> list[str]:
        """What was sent, oldest first, as raw messages."""
        files = sorted((self.folder / "mail").glob("*.log"), key=lambda each: each.stat().st_mtime_ns)
        return [each.read_text() for each in files]

    def stop(self) -> None:
        for process in self.processes:
            if process.popen.poll() is None:
                process.kill()
        if self.redis:
            self.redis.stop()
        if self.postgres and self._own_database:
            self.postgres.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


def _manage(environ: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def _migrate(database: str) -> None:
    done = _manage(environment.plain() | {"PATH": os.environ["PATH"], "DATABASE_URL": database}, "migrate", "--noinput")
    if done.returncode:
        raise RuntimeError(f"migrate failed on {database}:\n{done.stdout}{done.stderr}")


@functools.cache
def _migrated_sqlite() -> Path:
    """Migrated once a run and copied for every stack. Closing the last connection folds the WAL into the file."""
    path = servers.folder("sqlite") / "template.sqlite3"
    _migrate(f"sqlite:///{path}")
    return path


@functools.cache
def _migrated_postgres(server: str) -> str:
    name = f"template_{uuid4().hex}"
    _create_database(server, name)
    _migrate(_on(server, name))
    return name


def _copy_of_migrated_postgres(server: str) -> str:
    return _copy_of(server, _migrated_postgres(server))


def _copy_of(server: str, template: str) -> str:
    name = f"stack_{uuid4().hex}"
    _create_database(server, name, template)
    return _on(server, name)


@functools.cache
def _seeded(kind: Kind) -> tuple[str, str]:
    """A database with the cast, made once a run: its file or name, and the cast as JSON."""
    if kind == "embedded":
        path = servers.folder("sqlite") / "seeded.sqlite3"
        shutil.copy(_migrated_sqlite(), path)
        return str(path), make_cast_in(environment.plain() | {"DATABASE_URL": f"sqlite:///{path}"})
    server = servers.postgres()
    assert server is not None
    name = f"seeded_{uuid4().hex}"
    _create_database(server.url, name, _migrated_postgres(server.url))
    return name, make_cast_in(environment.plain() | {"DATABASE_URL": _on(server.url, name)})


def make_cast_in(environ: dict[str, str]) -> str:
    """Make the cast in the database of this environment; its JSON."""
    environ = {"ACCESS_TOKEN_SECONDS": "7200"} | environ | {"DJANGO_SETTINGS_MODULE": "core.settings"}
    command = [sys.executable, "-m", "tests.cast"]
    environ["PATH"] = os.environ["PATH"]
    made = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=120)
    assert made.returncode == 0, made.stderr
    return made.stdout


def _create_database(server: str, name: str, template: str = "template0") -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())


def _on(server: str, database: str) -> str:
    return urlunsplit(urlsplit(server)._replace(path=f"/{database}"))
