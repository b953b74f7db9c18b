"""`make bench`: what a delivered message costs here and in the plain Channels tutorial, in one run, as ratios.

Both are served by Daphne over one Redis. Ours authenticates each socket, checks membership, stores each message in
PostgreSQL before it is delivered; the tutorial does none of that.
"""

import argparse
import asyncio
import json
import platform
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any
from uuid import uuid4

from benchmarks import load
from benchmarks.accounting import cpu_seconds
from tests import servers
from tests.cast import Cast
from tests.conftest import seed
from tests.processes import ROOT, Stack

CORE = "channels_redis.core.RedisChannelLayer"
PUBSUB = "channels_redis.pubsub.RedisPubSubChannelLayer"


@dataclass
class Row:
    """Microseconds of CPU per delivery: of the server process, and of everything with Redis and the database."""

    peer: str
    sockets: int
    server_us: float
    whole_us: float
    p99_ms: float
    lost: int
    ratio: float = 1.0


def wait_until_it_listens(port: int) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit("bench: the tutorial's server does not start")


@contextmanager
def tutorial(layer: str) -> Iterator[tuple[str, list[int], list[int]]]:
    """The tutorial on stock Daphne: its address, the server's pid, and all pids."""
    redis = servers.redis(private=True)
    if redis is None:
        sys.exit("bench: no Redis on this machine (INSTALL=1 make test installs it)")
    port = servers.free_port()
    command = ["-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "benchmarks.tutorial:application"]
    environ = {"PATH": "/usr/bin:/bin", "REDIS_URL": redis.url, "LAYER": layer}
    process = subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until_it_listens(port)
        yield f"ws://127.0.0.1:{port}", [process.pid], [process.pid, redis.pid]
    finally:
        process.kill()
        process.wait()
        redis.stop()


@contextmanager
def conclave(command: Any) -> Iterator[tuple[str, list[int], list[int], Cast]]:
    stack = Stack("real", own_database=True, ACCESS_TOKEN_SECONDS="3600")
    try:
        cast = seed(stack)
        process = stack.serve(command=command)[0]
        assert stack.redis is not None
        assert stack.postgres is not None
        pids = [process.popen.pid, stack.redis.pid, stack.postgres.pid]
        yield process.ws_url, pids[:1], pids, cast
    finally:
        stack.stop()


async def measure(
    peer: str, target: load.Target, sockets: int, options: Any, server: list[int], whole: list[int]
) -> Row:
    opened = await load.open_sockets(target, sockets)
    before: list[float] = []
    outcome = await load.run(
        target,
        opened,
        options.rate,
        options.seconds,
        lambda: before.extend([cpu_seconds(server), cpu_seconds(whole)]),
    )
    spent = cpu_seconds(server) - before[0], cpu_seconds(whole) - before[1]
    await load.close(opened)
    per = 1e6 / max(1, outcome.deliveries)
    lost = outcome.expected - outcome.deliveries
    return Row(peer, sockets, spent[0] * per, spent[1] * per, outcome.p99_ms, lost)


def one_round(sockets: int, options: Any) -> list[Row]:
    """Each peer once, one after the other."""
    rows = []
    for name, layer in (("tutorial, core layer", CORE), ("tutorial, pub/sub layer", PUBSUB)):
        with tutorial(layer) as (url, server, whole):
            rows.append(asyncio.run(measure(name, load.tutorial(url), sockets, options, server, whole)))
    for name, command in (("conclave, serve", "serve"), ("conclave, uvicorn", "uvicorn")):
        with conclave(command) as (url, server, whole, cast):
            target = load.conclave(url, "acme", cast.rooms["den"], cast.member.access, uuid4().hex)
            rows.append(asyncio.run(measure(name, target, sockets, options, server, whole)))
    return rows


def medians(rounds: list[list[Row]]) -> list[Row]:
    rows = []
    for same in zip(*rounds, strict=True):
        row = Row(same[0].peer, same[0].sockets, 0, 0, 0, max(each.lost for each in same))
        for figure in ("server_us", "whole_us", "p99_ms"):
            setattr(row, figure, statistics.median(getattr(each, figure) for each in same))
        rows.append(row)
    for row in rows:
        row.ratio = row.server_us / rows[0].server_us
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("--sockets", default="20,100,500", help="numbers of sockets in the room (default 20,100,500)")
    parser.add_argument("--rate", type=float, default=4, help="messages a second (default 4)")
    parser.add_argument("--seconds", type=float, default=10, help="length of one measurement (default 10)")
    parser.add_argument("--runs", type=int, default=3, help="runs of which the median counts (default 3)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    results: list[Row] = []
    for sockets in (int(each) for each in options.sockets.split(",")):
        rounds = []
        for run in range(options.runs):
            sys.stderr.write(f"{sockets} sockets, run {run + 1} of {options.runs}\n")
            rounds.append(one_round(sockets, options))
        results += medians(rounds)
    if options.json:
        print(json.dumps([asdict(row) for row in results]))
        return
    print(
        f"{platform.machine()}, Python {platform.python_version()}, {options.rate:g} messages/s, {options.seconds:g} s"
    )
    print(f"{'':24} {'sockets':>8} {'server µs':>10} {'all µs':>8} {'p99 ms':>8} {'lost':>6} {'server ratio':>13}")
    for row in results:
        figures = f"{row.server_us:>10.0f} {row.whole_us:>8.0f} {row.p99_ms:>8.0f} {row.lost:>6} {row.ratio:>13.2f}"
        print(f"{row.peer:24} {row.sockets:>8} {figures}")


if __name__ == "__main__":
    main()
