"""An organization's own roles, and the cells of the table that it changes. Nobody gives what they lack."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from core.db import transactional
from core.errors import Conflict, Forbidden, Invalid, NotFound
from tenants import hooks
from tenants.access import reread
from tenants.actor import Actor
from tenants.covering import implies, lacking
from tenants.locks import lock_tenant, share_seats
from tenants.models import Cell, CustomRole, Invitation, Membership, Tenant
from tenants.permissions import FIXED, OPTIONS, Facts, Verb, require, rule_for
from tenants.policy import cells_of, composed, roles_of
from tenants.roles import BUILTIN, RANKS, Policy, Role, TenantRole

MOST_ROLES = 50
_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")

Cells = Mapping[str, str | None]
"""By verb the name of a rule; None: the rule of the base, or of the table."""


@dataclass(frozen=True, slots=True)
class _Turn:
    """The organization locked, and who acts there as of now. Everything is judged before anything is written."""

    actor: Actor
    tenant: Tenant

    def policy_with(self, role: str, cells: Cells, *made: Role) -> Policy:
        """What would be if these cells were chosen for the role."""
        now = cells_of(self.tenant.pk)
        chosen = {verb: rule for verb, rule in {**now.get(role, {}), **cells}.items() if rule}
        return composed(self.tenant.pk, 0, [*roles_of(self.tenant.pk), *made], {**now, role: chosen})

    def write(self, role: str, cells: Cells) -> None:
        Cell.objects.filter(tenant=self.tenant, role=role, verb__in=cells).delete()
        chosen = [(verb, rule) for verb, rule in cells.items() if rule]
        Cell.objects.bulk_create(Cell(tenant=self.tenant, role=role, verb=verb, rule=rule) for verb, rule in chosen)
        self.close()

    def close(self) -> None:
        """The next version: from its commit on, everybody is judged by it."""
        self.tenant.policy_version = max(self.tenant.policy_version + 1, time.time_ns() // 1000)
        self.tenant.save(update_fields=["policy_version"])
        for hook in hooks.policy_changed:
            hook(self.tenant.pk)


def _begin(actor: Actor) -> _Turn:
    tenant = lock_tenant(actor.tenant)
    share_seats([actor.seat])
    return _Turn(reread(actor), tenant)


@transactional
def create_role(actor: Actor, *, name: str, rank: int, base: TenantRole, cells: Cells) -> CustomRole:
    """A role below one's own rank that may do nothing one may not. Its name, rank and base stay."""
    _check_name(name)
    _check(rank in RANKS, "rank", f"{RANKS[0]} to {RANKS[-1]}.")
    _check(base is not TenantRole.OWNER, "base", "Any role but the owner's.")
    _check_cells(cells)
    turn = _begin(actor)
    bare = Role(name, rank, base)
    require(turn.actor.role, Verb.ROLE_CHANGE, Facts(target=bare))
    if name in turn.actor.policy.roles:
        raise Conflict("There is a role of this name.", errors={"name": ["There is a role of this name."]})
    if len(turn.actor.policy.roles) - len(BUILTIN) >= MOST_ROLES:
        raise Conflict(f"An organization has {MOST_ROLES} roles of its own at most.")
    made = turn.policy_with(name, cells, bare).role(name)
    if missing := lacking(turn.actor.role, made):
        raise Forbidden(_exceeds(made, missing))
    row = CustomRole.objects.create(tenant=turn.tenant, name=name, rank=rank, base=base)
    turn.write(name, cells)
    return row


@transactional
def change_cells(actor: Actor, name: str, cells: Cells) -> Role:
    """Change what a role may do, in all its seats at once. Roles that are based on it follow where they have no rule
    of their own."""
    _check_cells(cells)
    turn = _begin(actor)
    before = turn.actor.policy
    _require_change(turn.actor, name)
    now = cells_of(turn.tenant.pk).get(name, {})
    if all(now.get(verb) == rule for verb, rule in cells.items()):
        return before.role(name)
    after = turn.policy_with(name, cells)
    for role in after.roles.values():
        _judge(turn.actor, before.role(role.name), role)
    turn.write(name, cells)
    return after.role(name)


@transactional
def delete_role(actor: Actor, name: str) -> None:
    """Only a role of the organization's own that nobody has, and no standing invitation gives."""
    turn = _begin(actor)
    role = _require_change(turn.actor, name)
    if role.builtin:
        raise Conflict("Every organization has this role.")
    seats = Membership.objects.filter(tenant=turn.tenant, role=name).count()
    if seats:
        raise Conflict(f"{seats} people have this role. Give them another one first.")
    if Invitation.objects.filter(tenant=turn.tenant, role=name, revoked_at=None).exists():
        raise Conflict("Invitations give this role. Revoke them first.")
    Cell.objects.filter(tenant=turn.tenant, role=name).delete()
    CustomRole.objects.filter(tenant=turn.tenant, name=name).delete()
    turn.close()


def _require_change(actor: Actor, name: str) -> Role:
    role = actor.policy.roles.get(name)
    if role is None:
        raise NotFound("No such role.")
    require(actor.role, Verb.ROLE_CHANGE, Facts(target=role))
    return role


def _judge(actor: Actor, before: Role, after: Role) -> None:
    """What a change does to one role: none at or above one's own rank, and nothing that one lacks oneself."""
    if before == after:
        return
    if after.rank >= actor.role.rank:
        raise Forbidden(f"That would change {after}, too, whose rank is not below yours.")
    wider = [verb for verb in Verb if not implies(rule_for(after, verb), after, rule_for(before, verb), before)]
    if missing := sorted(set(wider) & set(lacking(actor.role, after))):
        raise Forbidden(_exceeds(after, missing))


def _exceeds(role: Role, missing: list[Verb]) -> str:
    return f"With that, {role} could do what your own role may not: {', '.join(missing)}."


def _check_name(name: str) -> None:
    words = "1 to 20 small letters and digits, with single hyphens or underscores between them."
    _check(len(name) <= 20 and bool(_NAME.fullmatch(name)), "name", words)


def _check_cells(cells: Cells) -> None:
    for verb, rule in cells.items():
        _check(verb in set(Verb), "cells", f"{verb}: no such verb.")
        _check(verb not in FIXED, "cells", f"{verb}: the same in every organization.")
        options = OPTIONS[Verb(verb)]
        _check(rule is None or rule in options, "cells", f"{verb}: one of {', '.join(sorted(options))}, or null.")


def _check(holds: bool, field: str, reason: str) -> None:
    if not holds:
        raise Invalid(f"{field}: {reason}", errors={field: [reason]})
