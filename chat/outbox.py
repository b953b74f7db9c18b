"""What waits for a socket that does not keep up: bounded for each, and for all of the process together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from core.frames import Text

OUTBOX_BYTES = 1024 * 1024
"""What one socket may have waiting; past it, it is told `slow_consumer` and closed."""
PROCESS_BYTES = 64 * 1024 * 1024
"""What all sockets of a process may have waiting; past it, the one with the most goes first."""
LOSABLE = 100
"""Frames that may be lost, waiting for one socket."""


class Budget:
    """What the sockets of a process share."""

    def __init__(self, most: int = PROCESS_BYTES) -> None:
        self._most = most
        self._used = 0
        self._waiting: set[Outbox] = set()

    def take(self, outbox: Outbox, size: int) -> None:
        """The outbox has grown or shrunk by so many bytes. The largest give up until the rest fits."""
        self._used += size
        if outbox.size:
            self._waiting.add(outbox)
        else:
            self._waiting.discard(outbox)
        while self._used > self._most:
            max(self._waiting, key=lambda each: each.size).give_up()


BUDGET = Budget()


class Outbox:
    """Frames in order; after them those that may be lost, the newest of each thing that they are about.

    `give_up` is called when more waits than may, and clears it.
    """

    def __init__(self, budget: Budget, give_up: Callable[[], None], most: int = OUTBOX_BYTES) -> None:
        self.size = 0
        self.give_up = give_up
        self._budget = budget
        self._most = most
        self._frames: deque[Text] = deque()
        self._losable: dict[object, Text] = {}

    def __bool__(self) -> bool:
        return bool(self._frames or self._losable)

    def add(self, frame: Text, about: object = None) -> None:
        """Last of what waits; with `about`, in the place of what waits about the same."""
        if about is not None:
            self._losable.pop(about, None)
            if len(self._losable) < LOSABLE:
                self._losable[about] = frame
            return
        self._frames.append(frame)
        self._resize(len(frame))
        if self.size > self._most:
            self.give_up()

    def takes(self, about: object) -> bool:
        """Whether a frame about this would neither wait behind others nor be lost, nor another be lost for it."""
        return not self._frames and about not in self._losable and len(self._losable) < LOSABLE

    def lose(self, about: object) -> None:
        self._losable.pop(about, None)

    def put_first(self, frame: Text) -> None:
        self._frames.appendleft(frame)
        self._resize(len(frame))

    def put_last(self, frame: Text) -> None:
        """The last word, beyond every bound; what may be lost is."""
        self._losable.clear()
        self._frames.append(frame)
        self._resize(len(frame))

    def next(self) -> Text:
        """Take what is to be written next."""
        if self._frames:
            frame = self._frames.popleft()
            self._resize(-len(frame))
            return frame
        return self._losable.pop(next(iter(self._losable)))

    def clear(self) -> None:
        self._frames.clear()
        self._losable.clear()
        self._resize(-self.size)

    def _resize(self, by: int) -> None:
        self.size += by
        self._budget.take(self, by)
