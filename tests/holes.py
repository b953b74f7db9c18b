"""A way to a server that forgets the connections it had, as a firewall does: nothing passes, nobody is told."""

import asyncio
from contextlib import suppress
from typing import Self


class Way:
    """Passes on what comes in at `port` until `forget`; later connections pass."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._passing: set[asyncio.Task[None]] = set()
        self._kept: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._enter, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.forget()
        for writer in self._kept:
            writer.transport.abort()
        await asyncio.sleep(0)

    def forget(self) -> None:
        """What was sent on the connections of now is swallowed from here on; none of them is closed."""
        for task in self._passing:
            task.cancel()

    async def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        self._kept += [writer, back]
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.ensure_future(_pass(source, sink))
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)


async def _pass(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
        sink.close()
