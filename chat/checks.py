"""Deployment checks of this app."""

from typing import Any

from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import DatabaseError

from accounts.models import User
from chat.demo import DEMO_ADDRESSES


@register(Tags.security, deploy=True)
def no_demo_accounts(**_kwargs: Any) -> list[CheckMessage]:
    """Demo people have no place on a server in use. A database that is not migrated yet has nobody in it."""
    try:
        found = User.objects.filter(DEMO_ADDRESSES, is_active=True).exists()
    except DatabaseError:
        return []
    if not found:
        return []
    return [Warning("Demo accounts exist (…@acme.test, …@globex.test): deactivate or delete them.", id="conclave.W001")]
