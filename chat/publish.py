"""The only door to the channel layer. Everything leaves on commit; a publish that fails never fails its write."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import UUID

import structlog
from asgiref.sync import async_to_sync
from django.db import transaction

from chat import protocol
from chat.models import Message, Room
from chat.shapes import message_event
from core.layers import send_alone
from core.wire import encode_text

log = structlog.get_logger(__name__)

Carrier = Callable[[str, dict[str, Any]], None]
CONTROL = "control"


def room_group(room: UUID | str) -> str:
    return f"r.{room}"


def seat_group(seat: UUID | str) -> str:
    return f"u.{seat}"


def _without_hub(group: str, event: dict[str, Any]) -> None:
    """From a process that serves nobody: a command, a test."""
    try:
        async_to_sync(send_alone)(group, event)
    except Exception:
        log.warning("publish failed", group=group, exc_info=True)


_carrier: Carrier = _without_hub


def carry_with(carrier: Carrier | None) -> None:
    """The process's hub takes over: it hands events to its own sockets first."""
    global _carrier  # noqa: PLW0603  one hub a process, as one layer a process
    _carrier = carrier or _without_hub


def _emit(group: str, event: dict[str, Any]) -> None:
    transaction.on_commit(lambda: _carrier(group, event), robust=True)


def room_event(
    room: UUID, revs: tuple[int, int], readers: int, frames: Sequence[tuple[int, int, str]]
) -> dict[str, Any]:
    """The first to the last rev of a change, with what they show: (rev, message number, encoded frame) each."""
    return {
        "type": "conclave.room",
        "room": str(room),
        "first": revs[0],
        "last": revs[1],
        "readers": readers,
        "frames": [list(frame) for frame in frames],
    }


def frame_of(message: Message) -> tuple[int, int, str]:
    return message.rev, message.number, encode_text(message_event(message))


def message_changed(room: Room, message: Message) -> None:
    """The message that took the room's newest rev, new or changed."""
    event = room_event(room.pk, (room.rev, room.rev), room.readers_version, [frame_of(message)])
    _emit(room_group(room.pk), event)


def messages_sent(room: UUID, readers: int, messages: Sequence[protocol.MessageShape]) -> None:
    """New messages, which took the room's newest revs."""
    frames = [
        (each.rev, each.number, encode_text(protocol.MessageCreated(room=each.room, rev=each.rev, message=each)))
        for each in messages
    ]
    _emit(room_group(room), room_event(room, (frames[0][0], frames[-1][0]), readers, frames))


def readers_changed(room: Room) -> None:
    """Someone may have lost the right to read: the newest rev is one that no message shows."""
    _emit(room_group(room.pk), room_event(room.pk, (room.rev, room.rev), room.readers_version, []))


def _whisper(room: UUID, event: protocol.Event, about: str, but: UUID | None = None) -> dict[str, Any]:
    """To the room's subscribers, without a rev: may be lost, for a newer one about the same."""
    text = encode_text(event)
    return {
        "type": "conclave.whisper",
        "room": str(room),
        "but": str(but) if but else None,
        "about": about,
        "text": text,
    }


def typing(room: UUID, author: protocol.Author) -> None:
    """Writes nothing, so it waits for no commit; may be called from the event loop."""
    event = protocol.TypingEvent(room=str(room), user=author)
    _carrier(room_group(room), _whisper(room, event, f"typing {room} {author.id}", but=UUID(author.id)))


def member_changed(room: UUID, user: UUID) -> None:
    event = protocol.MemberChanged(room=str(room), user=str(user))
    _emit(room_group(room), _whisper(room, event, f"member {room} {user}"))


def room_changed(room: Room) -> None:
    """Name, topic, policy, archive or a role, and with it the readers' version: each process reads the room anew."""
    event = {"type": "conclave.room_changed", "room": str(room.pk), "readers": room.readers_version}
    _emit(room_group(room.pk), event)


def to_seat(seat: UUID, event: protocol.Event, version: int | None = None) -> None:
    """To every socket of a seat; with the version that the seat has taken by what it tells of."""
    _emit(
        seat_group(seat),
        {"type": "conclave.seat", "seat": str(seat), "text": encode_text(event), "room": None, "version": version},
    )


def room_added(seat: UUID, room: UUID, version: int) -> None:
    """The seat came into a room: its sockets' processes read the room as that seat sees it."""
    _emit(
        seat_group(seat),
        {"type": "conclave.seat", "seat": str(seat), "text": None, "room": str(room), "version": version},
    )


def seat_changed(seat: UUID) -> None:
    """The seat's role or right changed, or it ended: its sockets' processes read it anew."""
    _emit(seat_group(seat), {"type": "conclave.seat_changed", "seat": str(seat)})


def policy_changed(tenant: UUID) -> None:
    """What roles may do there has changed: every process reads its people of that organization anew."""
    _emit(CONTROL, {"type": "conclave.policy", "tenant": str(tenant)})


def logins_ended(logins: Iterable[UUID]) -> None:
    _emit(CONTROL, {"type": "conclave.logins", "logins": [str(login) for login in logins]})
