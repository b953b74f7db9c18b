"""Conclave as a peer: a database with a crowd in it, and servers over it, one at a time."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from benchmarks.crowd import SLUG, Crowd
from benchmarks.dialects import Seat
from benchmarks.driver import BenchError
from benchmarks.peers import Peer, shared_postgres
from tests.processes import ROOT, Command, Stack


class Site:
    """A stack with people and rooms, made once and served as often as needed."""

    def __init__(self, people: int, rooms: Sequence[Sequence[int]]) -> None:
        shared_postgres()
        self._stack = Stack("real", ACCESS_TOKEN_SECONDS="86400")
        self.crowd = Crowd(**self._populate(people=people, rooms=rooms))

    def add_bystanders(self, count: int) -> None:
        """Bring so many more members who never connect into the first room."""
        self._populate(bystanders=count)

    def _populate(
        self, *, people: int = 0, rooms: Sequence[Sequence[int]] = (), bystanders: int = 0
    ) -> dict[str, list[str]]:
        made = subprocess.run(
            [sys.executable, "-m", "benchmarks.crowd"],
            cwd=ROOT,
            env=self._stack.environ | {"DJANGO_SETTINGS_MODULE": "core.settings"},
            input=json.dumps({"people": people, "rooms": rooms, "bystanders": bystanders}),
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        if made.returncode:
            raise BenchError(f"the crowd: {made.stderr[-2000:]}")
        crowd: dict[str, list[str]] = json.loads(made.stdout)
        return crowd

    @contextmanager
    def serve(self, command: Command, *, cookie: bool = False) -> Iterator[Peer]:
        """A server, at which people show their token, or as a browser their `cookie`."""
        assert self._stack.redis
        assert self._stack.postgres
        process = self._stack.serve(command=command)[0]

        def seat(person: int, room: int) -> Seat:
            if cookie:
                shown = {"Cookie": f"sessionid={self.crowd.sessions[person]}", "Origin": process.public_url}
            else:
                shown = {"Authorization": f"Bearer {self.crowd.access[person]}"}
            return Seat("conclave", f"{process.ws_url}/ws/v1/{SLUG}/", self.crowd.rooms[room], shown)

        try:
            pid = process.popen.pid
            yield Peer(pid, (pid, self._stack.redis.pid, self._stack.postgres.pid), seat)
        except BenchError as error:
            raise BenchError(f"{error}\n{_complaints(process.log_text())}") from error
        finally:
            process.kill()

    def stop(self) -> None:
        self._stack.stop()


def _complaints(log: str) -> str:
    """The first lines in which a server says that something is wrong."""
    return "\n".join([line for line in log.splitlines() if "[warning" in line or "[error" in line][:10])
