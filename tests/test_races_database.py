"""The database itself refuses a row that mixes organizations, through every composite foreign key of every model."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, models, transaction
from django.utils import timezone

from chat.models import InvitationRoom, Message, Reaction, Revision, Room, RoomMember
from core.models import SameTenant
from tenants.models import Invitation, Membership, Tenant

GUARDS = [
    (model, constraint.field)
    for model in apps.get_models()
    for constraint in model._meta.constraints
    if isinstance(constraint, SameTenant)
]
Row = dict[str, Any]


def rows(cast: Any) -> dict[tuple[type[models.Model], str], tuple[Row, UUID]]:
    """For each guard: a row of acme that is whole, and globex's row that the field must not point at."""
    acme, globex = Tenant.objects.get(slug="acme"), Tenant.objects.get(slug="globex")
    seat, room = Membership.objects.get(tenant=acme, user=cast.lurker.id), Room.objects.get(pk=cast.rooms["vault"])
    message = Message.objects.get(pk=cast.messages["vault_owner"])
    foreign_seat = Membership.objects.get(tenant=globex, user=cast.globex_member.id).pk
    foreign_room, foreign_message = UUID(cast.rooms["lab"]), UUID(cast.messages["lab_owner"])
    invitation, foreign_invitation = _invite(seat), _invite(Membership.objects.get(pk=foreign_seat))
    member = {"tenant": acme, "room": room, "seat": seat, "visible_from": 1}
    said = {"tenant": acme, "room": room, "number": 99, "rev": 99, "created_at": timezone.now(), "reply_to": message}
    invited = {"tenant": acme, "invitation": invitation, "room": room}
    return {
        (Invitation, "inviter"): (_invitation_of(seat), foreign_seat),
        (RoomMember, "room"): (member, foreign_room),
        (RoomMember, "seat"): (member, foreign_seat),
        (Message, "room"): (said, foreign_room),
        (Message, "reply_to"): (said, foreign_message),
        (Revision, "message"): (
            {"tenant": acme, "message": message, "body": "", "written_at": timezone.now()},
            foreign_message,
        ),
        (Reaction, "message"): (
            {"tenant": acme, "message": message, "user_id": cast.owner.id, "emoji": "👍"},
            foreign_message,
        ),
        (InvitationRoom, "room"): (invited, foreign_room),
        (InvitationRoom, "invitation"): (invited, foreign_invitation.pk),
    }


def _invitation_of(seat: Membership) -> Row:
    fields = {"role": "member", "expires_at": timezone.now(), "max_uses": 1, "digest": uuid4().hex}
    return {"tenant_id": seat.tenant_id, "inviter": seat, **fields}


def _invite(seat: Membership) -> Invitation:
    return Invitation.objects.create(**_invitation_of(seat))


def checked(write: Callable[[], Any]) -> None:
    """Write, and have what is deferred to the commit judged now; then undo it."""
    with transaction.atomic():
        write()
        connection.check_constraints()
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        transaction.set_rollback(True)


def test_every_model_below_an_organization_is_guarded_through_every_reference() -> None:
    below = {model for model in apps.get_models() if any(f.name == "tenant" for f in model._meta.fields)}
    guarded = {model for model in below if any(f.name == "id" for f in model._meta.fields)}
    needed = {
        (model, field.name)
        for model in guarded
        for field in model._meta.fields
        if isinstance(field, models.ForeignKey) and field.related_model in below
    }
    assert needed == set(GUARDS)


@pytest.mark.parametrize(("model", "field"), GUARDS, ids=lambda each: each if isinstance(each, str) else each.__name__)
def test_the_database_refuses_a_row_that_mixes_organizations(model: Any, field: str, cast: Any) -> None:
    whole, foreign = rows(cast)[model, field]
    checked(lambda: model.objects.create(**whole))
    mixed = {name: value for name, value in whole.items() if name != field}
    with pytest.raises(IntegrityError):
        checked(lambda: model.objects.create(**mixed, **{f"{field}_id": foreign}))


@pytest.mark.parametrize(("model", "field"), GUARDS, ids=lambda each: each if isinstance(each, str) else each.__name__)
def test_it_refuses_to_turn_a_row_into_such_a_one(model: Any, field: str, cast: Any) -> None:
    whole, foreign = rows(cast)[model, field]

    def change(**to: Any) -> None:
        row = model.objects.create(**whole)
        model.objects.filter(pk=row.pk).update(**to)

    checked(lambda: change(**{field: getattr(whole[field], "pk", whole[field])}))
    with pytest.raises(IntegrityError):
        checked(lambda: change(**{field: foreign}))
    with pytest.raises(IntegrityError):
        checked(lambda: change(tenant=Tenant.objects.get(slug="globex")))
