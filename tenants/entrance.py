"""Where those stand who hold a link: what they try is counted, then done."""

from uuid import UUID

from django.http import HttpRequest

from core.addresses import client_network
from core.limits import guess, spend
from tenants import invitations
from tenants.models import Invitation, Membership


def look(request: HttpRequest, user: UUID | None, token: str) -> Invitation:
    """The invitation behind a link, as `invitations.preview`."""
    with guess("invitation", address=client_network(request), user=user):
        return invitations.preview(token)


def look_as(request: HttpRequest, user: UUID, token: str) -> tuple[Invitation, Membership | None]:
    """The same for one who may be in already, as `invitations.seat_for`."""
    with guess("invitation", address=client_network(request), user=user):
        return invitations.seat_for(user, token)


def come_in(request: HttpRequest, user: UUID, token: str) -> Membership:
    """Accept, as `invitations.accept`; it is one of the person's and the organization's joins."""
    with guess("invitation", address=client_network(request), user=user):
        found, _ = invitations.seat_for(user, token)
        spend("JOINS", user=user, tenant=found.tenant_id)
        return invitations.accept(user, token)
