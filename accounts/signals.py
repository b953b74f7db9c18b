"""Where Django tells us that someone signed in, or that a password was set behind the services' back."""

from typing import Any

from django.contrib.auth.signals import user_logged_in
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.http import HttpRequest

from accounts.models import User
from accounts.services import begin_login, end_logins


@receiver(user_logged_in)
def record_login(request: HttpRequest, user: User, **_: Any) -> None:
    begin_login(user, request)


@receiver(post_save, sender=User)
def end_logins_of_an_old_password(instance: User, created: bool, **_: Any) -> None:
    """`manage.py changepassword` and the like know no services; a raw password waits in `_password` while they save."""
    if getattr(instance, "_password", None) is not None and not created:
        end_logins(instance.logins.all())
