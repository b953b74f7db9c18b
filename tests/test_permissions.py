"""The table and its SQL twins agree: whatever the table lets see, the queries show, and nothing else."""

import itertools
from typing import Any
from uuid import UUID

from chat.models import Message, Room, RoomMember
from chat.queries import messages_seen_by, rooms_seen_by
from tenants.access import actor_of
from tenants.models import Membership, Tenant
from tenants.permissions import TABLE, Facts, Verb, allows, explain
from tenants.roles import BUILTIN, RoomKind, TenantRole


def facts_by_hand(room: Room, seat: UUID) -> Facts:
    """Loaded with single-row look-ups only, sharing nothing with `chat.queries`."""
    member = next((each for each in RoomMember.objects.all() if each.room_id == room.pk and each.seat_id == seat), None)
    return Facts(kind=RoomKind(room.kind), room_role=None if member is None else member.role)  # type: ignore[arg-type]


def test_the_room_list_shows_what_the_table_lets_see(cast: Any) -> None:
    acme = Tenant.objects.get(slug="acme")
    outcomes = set()
    for role, name in itertools.product(TenantRole, ("member", "both", "lurker", "guest", "moderator")):
        Membership.objects.filter(tenant=acme, user_id=cast.people[name].id).update(role=role)
        actor = actor_of(UUID(cast.people[name].id), "acme")
        shown = set(rooms_seen_by(actor).values_list("pk", flat=True))
        for room in Room.objects.all():
            by_table = room.tenant_id == acme.pk and allows(
                BUILTIN[role], Verb.ROOM_SEE, facts_by_hand(room, actor.seat)
            )
            assert (room.pk in shown) == by_table, (role, name, room.kind)
            outcomes.add((role, by_table))
    assert len(outcomes) == 2 * len(TenantRole)


def test_the_messages_shown_are_those_the_table_lets_see(cast: Any) -> None:
    outcomes = set()
    for name, role in itertools.product(("member", "lurker", "guest", "owner"), TenantRole):
        Membership.objects.filter(tenant__slug="acme", user_id=cast.people[name].id).update(role=role)
        actor = actor_of(UUID(cast.people[name].id), "acme")
        shown = set(messages_seen_by(actor).values_list("pk", flat=True))
        for message in Message.objects.select_related("room"):
            facts = facts_by_hand(message.room, actor.seat)
            by_table = message.tenant_id == actor.tenant and allows(BUILTIN[role], Verb.MESSAGE_SEE, facts)
            assert (message.pk in shown) == by_table
            outcomes.add(by_table)
    assert outcomes == {True, False}


def test_every_verb_has_a_cell_for_every_role_and_every_rule_says_what_it_wants() -> None:
    assert set(TABLE) == set(Verb)
    for verb, cells in TABLE.items():
        assert len(cells) == len(TenantRole)
        for role, rule in zip(TenantRole, cells, strict=True):
            assert rule.__doc__
            assert explain(BUILTIN[role], verb, Facts()).allowed == rule(BUILTIN[role], Facts())


def test_nobody_acts_on_an_equal_or_higher_rank() -> None:
    for verb in (Verb.SEAT_CHANGE_ROLE, Verb.SEAT_SUSPEND, Verb.SEAT_EXPIRE, Verb.SEAT_REMOVE):
        for role, target in itertools.product(BUILTIN.values(), BUILTIN.values()):
            may = allows(role, verb, Facts(target=target))
            assert not may or target.rank < role.rank
    assert allows(BUILTIN["admin"], Verb.SEAT_REMOVE, Facts(target=BUILTIN["moderator"]))
