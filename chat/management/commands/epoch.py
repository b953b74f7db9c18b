"""`manage.py epoch new`: after a restore, tell every client that the revs it holds mean nothing any more."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from chat.models import Epoch
from core.ids import new_id


class Command(BaseCommand):
    help = "Show the epoch, or begin a new one: clients then drop what they hold and start from the newest state."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=("show", "new"))

    def handle(self, *_args: Any, action: str, **_options: Any) -> None:
        if action == "new":
            Epoch.objects.update_or_create(pk=1, defaults={"value": new_id()})
        self.stdout.write(str(Epoch.objects.get(pk=1).value))
