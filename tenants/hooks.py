"""What upper apps add to this one, so that they act inside its transactions without being imported."""

from collections.abc import Callable, Iterable
from uuid import UUID

from django.db.models import Q

from tenants.actor import Actor
from tenants.models import Invitation, Membership

SeatHook = Callable[[Membership], None]

seat_ending: list[SeatHook] = []
"""Called in the transaction that ends a seat (removed, left, suspended, expiry moved), after the seat is locked."""

seat_changed: list[SeatHook] = []
"""Called in the transaction that changes a seat's role or gives it back."""

policy_changed: list[Callable[[UUID], None]] = []
"""Called with the organization's id in the transaction that changes its roles or their cells."""

invitation_made: list[Callable[[Actor, Invitation, Iterable[UUID]], None]] = []
"""Called with the rooms an invitation leads into; refuses those the inviter may not add people to."""

invitation_accepted: list[Callable[[Invitation, Membership], None]] = []
"""Called with the seat that came by an invitation, new or already there."""

room_counts: list[Callable[[Iterable[UUID]], dict[UUID, tuple[int, int]]]] = []
"""From ids of seats to how many rooms each is in, and how many messages there are unread."""

sharing: list[Callable[[Actor], Q]] = []
"""Conditions on `Membership`: those who share a room with the actor."""
