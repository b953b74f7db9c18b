"""Who may do what to an organization, its seats and its invitations. Outcomes stand in the order of `ROLES`."""

import json
from typing import Any

import pytest

from tests.policy import ROLES, TOMORROW, Act, Outcomes, Place, Stage

#                         guest member moderator admin owner
NOBODY = (403, 403, 403, 403, 403)
ADMINS = (403, 403, 403, 200, 200)
OWNERS = (403, 403, 403, 403, 200)
EVERYONE = (200, 200, 200, 200, 200)


pytestmark = pytest.mark.once


@pytest.fixture
def stage(cast: Any) -> Stage:
    return Stage(cast)


# --- The organization ---


def test_everyone_with_a_seat_sees_the_organization(stage: Stage) -> None:
    assert stage.tried(Act("tenant.see", "GET", "")) == EVERYONE
    assert stage.ask("outsider", "GET", "").status_code == 404


def test_admins_rename_the_organization(stage: Stage) -> None:
    assert stage.tried(Act("tenant.change", "PATCH", "", {"name": "New"})) == ADMINS


def test_all_but_guests_see_what_each_role_may_do(stage: Stage) -> None:
    assert stage.tried(Act("role.see", "GET", "roles/")) == (403, 200, 200, 200, 200)


def test_admins_change_what_roles_below_theirs_may_do(stage: Stage) -> None:
    def change(role: str) -> Act:
        return Act("role.change", "PATCH", f"roles/{role}/", {"cells": {"room.create": "no"}}, f"role={role}")

    for role in ("guest", "member", "moderator"):
        assert stage.tried(change(role)) == ADMINS
    assert stage.tried(change("admin")) == OWNERS
    assert stage.tried(change("owner")) == NOBODY


# --- Seats ---


def test_guests_see_those_they_share_a_room_with_and_others_see_everyone(stage: Stage) -> None:
    see = Act("seat.see", "GET", "members/{other}/", about="target={other}")
    assert stage.tried(see, Place(met=False)) == (404, 200, 200, 200, 200)
    assert stage.tried(see, Place(met=True)) == EVERYONE
    see_myself = Act("seat.see", "GET", "members/{me}/", about="target={me}")
    assert stage.tried(see_myself, Place(met=False)) == EVERYONE


def test_the_list_of_members_shows_a_guest_only_those_they_share_a_room_with(stage: Stage) -> None:
    stage.give("guest", "guest")
    seen = json.loads(stage.ask("guest", "GET", "members/").content)["results"]
    names = {each["user"]["display_name"] for each in seen}
    assert names == {"Guest", "Moderator", "Member", "Both", "Suspended", "Expired"}
    assert len(json.loads(stage.ask("lurker", "GET", "members/").content)["results"]) == len(stage.seats)


def emails(stage: Stage, role: str, whose: str) -> bool:
    stage.give("lurker", role)
    person = json.loads(stage.ask("lurker", "GET", f"members/{stage.cast.people[whose].id}/").content)["user"]
    assert person.get("email") in (None, stage.cast.people[whose].email)
    return "email" in person


def test_addresses_are_for_admins_and_ones_own_for_oneself(stage: Stage) -> None:
    stage.meet("lurker", "both")
    assert [emails(stage, role, "both") for role in ROLES] == [False, False, False, True, True]
    assert [emails(stage, role, "lurker") for role in ROLES] == [True, True, True, True, True]
    for role, others in zip(ROLES, (False, False, False, True, True), strict=True):
        stage.give("lurker", role)
        assert stage.told(f"verb=seat.email.see&target={stage.cast.both.id}") is others
        assert stage.told(f"verb=seat.email.see&target={stage.cast.lurker.id}") is True


CHANGES = {
    "seat.suspend": ("PATCH", {"suspended": True}, 200),
    "seat.expire": ("PATCH", {"expires_at": TOMORROW}, 200),
    "seat.remove": ("DELETE", None, 204),
    "seat.change_role": ("PATCH", {"tenant_role": "guest"}, 200),
}


@pytest.mark.parametrize("verb", CHANGES)
def test_admins_act_on_seats_of_a_lower_rank_than_their_own(stage: Stage, verb: str) -> None:
    method, body, done = CHANGES[verb]
    act = Act(verb, method, "members/{other}/", body, about="target={other}&role=guest")
    for other in ("member", "moderator"):
        assert stage.tried(act, Place(other=other)) == (403, 403, 403, done, done), other
    assert stage.tried(act, Place(other="admin")) == (403, 403, 403, 403, done)
    assert stage.tried(act, Place(other="owner")) == NOBODY


@pytest.mark.parametrize("verb", CHANGES)
def test_nobody_acts_on_their_own_seat(stage: Stage, verb: str) -> None:
    method, body, _ = CHANGES[verb]
    assert stage.tried(Act(verb, method, "members/{me}/", body, about="target={me}&role=guest")) == NOBODY


def test_nobody_gives_a_role_above_their_own(stage: Stage) -> None:
    def give(role: str) -> Outcomes:
        about = f"target={{other}}&role={role}"
        return stage.tried(
            Act("seat.change_role", "PATCH", "members/{other}/", {"tenant_role": role}, about), Place(other="guest")
        )

    for role in ("member", "moderator", "admin"):
        assert give(role) == ADMINS
    assert give("owner") == OWNERS


def test_everyone_may_leave_but_the_last_owner(stage: Stage) -> None:
    leave = Act("seat.leave", "POST", "leave/", {})
    assert stage.tried(leave) == (204, 204, 204, 204, 204)
    assert stage.tried(leave, Place(only_owner=True)) == (204, 204, 204, 204, 403)


def test_owners_hand_their_seat_to_someone_below_them(stage: Stage) -> None:
    hand_on = Act("seat.transfer", "POST", "transfer/", {"user": "{other}"}, about="target={other}")
    assert stage.tried(hand_on, Place(other="guest")) == OWNERS
    assert stage.tried(hand_on, Place(other="admin")) == OWNERS
    assert stage.tried(hand_on, Place(other="owner")) == NOBODY


def test_everyone_asks_why_for_themselves_and_admins_for_those_below_them(stage: Stage) -> None:
    def ask(whom: str, place: Place) -> Outcomes:
        path = f"permissions/explain/?verb=room.create&user={{{whom}}}"
        return stage.tried(Act("permission.explain", "GET", path, about=f"target={{{whom}}}"), place)

    assert ask("me", Place()) == EVERYONE
    for other in ("guest", "moderator"):
        assert ask("other", Place(other=other)) == ADMINS
    assert ask("other", Place(other="admin")) == OWNERS
    assert ask("other", Place(other="owner")) == NOBODY


# --- Invitations ---


def test_moderators_and_above_invite_with_a_role_no_higher_than_their_own(stage: Stage) -> None:
    def invite(role: str) -> Outcomes:
        return stage.tried(
            Act("invitation.create", "POST", "invitations/", {"tenant_role": role}, about=f"role={role}")
        )

    for role in ("guest", "member", "moderator"):
        assert invite(role) == (403, 403, 201, 201, 201)
    assert invite("admin") == (403, 403, 403, 201, 201)
    assert invite("owner") == (403, 403, 403, 403, 201)


def test_admins_see_all_invitations_and_moderators_their_own(stage: Stage) -> None:
    def see(inviter: str, place: Place) -> Outcomes:
        return stage.tried(Act("invitation.see", "GET", "invitations/{invitation}/", about=f"target={inviter}"), place)

    assert see("{me}", Place(mine=True)) == (404, 404, 200, 200, 200)
    assert see("{other}", Place(mine=False)) == (404, 404, 404, 200, 200)


def test_admins_revoke_all_invitations_and_moderators_their_own(stage: Stage) -> None:
    def revoke(inviter: str, place: Place) -> Outcomes:
        act = Act("invitation.revoke", "DELETE", "invitations/{invitation}/", about=f"target={inviter}")
        return stage.tried(act, place)

    assert revoke("{me}", Place(mine=True)) == (404, 404, 204, 204, 204)
    assert revoke("{other}", Place(mine=False)) == (404, 404, 404, 204, 204)
