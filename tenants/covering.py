"""Whether one role can do all that another can: nobody gives what they lack.

Not by the names of rules but by what they decide: every situation that can be is tried, so a rule that is added or
changed needs nothing here.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import product

from tenants.permissions import Facts, Rule, Verb, rule_for
from tenants.roles import BUILTIN, Posting, Role, RoomKind, RoomRole

_LOWEST, _LOW, _HIGH, _HIGHEST = (BUILTIN[each] for each in ("guest", "member", "moderator", "owner"))
_STANDING = {-1: (_LOW, _HIGH), 0: (_LOW, _LOW), 1: (_HIGH, _LOW)}
"""Two roles, neither the lowest nor the highest, by how their ranks compare."""


def lacking(role: Role, other: Role) -> list[Verb]:
    """What `other` may do in some situation in which `role` may not. Whether one may go is nobody's gain."""
    return [
        verb
        for verb in Verb
        if verb is not Verb.SEAT_LEAVE and not implies(rule_for(other, verb), other, rule_for(role, verb), role)
    ]


def giving(role: Role, grant: Role) -> Facts:
    """What the table asks about a role that somebody with this one would give."""
    return Facts(grant=grant, exceeds=grant.rank > role.rank or bool(lacking(role, grant)))


def implies(rule: Rule, role: Role, wider: Rule, holder: Role) -> bool:
    """Whether `holder` may, by the rule `wider`, wherever `role` may by `rule`."""
    return _implied(rule, wider, (role.rank > holder.rank) - (role.rank < holder.rank))


@lru_cache(maxsize=4096)
def _implied(rule: Rule, wider: Rule, order: int) -> bool:
    """Of two roles, rules see only whose rank is higher: what is found counts for all that stand like these."""
    role, holder = _STANDING[order]
    return all(wider(holder, facts) for facts in _situations(role, holder) if rule(role, facts))


def _situations(role: Role, holder: Role) -> Iterator[Facts]:
    """Rooms and people in one, then whom one acts on and what is given: no rule looks at both."""
    others = [None, _LOWEST, role, holder, _HIGHEST]
    for place in _places():
        for own, shared, last, exceeds in product((False, True), repeat=4):
            yield replace(place, own=own, shared=shared, last_owner=last, exceeds=exceeds)
    for target, grant, own in product(others, others, (False, True)):
        yield Facts(target=target, grant=grant, own=own, exceeds=False, last_owner=False)


def _places() -> Iterator[Facts]:
    """No room; or a room, and what one can be in it: nobody runs a direct conversation."""
    yield Facts()
    for kind, room_role, posting, archived in product(RoomKind, (None, *RoomRole), Posting, (False, True)):
        if kind is not RoomKind.DIRECT or room_role in (None, RoomRole.MEMBER):
            yield Facts(kind=kind, room_role=room_role, posting=posting, archived=archived)
