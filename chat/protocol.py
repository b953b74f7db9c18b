"""The wire: every frame both ways, one sealed file. Fields and bounds are those of docs/protocol.md."""

from collections.abc import Sequence
from typing import Annotated, Any, get_args

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from core.errors import ConclaveError
from core.wire import Count, Id, Strict

PROTOCOL = "conclave.v1"

FrameId = Annotated[str, Meta(min_length=1, max_length=64)]
Body = Annotated[str, Meta(min_length=1, max_length=8_000)]
"""1–8,000 code points; besides, at most 32 KiB and not blank (`chat.render`)."""
Nonce = Annotated[str, Meta(min_length=1, max_length=64)]
Emoji = Annotated[str, Meta(min_length=1, max_length=32)]
Limit = Annotated[int, Meta(ge=0, le=100)]


class Frame(Strict, frozen=True, tag_field="type"):
    """A command. Gets exactly one answer with its id."""

    id: FrameId


class Since(Strict, frozen=True):
    """A cursor: the revs of one epoch."""

    epoch: Id
    rev: Count


class RoomSince(Strict, frozen=True):
    room: Id
    since: Since | UnsetType = UNSET


class Subscribe(Frame, frozen=True, tag="subscribe"):
    """Hear a room, or up to 100 of them, from now on or from a cursor on."""

    room: Id | UnsetType = UNSET
    since: Since | UnsetType = UNSET
    limit: Limit = 50
    rooms: Annotated[list[RoomSince], Meta(min_length=1, max_length=100)] | UnsetType = UNSET


class Unsubscribe(Frame, frozen=True, tag="unsubscribe"):
    room: Id


class MessageSend(Frame, frozen=True, tag="message.send"):
    """A new message. The same nonce again answers the first one."""

    room: Id
    body: Body
    nonce: Nonce
    reply_to: Id | None = None


class MessageEdit(Frame, frozen=True, tag="message.edit"):
    """With `rev`, only if the message is still at it."""

    message: Id
    body: Body
    rev: Count | UnsetType = UNSET


class MessageDelete(Frame, frozen=True, tag="message.delete"):
    message: Id


class ReactionAdd(Frame, frozen=True, tag="reaction.add"):
    message: Id
    emoji: Emoji


class ReactionRemove(ReactionAdd, frozen=True, tag="reaction.remove"):
    pass


class Read(Frame, frozen=True, tag="read"):
    room: Id
    number: Count


class Typing(Frame, frozen=True, tag="typing"):
    room: Id


class Authenticate(Frame, frozen=True, tag="authenticate"):
    """A newer token of the same person, before the old one ends."""

    token: Annotated[str, Meta(min_length=1, max_length=4_096)]


class Hello(Frame, frozen=True, tag="hello"):
    pass


class Ping(Frame, frozen=True, tag="ping"):
    pass


Command = (
    Subscribe | Unsubscribe | MessageSend | MessageEdit | MessageDelete | ReactionAdd | ReactionRemove | Read | Typing
    | Authenticate | Hello | Ping
)  # fmt: skip
COMMANDS: tuple[type[Frame], ...] = get_args(Command)


class Author(Struct, frozen=True):
    id: str
    display_name: str


class ReactionCount(Struct, frozen=True):
    """`users` are the first 20 ids."""

    emoji: str
    count: int
    users: list[str]


class MessageShape(Struct, frozen=True, kw_only=True):
    """A message in its newest state. `author` is null once the account is gone."""

    id: str
    kind: str
    room: str
    number: int
    rev: int
    author: Author | None
    body: str
    html: str | None
    nonce: str | None
    reply_to: str | None
    reactions: list[ReactionCount]
    created_at: str
    edited_at: str | None
    deleted_at: str | None


class RoomShape(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A room as the actor may see it: outside, `room_role` is null and there are no counters."""

    id: str
    name: str
    kind: str
    topic: str
    posting: str
    history: str
    archived_at: str | None | UnsetType = UNSET
    room_role: str | None | UnsetType = UNSET
    rev: int | UnsetType = UNSET
    number: int | UnsetType = UNSET
    unread: int | UnsetType = UNSET
    people: list[Author] | UnsetType = UNSET
    """Of a direct room: the others in it."""


class Event(Struct, frozen=True, tag_field="type", kw_only=True):
    """What the server says unasked. Carries no id."""


class MessageEvent(Event, frozen=True):
    """A message's newest state. Which of the three events brings it, is a hint."""

    room: str
    rev: int
    message: MessageShape


class MessageCreated(MessageEvent, frozen=True, tag="message.created"):
    pass


class MessageUpdated(MessageEvent, frozen=True, tag="message.updated"):
    pass


class MessageDeleted(MessageEvent, frozen=True, tag="message.deleted"):
    pass


class HelloEvent(Event, frozen=True, tag="hello"):
    protocol: str
    epoch: str
    connection: str
    user: Author
    tenant: dict[str, str]
    tenant_role: str
    heartbeat: int
    expires_at: str | None
    rooms: list[RoomShape]
    rooms_more: bool


class ReadEvent(Event, frozen=True, tag="read"):
    room: str
    number: int


class TypingEvent(Event, frozen=True, tag="typing"):
    room: str
    user: Author


class PresenceEvent(Event, frozen=True, tag="presence", omit_defaults=True):
    """Who is in a room now. `here` is everyone; without it, those who `joined` and `left` since the event before it.
    Of many only the first by id are named; `count` is always how many there are."""

    room: str
    count: int
    here: list[Author] | UnsetType = UNSET
    joined: list[Author] | UnsetType = UNSET
    left: list[str] | UnsetType = UNSET


class RoomAdded(Event, frozen=True, tag="room.added"):
    room: RoomShape


class RoomUpdated(Event, frozen=True, tag="room.updated"):
    room: RoomShape


class RoomRemoved(Event, frozen=True, tag="room.removed"):
    room: str


class MemberChanged(Event, frozen=True, tag="member.changed"):
    room: str
    user: str


class RoleChanged(Event, frozen=True, tag="role.changed"):
    tenant_role: str


class Resync(Event, frozen=True, tag="resync", omit_defaults=True):
    room: str | UnsetType = UNSET


class PingEvent(Event, frozen=True, tag="ping"):
    """Nothing: the server is still there."""


class Bye(Event, frozen=True, tag="bye", omit_defaults=True):
    """Before every close by the server that can still be written."""

    code: str
    detail: str
    retry_after: float | UnsetType = UNSET


EVENTS: tuple[type[Event], ...] = (
    *MessageEvent.__subclasses__(),
    *(event for event in Event.__subclasses__() if event is not MessageEvent),
)


class CatchUp(Struct, frozen=True, kw_only=True):
    """What a `subscribe` or `changes` answers for one room."""

    room: str
    epoch: str
    rev: int
    messages: Sequence[MessageShape | Raw]
    """Already encoded, so that their bytes can be counted once."""
    more: bool
    reset: bool


class Ok(Struct, frozen=True, tag_field="type", tag="ok"):
    id: str
    result: Any


class ErrorFrame(Struct, frozen=True, tag_field="type", tag="error", omit_defaults=True, kw_only=True):
    id: str | None
    code: str
    detail: str
    retry_after: float | UnsetType = UNSET


def error_frame(error: ConclaveError, frame_id: str | None) -> ErrorFrame:
    retry = UNSET if error.retry_after is None else error.retry_after
    return ErrorFrame(id=frame_id, code=error.code, detail=error.detail, retry_after=retry)


def bye(error: ConclaveError) -> Bye:
    retry = UNSET if error.retry_after is None else error.retry_after
    return Bye(code=error.code, detail=error.detail, retry_after=retry)
