"""Starts the servers that are measured, each on its own Redis, and says how to sit down at them."""

import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import jwt
import psycopg

from benchmarks.dialects import Seat
from benchmarks.driver import BenchError, packages
from tests import servers
from tests.processes import ROOT

PAIRS = 10
"""Rooms of two people, where many send."""


@dataclass(frozen=True)
class Peer:
    """A running server. `server` is its pid, `whole` adds those of its Redis and database."""

    server: int
    whole: tuple[int, ...]
    seat: Callable[[int, int], Seat]
    """The socket of a person (a number) in a room (a number)."""


def shared_postgres() -> servers.Server:
    """One for the whole run, each peer with a database of its own on it."""
    found = servers.postgres()
    if found is None:
        raise BenchError("no PostgreSQL on this machine (INSTALL=1 make test installs it)")
    return found


@contextmanager
def own_redis() -> Iterator[servers.Server]:
    found = servers.redis(private=True)
    if found is None:
        raise BenchError("no Redis on this machine (INSTALL=1 make test installs it)")
    with found:
        yield found


def new_database() -> str:
    server, name = shared_postgres().url, f"peer_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    return f"{server.rpartition('/')[0]}/{name}"


@contextmanager
def process(command: list[str], port: int, **environ: str) -> Iterator[int]:
    """A server that is given this much environment and no more: its pid, once it listens."""
    with tempfile.NamedTemporaryFile(prefix="conclave-bench-") as log:
        running = subprocess.Popen(
            command,
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], **environ},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=servers.end_with_parent,  # noqa: PLW1509  there are no threads here
        )
        try:
            servers.wait_for(lambda: port in listening(running.pid), running, Path(log.name))
            yield running.pid
        finally:
            running.kill()
            running.wait()


def listening(pid: int) -> set[int]:
    """The ports on which this process's network listens. No connection is made that a server would have to bear."""
    lines = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return {int(fields[1].rpartition(":")[2], 16) for fields in lines if fields[3] == "0A"}


def daphne(port: int, application: str) -> list[str]:
    return [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), application]


@contextmanager
def tutorial(layer: str = "core.RedisChannelLayer") -> Iterator[Peer]:
    """The tutorial's consumer, on a layer of channels-redis."""
    port = servers.free_port()
    with own_redis() as redis:
        environ = {"REDIS_URL": redis.url, "LAYER": f"channels_redis.{layer}"}
        with process(daphne(port, "benchmarks.tutorial:application"), port, **environ) as pid:
            url = f"ws://127.0.0.1:{port}/ws/chat"
            yield Peer(pid, (pid, redis.pid), lambda _, room: Seat("tutorial", f"{url}/{room}/", str(room)))


@contextmanager
def bare() -> Iterator[Peer]:
    port = servers.free_port()
    command = [sys.executable, "-m", "benchmarks.bare", str(port)]
    with process(command, port, PYTHONPATH=packages()) as pid:
        yield Peer(pid, (pid,), lambda _, room: Seat("bare", f"ws://127.0.0.1:{port}/", str(room)))


@contextmanager
def usual(database: str) -> Iterator[Peer]:
    """The usual durable consumer, on `postgresql` or `sqlite`."""
    port = servers.free_port()
    with own_redis() as redis, tempfile.TemporaryDirectory(prefix="conclave-bench-") as folder:
        on_postgres = database == "postgresql"
        url = new_database() if on_postgres else f"sqlite:///{folder}/usual.sqlite3"
        environ = {"REDIS_URL": redis.url, "DATABASE_URL": url}
        tokens = _prepare_usual(environ)
        with process(daphne(port, "benchmarks.usual:application"), port, **environ) as pid:
            whole = (pid, redis.pid, *([shared_postgres().pid] if on_postgres else []))

            def seat(person: int, room: int) -> Seat:
                shown = {"Authorization": f"Bearer {tokens[person]}"}
                return Seat("usual", f"ws://127.0.0.1:{port}/ws/{room}/", str(room), shown)

            yield Peer(pid, whole, seat)


def _prepare_usual(environ: dict[str, str]) -> list[str]:
    made = subprocess.run(
        [sys.executable, "-m", "benchmarks.usual", str(2 * PAIRS)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if made.returncode:
        raise BenchError(f"the usual consumer: {made.stderr[-2000:]}")
    tokens: list[str] = json.loads(made.stdout)
    return tokens


@functools.cache
def socketio_packages() -> str:
    """The folder of node_modules; `make bench PEERS=1` made it."""
    found = sorted((ROOT / ".venv").glob("socketio-*/node_modules"))
    if not found:
        raise BenchError("Socket.IO is not installed: run make bench PEERS=1")
    return str(found[-1])


@contextmanager
def socketio() -> Iterator[Peer]:
    port, secret, database = servers.free_port(), uuid4().hex, new_database()
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE message (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, room text NOT NULL,"
            " author text NOT NULL, body text NOT NULL, created_at timestamptz NOT NULL DEFAULT now())"
        )
    with own_redis() as redis:
        environ = {"REDIS_URL": redis.url, "DATABASE_URL": database, "PORT": str(port), "SECRET": secret}
        environ |= {"NODE_PATH": socketio_packages(), "NODE_ENV": "production"}
        with process(["node", "benchmarks/socketio/server.js"], port, **environ) as pid:
            url = f"ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket"

            def seat(person: int, room: int) -> Seat:
                claims = {"sub": f"person{person}", "rooms": [f"room{room}"]}
                return Seat("socketio", url, f"room{room}", token=jwt.encode(claims, secret, "HS256"))

            yield Peer(pid, (pid, redis.pid, shared_postgres().pid), seat)
