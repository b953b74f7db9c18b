"""Rooms, who is in them, and what was said."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from core.ids import new_id
from core.models import Row, SameTenant
from tenants.models import Invitation, Membership, Tenant, choices
from tenants.roles import History, Posting, RoomKind, RoomRole


class Room(Row):
    """A room and its counters.

    `number` counts messages, `rev` every change a reader can see, `readers_version` the changes after which someone
    may have lost the right to read. All three only rise, under the room's lock.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="rooms")
    kind = models.CharField(max_length=10, choices=choices(RoomKind))
    name = models.CharField(max_length=80, blank=True)
    topic = models.CharField(max_length=250, blank=True)
    posting = models.CharField(max_length=12, choices=choices(Posting), default=Posting.EVERYONE)
    history = models.CharField(max_length=12, choices=choices(History), default=History.SHARED)
    direct_key = models.CharField(max_length=64, null=True, editable=False)  # noqa: DJ001  NULLs don't collide
    created_at = models.DateTimeField(auto_now_add=True)
    active_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)
    number = models.PositiveBigIntegerField(default=0)
    rev = models.PositiveBigIntegerField(default=0)
    readers_version = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["id", "tenant"], name="room_in_tenant"),
            models.UniqueConstraint(fields=["tenant", "direct_key"], name="one_direct_room"),
            models.CheckConstraint(
                condition=Q(kind=RoomKind.DIRECT, direct_key__isnull=False)
                | (~Q(kind=RoomKind.DIRECT) & Q(direct_key=None)),
                name="direct_rooms_have_a_key",
            ),
        ]

    def __str__(self) -> str:
        return self.name or str(self.pk)


class RoomMember(Row):
    """A seat in a room. Nothing below message number `visible_from` is theirs to read, and cursors from before the
    room's rev `joined_rev` are of another stay."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    room = models.ForeignKey(Room, on_delete=models.CASCADE, related_name="members")
    seat = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="rooms")
    role = models.CharField(max_length=10, choices=choices(RoomRole), default=RoomRole.MEMBER)
    visible_from = models.PositiveBigIntegerField()
    joined_rev = models.PositiveBigIntegerField(default=0)
    read_number = models.PositiveBigIntegerField(default=0)
    joined_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["room", "seat"], name="once_in_a_room"),
            SameTenant(field="room", name="room_member_room_same_tenant"),
            SameTenant(field="seat", name="room_member_seat_same_tenant"),
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.pk}"


class Message(Row):
    """What was said, in its newest state. `reactions` restates the `Reaction` rows, so that one row is one read."""

    class Kind(models.TextChoices):
        TEXT = "text"
        NOTICE = "notice"

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, db_index=False)
    room = models.ForeignKey(Room, on_delete=models.CASCADE, related_name="messages", db_index=False)
    number = models.PositiveBigIntegerField()
    rev = models.PositiveBigIntegerField()
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.TEXT)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="messages")
    body = models.TextField(blank=True)
    html = models.TextField(null=True, blank=True)  # noqa: DJ001  NULL: nothing to render
    nonce = models.CharField(max_length=64, null=True, blank=True)  # noqa: DJ001  NULLs don't collide
    reply_to = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="replies", db_index=False
    )
    reactions = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField()
    edited_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["room", "number"], name="one_number"),
            models.UniqueConstraint(fields=["room", "author", "nonce"], name="one_nonce"),
            models.UniqueConstraint(fields=["id", "tenant"], name="message_in_tenant"),
            SameTenant(field="room", name="message_room_same_tenant"),
            SameTenant(field="reply_to", name="message_reply_same_tenant"),
        ]
        indexes = [
            models.Index(fields=["room", "rev"], name="message_by_rev"),
            models.Index(fields=["reply_to"], condition=Q(reply_to__isnull=False), name="message_by_reply"),
        ]

    def __str__(self) -> str:
        return f"{self.room_id} #{self.number}"


class Revision(Row):
    """What a message said before an edit."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="revisions")
    body = models.TextField()
    written_at = models.DateTimeField()

    class Meta:
        constraints = [SameTenant(field="message", name="revision_message_same_tenant")]

    def __str__(self) -> str:
        return f"revision {self.pk}"


class Reaction(Row):
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="reaction_rows")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="reactions")
    emoji = models.CharField(max_length=32)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["message", "user", "emoji"], name="one_reaction"),
            SameTenant(field="message", name="reaction_message_same_tenant"),
        ]

    def __str__(self) -> str:
        return self.emoji


class InvitationRoom(Row):
    """A room that an invitation leads into, besides its organization."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    invitation = models.ForeignKey(Invitation, on_delete=models.CASCADE, related_name="rooms")
    room = models.ForeignKey(Room, on_delete=models.CASCADE, related_name="invitations")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["invitation", "room"], name="invited_once"),
            SameTenant(field="room", name="invitation_room_same_tenant"),
            SameTenant(field="invitation", name="invitation_same_tenant"),
        ]

    def __str__(self) -> str:
        return f"{self.invitation_id} → {self.room_id}"


class Epoch(models.Model):
    """One row. A new value tells every client that the revs it holds mean nothing any more (after a restore)."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    value = models.UUIDField(default=new_id)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="one_epoch")]

    def __str__(self) -> str:
        return str(self.value)
