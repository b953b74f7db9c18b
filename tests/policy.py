"""A stage for the policy tests: one person takes every role in turn, acts over REST, and what came of it is told."""

import functools
import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from django.utils.timezone import now

from chat.models import Message, Room, RoomMember
from tenants.models import Invitation, Membership, Tenant
from tests.cast import Cast

ROLES = ("guest", "member", "moderator", "admin", "owner")
"""The order in which every outcome is written."""
roles = ROLES
"""Those that are tried. A mutant of one role's cell narrows them to that role."""
TOMORROW = (now() + timedelta(days=1)).isoformat()


@functools.cache
def _client() -> Client:
    """One for all: a client loads the middleware anew, which then looks for every static file."""
    return Client()


def request(method: str, path: str, headers: dict[str, str], body: dict[str, Any] | None = None) -> HttpResponse:
    """A request below /api/v1/, by whoever the headers show."""
    content = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
    answer: HttpResponse = _client().generic(method, f"/api/v1/{path}", headers=headers, **content)
    assert not answer.cookies, "nothing but the headers may show who asks"
    return answer


@dataclass(frozen=True)
class Act:
    """Something one may try: its verb in the table, the request, and what to ask the explanation about.

    In `path`, `body` and `about` stand `{room}`, `{message}`, `{invitation}`, `{me}` and `{other}`.
    """

    verb: str
    method: str
    path: str
    body: dict[str, Any] | None = None
    about: str = ""


@dataclass(frozen=True)
class Place:
    """Where it is tried: the room and what the person is in it, and the other person that it may be about."""

    kind: str = "private"
    inside: str | None = None
    """The person's role in the room; None outside."""
    archived: bool = False
    posting: str = "everyone"
    mine: bool = False
    """The message, or the invitation, is the person's own."""
    other: str = "member"
    """The other's role in the organization."""
    other_inside: bool = False
    """The other is in the room."""
    met: bool = True
    """The two share some other room."""
    only_owner: bool = False
    """Nobody but the person can be an owner."""


@dataclass
class Stage:
    """Acme. The person is `lurker`, the other is `both`; `owner` and `member` are in every room that is made here."""

    cast: Cast
    seats: dict[str, Membership] = field(init=False)
    tenant: Tenant = field(init=False)

    def __post_init__(self) -> None:
        self.tenant = Tenant.objects.get(slug="acme")
        by_id = {str(seat.user_id): seat for seat in Membership.objects.filter(tenant=self.tenant)}
        self.seats = {name: by_id[person.id] for name, person in self.cast.people.items() if person.id in by_id}

    def tried(self, act: Act, place: Place | None = None) -> "Outcomes":
        """What each role gets; whatever it is, the explanation must say the same."""
        return Outcomes(self, act, place or Place())

    def compare(self, act: Act, place: Place, expected: dict[str, int]) -> dict[str, int]:
        """Try it with each role up to the first that doesn't get what is expected. Nothing of it stays."""
        found: dict[str, int] = {}
        with transaction.atomic():
            names = self._set(place)
            for role in roles:
                found[role] = self._try(role, act, names)
                if found[role] != expected[role]:
                    break
            transaction.set_rollback(True)
        return found

    def _try(self, role: str, act: Act, names: dict[str, str]) -> int:
        with transaction.atomic():
            self.give("lurker", role)
            explained = self._explained(role, act, names)
            answer = self.ask("lurker", act.method, filled(act.path, names), filled(act.body, names))
            transaction.set_rollback(True)
        assert explained in (None, answer.status_code < 400), f"{role}: {answer.content!r}, explained as {explained}"
        return answer.status_code

    def _explained(self, role: str, act: Act, names: dict[str, str]) -> bool | None:
        """What the person is told about the act; where they don't see what it is about, what the owner is told."""
        query = f"permissions/explain/?verb={act.verb}&{filled(act.about, names)}"
        answer = self.ask("lurker", "GET", query)
        if answer.status_code == 404 and role != "owner":
            answer = self.ask("owner", "GET", f"{query}&user={names['me']}")
            assert answer.status_code == 200, answer.content
        assert answer.status_code in (200, 404), answer.content
        return bool(json.loads(answer.content)["allowed"]) if answer.status_code == 200 else None

    def told(self, query: str) -> bool:
        """Whether the person is told that they may."""
        answer = self.ask("lurker", "GET", f"permissions/explain/?{query}")
        assert answer.status_code == 200, answer.content
        return bool(json.loads(answer.content)["allowed"])

    def ask(self, name: str, method: str, path: str, body: dict[str, Any] | None = None) -> HttpResponse:
        """Someone's request below /tenants/acme/."""
        return request(method, f"tenants/acme/{path}", self.cast.people[name].bearer, body)

    def _set(self, place: Place) -> dict[str, str]:
        """Give the roles, make the room, the message and the invitation; their ids by name."""
        self.give("both", place.other)
        if place.only_owner:
            self.give("owner", "admin")
        if place.met:
            self.meet("lurker", "both")
        room = self._room(place.kind, posting=place.posting, archived_at=now() if place.archived else None)
        self._enter(room, "owner", "moderator")
        self._enter(room, "member", "member")
        if place.inside:
            self._enter(room, "lurker", place.inside)
        if place.other_inside:
            self._enter(room, "both", "member")
        return {
            "me": self.cast.lurker.id,
            "other": self.cast.both.id,
            "room": str(room.pk),
            "message": str(self._message(room, "lurker" if place.mine else "member").pk),
            "invitation": str(self._invitation("lurker" if place.mine else "owner").pk),
        }

    def give(self, name: str, role: str) -> None:
        """Give someone a role in the organization."""
        Membership.objects.filter(pk=self.seats[name].pk).update(role=role)

    def meet(self, *names: str) -> None:
        """Let people share a room."""
        hall = self._room("private")
        for name in names:
            self._enter(hall, name, "member")

    def _room(self, kind: str, **fields: Any) -> Room:
        key = uuid4().hex if kind == "direct" else None
        return Room.objects.create(
            tenant=self.tenant, kind=kind, name="Room", direct_key=key, number=1, rev=1, **fields
        )

    def _enter(self, room: Room, name: str, role: str) -> None:
        RoomMember.objects.create(tenant=self.tenant, room=room, seat=self.seats[name], role=role, visible_from=1)

    def _message(self, room: Room, author: str) -> Message:
        return Message.objects.create(
            tenant=self.tenant,
            room=room,
            number=1,
            rev=1,
            author_id=UUID(self.cast.people[author].id),
            body="said before",
            nonce="before",
            created_at=now(),
        )

    def _invitation(self, inviter: str) -> Invitation:
        return Invitation.objects.create(
            tenant=self.tenant,
            inviter=self.seats[inviter],
            role="guest",
            digest=uuid4().hex,
            expires_at=now() + timedelta(days=1),
            max_uses=1,
        )


@dataclass(eq=False)
class Outcomes:
    """What each role gets, guest to owner. Tried when it is compared with what is expected."""

    stage: Stage
    act: Act
    place: Place
    found: dict[str, int] = field(default_factory=dict)

    def __eq__(self, expected: object) -> bool:
        assert isinstance(expected, tuple)
        by_role = dict(zip(ROLES, expected, strict=True))
        self.found = self.stage.compare(self.act, self.place, by_role)
        return all(status == by_role[role] for role, status in self.found.items())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{self.act.verb}: {self.found}, and no further"


def filled(value: Any, names: dict[str, str]) -> Any:
    """A text, or what stands in a body, with the ids in place of their names."""
    if isinstance(value, str):
        return functools.reduce(lambda text, name: text.replace(f"{{{name}}}", names[name]), names, value)
    if isinstance(value, dict):
        return {key: filled(each, names) for key, each in value.items()}
    return [filled(each, names) for each in value] if isinstance(value, list) else value
