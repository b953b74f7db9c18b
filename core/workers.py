"""Several server processes behind one listening socket: started, watched, restarted, ended together."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog
from django.conf import settings

FIRST_WAIT = 0.5
LONGEST_WAIT = 15.0
"""Seconds before a worker that died is started again: doubled with each early death."""
STEADY = 30.0
"""A worker that lived this long starts over with the first wait."""
GRACE_SECONDS = 5.0
"""Beyond a worker's own hard stop, ere the parent kills it."""

log = structlog.get_logger("conclave.workers")


class Line:
    """The worker's end of its line to the parent: says that it is ready, and hears when the parent is gone."""

    def __init__(self, number: int) -> None:
        self._socket = socket.socket(fileno=number)

    def ready(self) -> None:
        """Called on the worker's loop once it serves."""
        self._socket.send(b".")
        asyncio.get_running_loop().add_reader(self._socket, self._end)

    def _end(self) -> None:
        """The parent was killed: a worker that lived on would keep the port."""
        asyncio.get_running_loop().remove_reader(self._socket)
        os.kill(os.getpid(), signal.SIGTERM)


class Workers:
    """The parent. `arguments(index, line)` is one worker's command; `inherited` is the socket on which all listen."""

    def __init__(
        self,
        count: int,
        arguments: Callable[[int, int], Sequence[str]],
        inherited: socket.socket,
        when_ready: Callable[[], None],
    ) -> None:
        self._count = count
        self._arguments = arguments
        self._inherited = inherited
        self._when_ready = when_ready
        self._running: dict[int, asyncio.subprocess.Process] = {}
        self._ready = 0
        self._code = 0
        self._rolling: asyncio.Task[None] | None = None
        self._line, self._workers_line = socket.socketpair()

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT; the exit code. A worker that can't even start the first time ends all."""
        return asyncio.run(self._run())

    async def _run(self) -> int:
        self._stopping, self._came = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._roll)
        loop.add_reader(self._line, self._hear)
        keepers = [asyncio.create_task(self._keep(index)) for index in range(self._count)]
        await self._stopping.wait()
        _, late = await asyncio.wait(keepers, timeout=settings.DRAIN_SECONDS + GRACE_SECONDS)
        if late:
            for process in self._running.values():
                process.kill()
            await asyncio.wait(late)
        return self._code

    def _hear(self) -> None:
        before = self._ready
        self._ready += len(self._line.recv(self._count))
        self._came.set()
        if before < self._count <= self._ready:
            self._when_ready()

    def _roll(self) -> None:
        """Restart one worker after the other, each once the one before serves again."""
        if self._rolling is None or self._rolling.done():
            self._rolling = asyncio.create_task(self._restart_each())

    async def _restart_each(self) -> None:
        for index in list(self._running):
            process = self._running.get(index)
            if process is not None:
                self._came.clear()
                process.terminate()
                await self._came.wait()

    def _stop(self) -> None:
        self._stopping.set()
        for process in self._running.values():
            process.terminate()

    async def _keep(self, index: int) -> None:
        wait = FIRST_WAIT
        while not self._stopping.is_set():
            began = time.monotonic()
            code = await self._work(index)
            if self._stopping.is_set():
                return
            if self._ready < self._count:
                self._code = code or 1
                self._stop()
                return
            if code == 0:
                log.info("a worker was told to leave and is started again", worker=index)
                continue
            wait = FIRST_WAIT if time.monotonic() - began > STEADY else min(wait * 2, LONGEST_WAIT)
            log.error("a worker died and is started again", worker=index, exit_code=code, wait_seconds=wait)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), wait)

    async def _work(self, index: int) -> int:
        line = self._workers_line.fileno()
        process = await asyncio.create_subprocess_exec(
            sys.executable, *self._arguments(index, line), pass_fds=(self._inherited.fileno(), line)
        )
        self._running[index] = process
        if self._stopping.is_set():
            process.terminate()
        try:
            return await process.wait()
        finally:
            del self._running[index]
