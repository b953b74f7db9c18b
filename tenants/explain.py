"""Why may someone do something, or not: gathers what the table asks, as the asker may see it."""

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

from tenants import permissions
from tenants.access import actor_from
from tenants.actor import Actor
from tenants.covering import giving
from tenants.invitations import why_not
from tenants.models import Membership
from tenants.permissions import Explanation, Facts, Verb, require
from tenants.queries import last_owner, member_seen_by, shares_with
from tenants.roles import Role, TenantRole
from tenants.services import about, role_named

RoomFacts = Callable[[Actor, Actor, UUID | None, UUID | None, Facts], Facts]

room_facts: list[RoomFacts] = []
"""`(asker, subject, room, message, facts)` → those facts with what the subject is in the room.

Finds room and message through the asker and raises `NotFound` where they see none.
"""


def explain(
    asker: Actor,
    verb: Verb,
    *,
    user: UUID | None = None,
    target: UUID | None = None,
    grant: str | None = None,
    room: UUID | None = None,
    message: UUID | None = None,
) -> Explanation:
    """Whether `user`, the asker by default, may do this to `target` or in this room. Of others: of lower seats only."""
    seat = member_seen_by(asker, asker.user if user is None else user)
    require(asker.role, Verb.PERMISSION_EXPLAIN, about(asker, seat))
    subject = actor_from(seat)
    if verb is Verb.INVITATION_CREATE and grant is None:
        grant = str(TenantRole.GUEST)
    given = role_named(asker, grant, "role") if grant else None
    if verb is Verb.ROLE_CHANGE:
        return _as_seated(permissions.explain(subject.role, verb, Facts(target=given or asker.role)), seat)
    facts = _facts(subject, member_seen_by(asker, target) if target else None, given)
    if room or message:
        for add in room_facts:
            facts = add(asker, subject, room, message, facts)
    return _as_seated(permissions.explain(subject.role, verb, facts), seat)


def _facts(subject: Actor, target: Membership | None, grant: Role | None) -> Facts:
    if target is None:
        alone = subject.role.name == TenantRole.OWNER and last_owner(subject.seat, subject.tenant)
        return replace(giving(subject.role, grant) if grant else Facts(), last_owner=alone)
    return replace(about(subject, target, grant), shared=shares_with(subject, target))


def _as_seated(found: Explanation, seat: Membership) -> Explanation:
    """A seat that doesn't count gives nothing, whatever the table says."""
    reason = why_not(seat)
    if not reason:
        return found
    because = (*found.because[:-1], "The seat is suspended or has expired.", "So it is refused.")
    return replace(found, allowed=False, because=because)
