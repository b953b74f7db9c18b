"""The peer that does what most do: JWT in `connect`, `acreate` for each message, `group_send`, an answer to the sender.

Persistent connections, one group a room, no check of membership. Configured by REDIS_URL and DATABASE_URL.
`python -m benchmarks.usual 20` makes the tables and 20 people, and prints their tokens as JSON.
"""

import json
import os
import sys
from typing import Any

import dj_database_url
import django
from django.conf import settings

DATABASE: dict[str, Any] = {**dj_database_url.parse(os.environ["DATABASE_URL"]), "CONN_MAX_AGE": None}
if "sqlite3" in DATABASE["ENGINE"]:
    pragmas = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"
    DATABASE["OPTIONS"] = {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": pragmas}

settings.configure(
    SECRET_KEY="benchmark-" + "x" * 40,
    ALLOWED_HOSTS=["*"],
    USE_TZ=True,
    INSTALLED_APPS=["channels", "django.contrib.contenttypes", "django.contrib.auth"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={"default": DATABASE},
    CHANNEL_LAYERS={
        "default": {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            "CONFIG": {
                "hosts": [{"address": os.environ["REDIS_URL"], "socket_timeout": None, "max_connections": 2_000}],
                "capacity": 10_000,
            },
        }
    },
)
django.setup()

from channels.generic.websocket import AsyncJsonWebsocketConsumer  # noqa: E402  settings first
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, models  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework_simplejwt.exceptions import TokenError  # noqa: E402
from rest_framework_simplejwt.tokens import AccessToken  # noqa: E402


class Message(models.Model):
    room = models.CharField(max_length=80, db_index=True)
    author = models.ForeignKey(User, on_delete=models.CASCADE)
    body = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    objects: "models.Manager[Message]" = models.Manager()

    class Meta:
        app_label = "usual"

    def __str__(self) -> str:
        return self.body[:40]


async def person_of(scope: Any) -> User | None:
    shown = dict(scope["headers"]).get(b"authorization", b"").decode().removeprefix("Bearer ")
    try:
        return await User.objects.aget(pk=AccessToken(shown)["user_id"])
    except (TokenError, User.DoesNotExist):
        return None


class ChatConsumer(AsyncJsonWebsocketConsumer):
    async def connect(self) -> None:
        person = await person_of(self.scope)
        if person is None:
            await self.close(4401)
            return
        self.person = person
        self.room = self.scope["url_route"]["kwargs"]["room"]
        self.group = f"chat_{self.room}"
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()
        await self.send_json({"type": "welcome"})

    async def disconnect(self, code: int) -> None:
        if hasattr(self, "group"):
            await self.channel_layer.group_discard(self.group, self.channel_name)

    async def receive_json(self, content: Any, **_: Any) -> None:
        message = await Message.objects.acreate(room=self.room, author=self.person, body=content["body"])
        event = {
            "type": "chat.message",
            "id": message.pk,
            "author": self.person.username,
            "body": message.body,
            "created_at": message.created_at.isoformat(),
        }
        await self.channel_layer.group_send(self.group, event)
        await self.send_json({"type": "ack", "id": content["id"], "message_id": message.pk})

    async def chat_message(self, event: dict[str, Any]) -> None:
        await self.send_json({**event, "type": "message"})


_chat: Any = ChatConsumer.as_asgi()
_sockets: Any = URLRouter([path("ws/<str:room>/", _chat)])
application = ProtocolTypeRouter({"websocket": _sockets})


def prepare(people: int) -> list[str]:
    call_command("migrate", verbosity=0)
    with connection.schema_editor() as editor:
        editor.create_model(Message)
    made = User.objects.bulk_create(User(username=f"person{number}", password="!") for number in range(people))
    AccessToken.lifetime *= 100
    return [str(AccessToken.for_user(each)) for each in made]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(prepare(int(sys.argv[1]))))
