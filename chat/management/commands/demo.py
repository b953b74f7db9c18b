"""`manage.py demo`: organizations, people, rooms and messages to try the product with."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts.models import User
from chat.demo import DEMO_ADDRESSES, reset


class Command(BaseCommand):
    help = "Make demo data and print its logins. Repeating it sets new passwords and ends the demo people's sessions."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--if-empty", action="store_true", help="only where nobody has an account yet")
        parser.add_argument("--force", action="store_true", help="also with DEBUG=0, or beside other people")

    def handle(self, *_args: Any, if_empty: bool, force: bool, **_options: Any) -> None:
        if if_empty and User.objects.exists():
            return
        if not force and not settings.DEBUG:
            raise CommandError("DEBUG is 0: demo accounts don't belong on a server in use. --force makes them anyway.")
        if not force and User.objects.exclude(DEMO_ADDRESSES).exists():
            raise CommandError("Other people have accounts here. --force makes the demo accounts beside them.")
        logins = reset()
        width = max(len(email) for email in logins)
        self.stdout.write("Demo logins (python manage.py demo sets new ones):")
        for email, password in logins.items():
            self.stdout.write(f"  {email:<{width}}  {password}")
