"""Rooms, messages and the socket."""

from collections.abc import Collection
from uuid import UUID

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ChatConfig(AppConfig):
    name = "chat"

    def ready(self) -> None:
        # Hooks of the lower apps; models can only be imported once every app is loaded.
        from accounts import hooks as account_hooks  # noqa: PLC0415
        from chat import checks, publish  # noqa: F401, PLC0415  checks register themselves
        from chat.explain import room_facts  # noqa: PLC0415
        from chat.models import Epoch  # noqa: PLC0415
        from chat.queries import room_counts, sharing_a_room  # noqa: PLC0415
        from chat.services.invitations import come_into, invite_into  # noqa: PLC0415
        from chat.services.members import account_ends, seat_changes, seat_ends  # noqa: PLC0415
        from tenants import explain, hooks  # noqa: PLC0415

        hooks.seat_ending.append(seat_ends)
        hooks.seat_changed.append(seat_changes)
        hooks.policy_changed.append(publish.policy_changed)
        hooks.invitation_made.append(invite_into)
        hooks.invitation_accepted.append(come_into)
        hooks.sharing.append(sharing_a_room)
        hooks.room_counts.append(room_counts)
        explain.room_facts.append(room_facts)

        def logins_ended(logins: Collection[UUID], _user: UUID) -> None:
            publish.logins_ended(logins)

        def begin_epoch(using: str, **_kwargs: object) -> None:
            Epoch.objects.using(using).get_or_create(pk=1)

        post_migrate.connect(begin_epoch, sender=self, weak=False)
        account_hooks.on_login_end(logins_ended)
        account_hooks.on_account_end(account_ends)
