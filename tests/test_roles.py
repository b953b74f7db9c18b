"""Roles of an organization's own and the cells it changes: what comes of them, and what nobody may do with them."""

import itertools
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction

from tenants.access import actor_of
from tenants.covering import implies, lacking
from tenants.models import Cell, CustomRole, Membership, Tenant
from tenants.permissions import FIXED, OPTIONS, TABLE, Verb, below, grants, inside, no, runs, yes
from tenants.roles import BUILTIN
from tests.callers import Caller
from tests.cast import Cast

KEEPER = {"name": "keeper", "rank": 35, "base": "member", "cells": {"tenant.change": "yes"}}
"""Below admins, and may call the organization something else."""


@pytest.fixture
def by(cast: Cast) -> Any:
    class By:
        def __getattr__(self, name: str) -> Caller:
            return Caller(cast.people[name], "globex" if name.startswith("globex") else "acme")

    return By()


def cells(by: Any, role: str, who: str = "owner") -> dict[str, str]:
    found = {each["name"]: each for each in getattr(by, who).get("roles/")["roles"]}
    rules: dict[str, str] = found[role]["cells"]
    return rules


def why(caller: Caller, verb: str) -> tuple[bool, str, str]:
    found = caller.get(f"permissions/explain/?verb={verb}")
    return found["allowed"], found["rule"], found["source"]


# What a change does.


def test_a_changed_cell_counts_at_once_says_where_it_is_from_and_can_be_taken_back(by: Any) -> None:
    room = {"name": "Mine"}
    by.member.post("rooms/", room, 201)
    assert why(by.member, "room.create") == (True, "yes", "default")
    told = by.owner.patch("roles/member/", {"cells": {"room.create": "no"}})
    assert told["cells"]["room.create"] == "no" and told["changed"] == ["room.create"]
    assert by.member.refused("POST", "rooms/", room) == (403, "forbidden")
    assert why(by.member, "room.create") == (False, "no", "organization")
    by.moderator.post("rooms/", room, 201)
    by.owner.patch("roles/member/", {"cells": {"room.create": None}})
    by.member.post("rooms/", room, 201)
    assert why(by.member, "room.create") == (True, "yes", "default")
    assert not Cell.objects.exists()


def test_a_changed_cell_counts_for_messages_by_rest(by: Any, cast: Cast) -> None:
    den = cast.rooms["den"]
    by.member.say(den)
    by.owner.patch("roles/member/", {"cells": {"message.send": "no"}})
    assert by.member.refused("POST", f"rooms/{den}/messages/", {"body": "no", "nonce": "n"}) == (403, "forbidden")
    by.moderator.say(den)


def test_the_versions_of_the_matrix_rise_and_other_organizations_keep_theirs(by: Any) -> None:
    versions = [by.owner.get("roles/")["version"]]
    for rule in ("no", "yes", None):
        by.owner.patch("roles/member/", {"cells": {"room.create": rule}})
        versions.append(by.owner.get("roles/")["version"])
    assert versions[0] == 0 and sorted(set(versions)) == versions
    by.owner.patch("roles/member/", {"cells": {"room.create": "no"}})
    assert by.globex_owner.get("roles/")["version"] == 0
    assert why(by.globex_member, "room.create") == (True, "yes", "default")


def test_a_role_of_its_own_sees_what_its_base_sees_and_may_what_its_cells_say(by: Any, cast: Cast) -> None:
    made = by.owner.post("roles/", KEEPER, 201)
    assert (made["name"], made["rank"], made["base"], made["builtin"]) == ("keeper", 35, "member", False)
    assert made["cells"]["tenant.change"] == "yes" and made["cells"]["room.see"] == "visible"
    assert [role["rank"] for role in by.member.get("roles/")["roles"]] == [10, 20, 30, 35, 40, 50]
    before = {room["id"] for room in by.lurker.get("rooms/")["results"]}
    changed = by.owner.patch(f"members/{cast.lurker.id}/", {"tenant_role": "keeper"})
    assert changed["tenant_role"] == "keeper"
    assert {room["id"] for room in by.lurker.get("rooms/")["results"]} == before
    by.lurker.patch("", {"name": "Acme & Sons"})
    assert by.lurker.get("")["tenant_role"] == "keeper"
    assert why(by.lurker, "tenant.change") == (True, "yes", "organization")
    assert [each["user"]["id"] for each in by.owner.get("members/?role=keeper")["results"]] == [cast.lurker.id]
    assert by.owner.refused("GET", "members/?role=keepers") == (400, "invalid")


def test_a_change_of_the_base_reaches_the_roles_on_it_that_have_no_rule_of_their_own(by: Any) -> None:
    by.owner.post("roles/", KEEPER, 201)
    by.owner.post("roles/", {"name": "helper", "rank": 21, "base": "member", "cells": {"room.create": "yes"}}, 201)
    by.owner.patch("roles/member/", {"cells": {"room.create": "no"}})
    assert cells(by, "keeper")["room.create"] == "no"
    assert cells(by, "helper")["room.create"] == "yes"
    assert cells(by, "moderator")["room.create"] == "yes"
    by.owner.patch("roles/keeper/", {"cells": {"room.create": "no"}})
    by.owner.patch("roles/member/", {"cells": {"room.create": None}})
    assert cells(by, "keeper")["room.create"] == "no", "chosen for itself, though it was the same just then"


def test_an_invitation_gives_a_role_of_the_organizations_own(by: Any) -> None:
    by.owner.post("roles/", KEEPER, 201)
    link = by.owner.post("invitations/", {"tenant_role": "keeper"}, 201)
    assert link["tenant_role"] == "keeper"
    accepted = by.outsider.post(f"/api/v1/invitations/{link['token']}/accept/")
    assert accepted["tenant_role"] == "keeper"
    assert by.owner.refused("POST", "invitations/", {"tenant_role": "chief"}) == (400, "invalid")


def test_ranks_between_the_built_in_ones_decide_who_acts_on_whom(by: Any, cast: Cast) -> None:
    by.owner.post("roles/", {"name": "chief", "rank": 45, "base": "admin"}, 201)
    by.owner.patch(f"members/{cast.lurker.id}/", {"tenant_role": "chief"})
    assert by.admin.refused("PATCH", f"members/{cast.lurker.id}/", {"suspended": True}) == (403, "forbidden")
    by.lurker.patch(f"members/{cast.admin.id}/", {"tenant_role": "member"})
    assert by.lurker.refused("PATCH", f"members/{cast.owner.id}/", {"suspended": True}) == (403, "forbidden")
    by.owner.patch(f"members/{cast.lurker.id}/", {"tenant_role": "member"})


def test_a_role_goes_once_nobody_has_it_and_nothing_gives_it(by: Any, cast: Cast) -> None:
    by.owner.post("roles/", KEEPER, 201)
    by.owner.patch(f"members/{cast.lurker.id}/", {"tenant_role": "keeper"})
    assert by.owner.refused("DELETE", "roles/keeper/") == (409, "conflict")
    by.owner.patch(f"members/{cast.lurker.id}/", {"tenant_role": "member"})
    link = by.owner.post("invitations/", {"tenant_role": "keeper"}, 201)
    assert by.owner.refused("DELETE", "roles/keeper/") == (409, "conflict")
    by.owner.delete(f"invitations/{link['id']}/")
    by.owner.delete("roles/keeper/")
    assert by.owner.refused("PATCH", "roles/keeper/", {"cells": {}}) == (404, "not_found")
    by.owner.post("roles/", {**KEEPER, "cells": {}}, 201)
    assert cells(by, "keeper")["tenant.change"] == "no", "nothing of the old one is left"


# What nobody may do.


@pytest.mark.parametrize(
    ("who", "role", "change"),
    [
        ("owner", "owner", {"room.create": "no"}),
        ("admin", "owner", {"room.create": "no"}),
        ("admin", "admin", {"room.create": "no"}),
        ("moderator", "member", {"room.create": "no"}),
        ("member", "member", {"room.create": "no"}),
        ("guest", "guest", {"room.create": "yes"}),
    ],
)
def test_nobody_changes_a_role_at_or_above_their_own_rank(by: Any, who: str, role: str, change: Any) -> None:
    assert getattr(by, who).refused("PATCH", f"roles/{role}/", {"cells": change}) == (403, "forbidden")
    assert not Cell.objects.exists()


def test_admins_change_what_is_below_them(by: Any) -> None:
    by.admin.patch("roles/moderator/", {"cells": {"invitation.create": "no"}})
    assert by.moderator.refused("POST", "invitations/", {"tenant_role": "guest"}) == (403, "forbidden")
    by.admin.post("roles/", {"name": "helper", "rank": 39, "base": "moderator"}, 201)
    for rank in (40, 41):
        body = {"name": "rival", "rank": rank, "base": "guest"}
        assert by.admin.refused("POST", "roles/", body) == (403, "forbidden")


def test_nobody_gives_a_role_what_they_lack_themselves(by: Any) -> None:
    by.owner.patch("roles/admin/", {"cells": {"tenant.change": "no", "invitation.create": "no"}})
    for change in ({"tenant.change": "yes"}, {"tenant.change": "yes", "room.create": "no"}):
        assert by.admin.refused("PATCH", "roles/moderator/", {"cells": change}) == (403, "forbidden")
    assert by.admin.refused("POST", "roles/", KEEPER) == (403, "forbidden")
    assert not CustomRole.objects.exists()
    by.admin.patch("roles/moderator/", {"cells": {"invitation.create": "no"}})
    assert by.admin.refused("PATCH", "roles/moderator/", {"cells": {"invitation.create": None}}) == (403, "forbidden")
    assert cells(by, "moderator")["invitation.create"] == "no", "taking it away was theirs, giving it back is not"
    by.owner.patch("roles/moderator/", {"cells": {"invitation.create": None}})


def test_nobody_gives_anyone_a_role_that_may_do_what_they_may_not(by: Any, cast: Cast) -> None:
    by.owner.post("roles/", KEEPER, 201)
    by.admin.patch(f"members/{cast.lurker.id}/", {"tenant_role": "keeper"})
    by.admin.patch(f"members/{cast.lurker.id}/", {"tenant_role": "member"})
    link = by.admin.post("invitations/", {"tenant_role": "keeper"}, 201)
    by.owner.patch("roles/admin/", {"cells": {"tenant.change": "no"}})
    for method, path, body in (
        ("PATCH", f"members/{cast.lurker.id}/", {"tenant_role": "keeper"}),
        ("POST", "invitations/", {"tenant_role": "keeper"}),
    ):
        assert by.admin.refused(method, path, body) == (403, "forbidden")
    assert by.outsider.refused("POST", f"/api/v1/invitations/{link['token']}/accept/") == (404, "not_found")
    assert by.admin.get("permissions/explain/?verb=invitation.create&role=keeper")["allowed"] is False
    by.owner.patch(f"members/{cast.lurker.id}/", {"tenant_role": "keeper"})


def test_a_change_reaches_no_role_above_through_its_base(by: Any) -> None:
    by.owner.post("roles/", {"name": "chief", "rank": 45, "base": "member"}, 201)
    change = {"cells": {"room.create": "no"}}
    assert by.admin.refused("PATCH", "roles/member/", change) == (403, "forbidden")
    by.owner.patch("roles/chief/", {"cells": {"room.create": "yes"}})
    by.admin.patch("roles/member/", change)
    assert cells(by, "chief")["room.create"] == "yes" and cells(by, "member")["room.create"] == "no"


def test_sight_leaving_and_handing_on_are_the_same_everywhere(by: Any) -> None:
    assert {*FIXED} >= {Verb.ROOM_SEE, Verb.MESSAGE_SEE, Verb.SEAT_SEE, Verb.SEAT_LEAVE, Verb.SEAT_TRANSFER}
    for verb in FIXED:
        for rule in ("yes", "no", None):
            assert by.owner.refused("PATCH", "roles/guest/", {"cells": {verb: rule}}) == (400, "invalid")
    options = by.owner.get("roles/")["options"]
    assert {verb for verb, rules in options.items() if not rules} == set(FIXED)


@pytest.mark.parametrize(
    "body",
    [
        {**KEEPER, "name": "admin_"},
        {**KEEPER, "name": "Keeper"},
        {**KEEPER, "name": "9lives"},
        {**KEEPER, "rank": 0},
        {**KEEPER, "rank": 50},
        {**KEEPER, "base": "owner"},
        {**KEEPER, "cells": {"fly": "yes"}},
        {**KEEPER, "cells": {"tenant.change": "below"}},
        {**KEEPER, "cells": {"tenant.change": "maybe"}},
    ],
)
def test_a_role_that_can_not_be_is_refused_with_the_reason(by: Any, body: Any) -> None:
    assert by.owner.refused("POST", "roles/", body) == (400, "invalid")
    assert not CustomRole.objects.exists() and not Cell.objects.exists()


def test_built_in_roles_stay_and_names_are_taken_once(by: Any) -> None:
    assert by.owner.refused("DELETE", "roles/member/") == (409, "conflict")
    for name in ("member", "owner"):
        assert by.owner.refused("POST", "roles/", {**KEEPER, "name": name}) == (409, "conflict")
    by.owner.post("roles/", KEEPER, 201)
    assert by.owner.refused("POST", "roles/", KEEPER) == (409, "conflict")
    assert by.owner.refused("PATCH", "roles/nobody/", {"cells": {}}) == (404, "not_found")


def test_other_organizations_neither_see_nor_touch_them(by: Any) -> None:
    by.owner.post("roles/", KEEPER, 201)
    assert "keeper" not in {role["name"] for role in by.globex_owner.get("roles/")["roles"]}
    assert by.globex_owner.refused("PATCH", "roles/keeper/", {"cells": {}}) == (404, "not_found")
    assert by.globex_owner.refused("DELETE", "roles/keeper/") == (404, "not_found")
    assert by.globex_owner.refused("GET", "/api/v1/tenants/acme/roles/") == (404, "no_seat")
    by.globex_owner.post("roles/", {**KEEPER, "cells": {}}, 201)
    assert (
        cells(by, "keeper", "globex_owner")["tenant.change"] == "no" and cells(by, "keeper")["tenant.change"] == "yes"
    )


def test_a_repeated_creation_by_the_same_key_makes_one_role(by: Any) -> None:
    first = by.owner.post("roles/", KEEPER, 201, **{"Idempotency-Key": "k"})
    assert by.owner.post("roles/", KEEPER, 201, **{"Idempotency-Key": "k"}) == first
    assert CustomRole.objects.count() == 1


def test_what_was_rolled_back_is_remembered_by_nobody(cast: Cast) -> None:
    """Also not where it was read, under its version, before it was rolled back."""
    acme = Tenant.objects.get(slug="acme")
    member = UUID(cast.member.id)

    def change(rule: str) -> str:
        Cell.objects.update_or_create(tenant=acme, role="member", verb="room.create", defaults={"rule": rule})
        caller = Caller(cast.owner)
        caller.patch("roles/member/", {"cells": {"room.archive": "no"}})
        return dict(actor_of(member, "acme").role.changed)["room.create"]

    with transaction.atomic():
        assert change("no") == "no"
        transaction.set_rollback(True)
    assert change("yes") == "yes"


def test_a_role_that_there_is_no_more_gives_what_a_guest_is_given(cast: Cast) -> None:
    Membership.objects.filter(user=cast.owner.id, tenant__slug="acme").update(role="ghost")
    assert actor_of(UUID(cast.owner.id), "acme").role == BUILTIN["guest"]
    assert Caller(cast.owner).refused("POST", "rooms/", {"name": "Mine"}) == (403, "forbidden")


# What covers what.


def test_each_built_in_role_may_do_all_that_those_below_it_may() -> None:
    for lower, higher in itertools.combinations(BUILTIN.values(), 2):
        assert lacking(higher, lower) == []
        assert lacking(lower, higher) != []


def test_implication_is_about_what_rules_decide() -> None:
    member, admin, owner = BUILTIN["member"], BUILTIN["admin"], BUILTIN["owner"]
    assert implies(no, owner, no, member) and implies(no, owner, inside, member)
    assert implies(runs, owner, inside, member) and not implies(inside, member, runs, owner)
    assert implies(below, member, below, admin) and not implies(below, owner, below, admin)
    assert implies(grants, member, grants, admin) and not implies(grants, admin, grants, member)
    assert not implies(yes, member, below, owner)


def test_every_option_is_a_rule_of_the_verbs_own_row_or_never() -> None:
    for verb, options in OPTIONS.items():
        assert set(options.values()) <= {no, *TABLE[verb]}
        assert all(rule.__name__ == name for name, rule in options.items())
