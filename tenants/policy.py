"""Reads the roles of an organization: the built-in ones, with the cells it changed, and its own."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from uuid import UUID

from tenants.models import Cell, CustomRole
from tenants.permissions import OPTIONS, Verb
from tenants.roles import BUILTIN, DEFAULT, Policy, Role, TenantRole

KEPT = 2_000
"""Organizations whose roles a process remembers."""


Cells = Mapping[str, Mapping[str, str]]
"""By role and verb, the name of the rule that the organization chose."""


def policy_of(tenant: UUID, version: int) -> Policy:
    """The organization's policy, where `version` was read with whatever is to be judged by it.

    No version is ever used twice, also none of a change that was rolled back: what is remembered can't be wrong.
    """
    return _remembered(tenant, version) if version else DEFAULT


@lru_cache(maxsize=KEPT)
def _remembered(tenant: UUID, version: int) -> Policy:
    return composed(tenant, version, roles_of(tenant), cells_of(tenant))


def roles_of(tenant: UUID) -> list[Role]:
    """Those that the organization made, as if nothing were changed."""
    return [Role(row.name, row.rank, TenantRole(row.base)) for row in CustomRole.objects.filter(tenant=tenant)]


def cells_of(tenant: UUID) -> Cells:
    changed: dict[str, dict[str, str]] = defaultdict(dict)
    for role, verb, rule in Cell.objects.filter(tenant=tenant).values_list("role", "verb", "rule"):
        if verb in OPTIONS and rule in OPTIONS[Verb(verb)]:
            changed[role][verb] = rule
    return changed


def composed(tenant: UUID, version: int, roles: Iterable[Role], cells: Cells) -> Policy:
    """What was changed for its base counts for a role, too, where it has no rule of its own."""
    found = {}
    for role in (*BUILTIN.values(), *roles):
        own = {**cells.get(role.base, {}), **cells.get(role.name, {})}
        found[role.name] = replace(role, changed=tuple(sorted(own.items())))
    return Policy(tenant, version, MappingProxyType(found))
