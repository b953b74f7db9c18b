"""The ASGI root: Origin check, connects of an address, authentication, actor, then the URL."""

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "core.settings")

from django.core.asgi import get_asgi_application

_http = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402  apps first

from accounts.middleware import AddressMiddleware, CredentialMiddleware, OriginMiddleware  # noqa: E402
from chat.process import this_hub  # noqa: E402
from chat.routing import urlpatterns  # noqa: E402
from tenants.middleware import ActorMiddleware  # noqa: E402


async def http(scope: Any, receive: Any, send: Any) -> None:
    """Requests write, too: with the hub running, what they publish leaves by this process's own loop."""
    this_hub()
    await _http(scope, receive, send)


_sockets: Any = URLRouter(urlpatterns)
application = ProtocolTypeRouter(
    {
        "http": http,
        "websocket": OriginMiddleware(AddressMiddleware(CredentialMiddleware(ActorMiddleware(_sockets)))),
    }
)
