"""The parts of the benchmark: what each measures, once. `__main__` repeats them and takes medians."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from benchmarks import peers
from benchmarks.accounting import cpu_seconds, memory_bytes
from benchmarks.conclave import Site
from benchmarks.driver import Load
from benchmarks.peers import PAIRS, Peer
from benchmarks.rows import Row
from tests.processes import Command

SERVE, UVICORN = "Conclave, `serve`", "Conclave, uvicorn"
TUTORIAL, PUBSUB = "tutorial, core layer", "tutorial, pub/sub layer"
USUAL, USUAL_SQLITE = "usual consumer, PostgreSQL", "usual consumer, SQLite"
BARE, SOCKETIO = "bare picows broadcast", "Socket.IO 4"
OURS: dict[str, Command] = {SERVE: "serve", UVICORN: "uvicorn"}
SETTLE = 1.0
"""Seconds of calm before memory is read or CPU is counted."""
Start = Callable[[], AbstractContextManager[Peer]]


@dataclass(frozen=True)
class Plan:
    """How much is measured. `quick` proves that all of it runs, and measures nothing."""

    runs: int = 3
    seconds: float = 8.0
    rate: float = 4.0
    rooms: Sequence[int] = (500, 100, 20)
    rates: Sequence[float] = (10, 100)
    """More rates, for us alone, in the largest of the rooms."""
    flights: Sequence[int] = (1, 20)
    connects: int = 400
    warm_connects: int = 50
    growing: Sequence[int] = (10, 100, 1_000, 5_000)
    members: Sequence[int] = (10, 1_000, 10_000, 100_000)
    socketio: bool = False

    @classmethod
    def quick(cls, socketio: bool) -> "Plan":
        return cls(
            runs=1,
            seconds=1.5,
            rooms=(50, 20),
            rates=(10,),
            connects=40,
            warm_connects=10,
            growing=(10, 50),
            members=(10, 1_000),
            socketio=socketio,
        )


class Sites:
    """Conclave's databases, made when first needed and kept for all runs."""

    def __init__(self) -> None:
        self._made: dict[Any, Site] = {}

    def room_of(self, people: int) -> Site:
        return self._site(people, (tuple(range(people)),))

    def pairs(self) -> Site:
        return self._site(2 * PAIRS, tuple((2 * room, 2 * room + 1) for room in range(PAIRS)))

    def rooms_of(self, people: int, rooms: int) -> Site:
        return self._site(people, (tuple(range(people)),) * rooms)

    def _site(self, people: int, rooms: tuple[tuple[int, ...], ...]) -> Site:
        key = (people, rooms)
        if key not in self._made:
            self._made[key] = Site(people, rooms)
        return self._made[key]

    def stop(self) -> None:
        for site in self._made.values():
            site.stop()


def deliver(plan: Plan, sites: Sites) -> Iterator[Row]:
    """CPU of a delivery in one private room, at a steady rate."""
    for size in plan.rooms:
        largest = size == max(plan.rooms)
        rivals: dict[str, Start] = {TUTORIAL: peers.tutorial}
        if largest:
            rivals[PUBSUB] = lambda: peers.tutorial("pubsub.RedisPubSubChannelLayer")
        rivals[BARE] = peers.bare
        if plan.socketio:
            rivals[SOCKETIO] = peers.socketio
        for name, start in rivals.items():
            yield from _delivered(name, start, size, [plan.rate], plan.seconds)
        rates = [plan.rate, *plan.rates] if largest else [plan.rate]
        site = sites.room_of(size)
        for name, command in OURS.items():
            yield from _delivered(name, _serving(site, command), size, rates, plan.seconds)


def _serving(site: Site, command: Command, *, cookie: bool = False) -> Start:
    return lambda: site.serve(command, cookie=cookie)


def _delivered(name: str, start: Start, size: int, rates: Sequence[float], seconds: float) -> Iterator[Row]:
    with start() as peer, Load() as load:
        load.open([peer.seat(person, 0) for person in range(size)])
        load.steady(rates[0], min(2.0, seconds))
        for rate in rates:
            figures = _steady(peer, load, rate, seconds if rate == rates[0] else seconds / 2)
            yield Row("deliver", name, f"{size} sockets, {rate:g}/s", figures)


def _steady(peer: Peer, load: Load, rate: float, seconds: float) -> dict[str, float]:
    time.sleep(SETTLE)
    before = cpu_seconds([peer.server]), cpu_seconds(peer.whole)
    seen = load.steady(rate, seconds)
    spent = cpu_seconds([peer.server]) - before[0], cpu_seconds(peer.whole) - before[1]
    per = 1e6 / max(1, seen["deliveries"])
    return {
        "server_us": spent[0] * per,
        "whole_us": spent[1] * per,
        "send_ms": spent[1] * 1e3 / max(1, seen["sent"]),
        "p50_ms": seen["p50_ms"],
        "p99_ms": seen["p99_ms"],
        "lost": seen["lost"],
    }


def send(plan: Plan, sites: Sites) -> Iterator[Row]:
    """Stored messages at saturation: ten rooms of two, one sender in each, in a closed loop."""
    starts: dict[str, Start] = {
        USUAL: lambda: peers.usual("postgresql"),
        USUAL_SQLITE: lambda: peers.usual("sqlite"),
    }
    if plan.socketio:
        starts[SOCKETIO] = peers.socketio
    starts |= {name: _serving(sites.pairs(), command) for name, command in OURS.items()}
    for name, start in starts.items():
        with start() as peer, Load() as load:
            load.open([peer.seat(person, person // 2) for person in range(2 * PAIRS)])
            load.saturate(range(0, 2 * PAIRS, 2), 2, max(plan.flights), min(2.0, plan.seconds))
            for flight in plan.flights:
                yield Row("send", name, f"{flight} in flight", _saturated(peer, load, flight, plan.seconds))


def _saturated(peer: Peer, load: Load, flight: int, seconds: float) -> dict[str, float]:
    time.sleep(SETTLE)
    before = cpu_seconds([peer.server]), cpu_seconds(peer.whole)
    seen = load.saturate(range(0, 2 * PAIRS, 2), 2, flight, seconds)
    spent = cpu_seconds([peer.server]) - before[0], cpu_seconds(peer.whole) - before[1]
    per = 1e3 / max(1, seen["answered"])
    return {
        "sends": seen["answered"] / seen["seconds"],
        "server_ms": spent[0] * per,
        "whole_ms": spent[1] * per,
        "p50_ms": seen["wait_p50_ms"],
        "p99_ms": seen["wait_p99_ms"],
        "lost": seen["lost"],
    }


def connect(plan: Plan, sites: Sites) -> Iterator[Row]:
    """CPU of opening a socket, and the memory of one that is idle in a room. Ours hears `hello` with ten rooms."""
    people = plan.warm_connects + plan.connects
    starts: dict[str, tuple[str, Start]] = {TUTORIAL: ("bare", peers.tutorial)}
    if plan.socketio:
        starts[SOCKETIO] = ("token", peers.socketio)
    starts_of_ours = [("token", False), ("cookie", True)]
    site = sites.rooms_of(people, 10)
    for name, (case, start) in starts.items():
        yield Row("connect", name, case, _connected(start, plan))
    for name, command in OURS.items():
        for case, cookie in starts_of_ours:
            yield Row("connect", name, case, _connected(_serving(site, command, cookie=cookie), plan))


def _connected(start: Start, plan: Plan) -> dict[str, float]:
    with start() as peer, Load() as load:
        seats = [peer.seat(person, 0) for person in range(plan.warm_connects + plan.connects)]
        load.open(seats[: plan.warm_connects])
        time.sleep(SETTLE)
        resident, anonymous = memory_bytes(peer.server)
        before = cpu_seconds([peer.server]), cpu_seconds(peer.whole)
        load.open(seats[plan.warm_connects :], enter=seats[0].dialect != "conclave")
        spent = cpu_seconds([peer.server]) - before[0], cpu_seconds(peer.whole) - before[1]
        load.enter()
        time.sleep(2 * SETTLE)
        now = memory_bytes(peer.server)
        return {
            "server_ms": spent[0] * 1e3 / plan.connects,
            "whole_ms": spent[1] * 1e3 / plan.connects,
            "rss_kb": (now[0] - resident) / 1024 / plan.connects,
            "anonymous_kb": (now[1] - anonymous) / 1024 / plan.connects,
        }


def grow(plan: Plan, sites: Sites) -> Iterator[Row]:
    """One send as more sockets listen. Repeats its measurements itself, as the room grows."""
    site = sites.room_of(max(plan.growing))
    with site.serve("serve") as peer, Load() as load:
        here = 0
        for size in plan.growing:
            load.open([peer.seat(person, 0) for person in range(here, size)])
            here = size
            load.steady(plan.rate, min(2.0, plan.seconds))
            for _ in range(plan.runs):
                yield Row("grow", SERVE, f"{size:,} sockets", _steady(peer, load, plan.rate, plan.seconds / 2))


def members(plan: Plan, sites: Sites) -> Iterator[Row]:  # noqa: ARG001  its site grows, and is nobody else's
    """One send as more members are not there. Repeats its measurements itself, too."""
    few = min(plan.members)
    site = Site(few, [list(range(few))])
    try:
        for before, count in zip([few, *plan.members], plan.members, strict=False):
            site.add_bystanders(count - before)
            with site.serve("serve") as peer, Load() as load:
                load.open([peer.seat(person, 0) for person in range(few)])
                load.steady(plan.rate, min(2.0, plan.seconds))
                for _ in range(plan.runs):
                    figures = _steady(peer, load, plan.rate, plan.seconds / 2)
                    yield Row("members", SERVE, f"{few} sockets, {count:,} members", figures)
    finally:
        site.stop()


PARTS: dict[str, Callable[[Plan, Sites], Iterator[Row]]] = {
    "deliver": deliver,
    "send": send,
    "connect": connect,
    "grow": grow,
    "members": members,
}
ONCE = {"grow", "members"}
"""Parts that repeat their measurements themselves."""
