"""Messages that are sent together: each judged for itself, good ones numbered without gaps, bad ones alone refused."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import OperationalError

from chat import writer
from chat.models import Message, Room, RoomMember
from chat.services.members import add_member, join_room, remove_member
from chat.services.messages import delete_message, drafted, edit_message, send_message
from chat.services.rooms import archive_room, change_room, create_room
from chat.writer import Draft, Sent
from core.errors import Conflict, Forbidden, NoSeat, NotFound, Unavailable
from tenants.access import actor_of
from tenants.actor import Actor
from tenants.models import Membership
from tenants.roles import History, Posting, RoomKind, RoomRole


def actor(cast: Any, name: str, slug: str = "acme") -> Actor:
    return actor_of(UUID(cast.people[name].id), slug)


def draft(who: Actor, room: Any, body: str = "hello", nonce: str = "", reply_to: UUID | None = None) -> Draft:
    return drafted(who, room=UUID(str(room)), body=body, nonce=nonce or uuid4().hex, reply_to=reply_to)


def commit(*drafts: Draft) -> list[Any]:
    return writer.commit(drafts)


def told(outcomes: Sequence[Any]) -> list[Any]:
    """Of each: its number, or the kind of its refusal."""
    return [each.message.number if isinstance(each, Sent) else type(each) for each in outcomes]


@pytest.fixture
def room(cast: Any) -> Any:
    """A new private room of the owner with the member in it."""
    made = create_room(actor(cast, "owner"), name="Together")
    add_member(actor(cast, "owner"), room=made.pk, user=UUID(cast.member.id))
    return made.pk


def test_good_ones_are_numbered_in_their_order_and_bad_ones_among_them_take_nothing(cast: Any, room: UUID) -> None:
    owner, member, lurker = (actor(cast, name) for name in ("owner", "member", "lurker"))
    outcomes = commit(
        draft(owner, room),
        draft(lurker, room),
        draft(member, room),
        draft(member, uuid4()),
        draft(owner, room, reply_to=uuid4()),
        draft(owner, room),
    )
    assert told(outcomes) == [1, NotFound, 2, NotFound, NotFound, 3]
    found = Room.objects.get(pk=room)
    assert (found.number, found.rev) == (3, outcomes[-1].message.rev)
    rows = list(Message.objects.filter(room=room).order_by("number").values_list("number", "author"))
    assert rows == [(1, owner.user), (2, member.user), (3, owner.user)]


def test_one_batch_writes_to_several_rooms_each_with_its_own_numbers(cast: Any, room: UUID) -> None:
    owner = actor(cast, "owner")
    other = create_room(owner, name="Another").pk
    outcomes = commit(draft(owner, room), draft(owner, other), draft(owner, room), draft(owner, other))
    assert told(outcomes) == [1, 1, 2, 2]


def test_the_same_nonce_twice_in_one_batch_makes_one_message(cast: Any, room: UUID) -> None:
    owner, member = actor(cast, "owner"), actor(cast, "member")
    first, again, others = commit(
        draft(owner, room, "once", nonce="n"), draft(owner, room, "twice", nonce="n"), draft(member, room, nonce="n")
    )
    assert again.message.id == first.message.id and again.message.body == "once"
    assert (first.new, again.new, others.new) == (True, False, True)
    assert told([first, again, others]) == [1, 1, 2], "a nonce is its author's own"
    assert Message.objects.filter(room=room).count() == 2


def test_a_nonce_of_before_answers_the_message_as_it_is_now_and_takes_no_number(cast: Any, room: UUID) -> None:
    owner = actor(cast, "owner")
    sent = send_message(owner, room=room, body="as it was", nonce="n")
    edit_message(owner, message=UUID(sent.message.id), body="as it is")
    again, new = commit(draft(owner, room, "as it was", nonce="n"), draft(owner, room))
    assert (again.new, again.message.body, again.message.id) == (False, "as it is", sent.message.id)
    assert told([again, new]) == [1, 2]


def test_a_nonce_is_of_its_room(cast: Any, room: UUID) -> None:
    owner = actor(cast, "owner")
    other = create_room(owner, name="Another").pk
    assert [each.new for each in commit(draft(owner, room, nonce="n"), draft(owner, other, nonce="n"))] == [True, True]


def test_a_nonce_from_before_one_left_is_no_way_to_read_what_one_may_not_see(cast: Any) -> None:
    owner, member = actor(cast, "owner"), actor(cast, "member")
    made = create_room(owner, name="Since join", history=History.SINCE_JOIN).pk
    add_member(owner, room=made, user=member.user)
    send_message(member, room=made, body="before", nonce="n")
    remove_member(owner, room=made, user=member.user)
    assert told(commit(draft(member, made, nonce="n"))) == [NotFound]
    add_member(owner, room=made, user=member.user)
    assert told(commit(draft(member, made, nonce="n"))) == [Conflict]
    assert isinstance(commit(draft(member, made, nonce="m"))[0], Sent)


def test_an_unseen_room_a_foreign_one_and_one_that_never_was_are_refused_in_the_same_words(cast: Any) -> None:
    lurker = actor(cast, "lurker")
    outcomes = commit(*(draft(lurker, each) for each in (cast.rooms["vault"], cast.rooms["lab"], uuid4())))
    assert told(outcomes) == [NotFound] * 3
    assert len({str(each) for each in outcomes}) == 1


def test_an_open_room_must_be_joined_first(cast: Any) -> None:
    owner, lurker = actor(cast, "owner"), actor(cast, "lurker")
    made = create_room(owner, name="Open", kind=RoomKind.OPEN).pk
    assert told(commit(draft(lurker, made), draft(owner, made))) == [Forbidden, 1]
    join_room(lurker, room=made)
    assert isinstance(commit(draft(lurker, made))[0], Sent)


def test_who_lost_the_seat_while_waiting_is_refused_and_the_others_are_not(cast: Any, room: UUID) -> None:
    owner, member = actor(cast, "owner"), actor(cast, "member")
    waiting = [draft(member, room), draft(owner, room)]
    Membership.objects.filter(pk=member.seat).delete()
    assert told(commit(*waiting)) == [NoSeat, 1]


def test_who_was_removed_while_waiting_is_refused(cast: Any, room: UUID) -> None:
    owner, member = actor(cast, "owner"), actor(cast, "member")
    waiting = [draft(member, room), draft(owner, room)]
    before = Room.objects.get(pk=room).number
    remove_member(owner, room=room, user=member.user)
    refused, sent = commit(*waiting)
    assert isinstance(refused, NotFound)
    assert sent.message.number == before + 1


def test_a_reply_needs_a_message_of_the_same_room_that_one_may_see(cast: Any) -> None:
    owner, member, lurker = (actor(cast, name) for name in ("owner", "member", "lurker"))
    made = create_room(owner, name="Since join", history=History.SINCE_JOIN).pk
    add_member(owner, room=made, user=member.user)
    old = UUID(send_message(member, room=made, body="old", nonce="old").message.id)
    add_member(owner, room=made, user=lurker.user)
    elsewhere = UUID(cast.messages["den_member"])
    outcomes = commit(
        draft(lurker, made, reply_to=old), draft(member, made, reply_to=old), draft(member, made, reply_to=elsewhere)
    )
    assert [type(each) for each in outcomes] == [NotFound, Sent, NotFound]
    assert outcomes[1].message.reply_to == str(old)


def test_readers_and_where_only_moderators_post_everyone_else_are_refused(cast: Any, room: UUID) -> None:
    owner, member, lurker = (actor(cast, name) for name in ("owner", "member", "lurker"))
    add_member(owner, room=room, user=lurker.user, room_role=RoomRole.READER)
    assert [type(each) for each in commit(draft(lurker, room), draft(member, room))] == [Forbidden, Sent]
    change_room(owner, room=room, posting=Posting.MODERATORS)
    assert [type(each) for each in commit(draft(member, room), draft(owner, room))] == [Forbidden, Sent]


def test_nothing_more_is_said_in_an_archive(cast: Any, room: UUID) -> None:
    owner = actor(cast, "owner")
    sent = send_message(owner, room=room, body="before", nonce="n")
    archive_room(owner, room=room)
    again, new = commit(draft(owner, room, nonce="n"), draft(owner, room))
    assert again == Sent(sent.message, new=False), "what was said is answered"
    assert isinstance(new, Forbidden)


def test_what_one_writes_one_has_read(cast: Any, room: UUID) -> None:
    owner, member = actor(cast, "owner"), actor(cast, "member")
    commit(draft(member, room), draft(owner, room), draft(member, room), draft(owner, room))
    read = dict(RoomMember.objects.filter(room=room).values_list("seat", "read_number"))
    assert (read[member.seat], read[owner.seat]) == (3, 4)


def test_a_deleted_message_is_still_answered_to_its_nonce(cast: Any, room: UUID) -> None:
    owner = actor(cast, "owner")
    sent = send_message(owner, room=room, body="gone", nonce="n")
    delete_message(owner, message=UUID(sent.message.id))
    (again,) = commit(draft(owner, room, "gone", nonce="n"))
    assert again.message.deleted_at is not None and again.message.body == ""


def test_a_batch_that_fails_falls_apart_and_only_the_broken_one_is_refused(
    cast: Any, room: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, whole, sizes = actor(cast, "owner"), writer.commit, list[int]()

    def breaks(drafts: Sequence[Draft]) -> list[Any]:
        sizes.append(len(drafts))
        if any(each.body == "broken" for each in drafts):
            raise ZeroDivisionError
        return whole(drafts)

    monkeypatch.setattr(writer, "commit", breaks)
    outcomes = writer._work([draft(owner, room, body) for body in ("one", "broken", "two")])
    assert told(outcomes) == [1, ZeroDivisionError, 2]
    assert sizes == [3, 1, 1, 1]


def test_without_the_database_nothing_is_tried_alone(cast: Any, room: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def away(drafts: Sequence[Draft]) -> list[Any]:
        tries.append(len(drafts))
        raise Unavailable(retry_after=1) from OperationalError()

    monkeypatch.setattr(writer, "commit", away)
    with pytest.raises(Unavailable):
        writer._work([draft(actor(cast, "owner"), room) for _ in range(3)])
    assert tries == [3]
