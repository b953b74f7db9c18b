"""The socket's AsyncAPI 3 document, made from the very structs that read and write its frames."""

import functools
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from msgspec import Struct

from chat.protocol import COMMANDS, EVENTS, PROTOCOL, CatchUp, ErrorFrame, Ok
from core.api import JSON
from core.errors import ConclaveError
from core.openapi import schema
from core.wire import Count, Id, encode

Part = dict[str, Any]

ANSWERS: tuple[type[Struct], ...] = (Ok, ErrorFrame)
CHANNELS = {
    "tenant": ("/ws/v1/{slug}/", "An organization: subscribe to the rooms you want to hear."),
    "room": (
        "/ws/v1/{slug}/rooms/{room}/",
        "The same after a first `subscribe` to this room, whose answer has the id `url`.",
    ),
}
PARAMETERS = {"slug": "The organization's slug or id.", "room": "The room's id."}
CURSOR: Part = {"type": "object", "properties": {"epoch": schema(Id), "since": schema(Count)}}
SECURITY: dict[str, Part] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An access token in `Authorization`."},
    "subprotocol": {
        "type": "httpApiKey",
        "in": "header",
        "name": "Sec-WebSocket-Protocol",
        "description": f"For browsers with a token: offer `bearer.<token>` beside `{PROTOCOL}`. It is never echoed.",
    },
    "cookie": {
        "type": "httpApiKey",
        "in": "cookie",
        "name": settings.SESSION_COOKIE_NAME,
        "description": "The session of the pages; only with an allowed `Origin`.",
    },
}
DESCRIPTION = f"""Offer the subprotocol `{PROTOCOL}`. The first credential present decides alone; a token in the query
string is never read. Every command gets exactly one answer with its `id`, an `ok` or an `error`; commands take effect
in the order sent. Events carry no `id`. A result of `subscribe` is a `CatchUp`, or `{{"rooms": […]}}` of them; of the
`message.…` and `reaction.…` commands `{{"message": MessageShape}}`; of `authenticate` `{{"expires_at": time}}`; of
`hello` what the event of that name holds; of all others `{{}}`. `x-close-codes` tells what each close code means."""


@functools.cache
def document() -> Part:
    frames = (*COMMANDS, *ANSWERS, *EVENTS)
    _, schemas = msgspec.json.schema_components((*frames, CatchUp), ref_template="#/components/schemas/{name}")
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Conclave's socket", "version": "1", "description": DESCRIPTION},
        "defaultContentType": JSON,
        "servers": {"this": _server()},
        "channels": {name: _channel(address, about, frames) for name, (address, about) in CHANNELS.items()},
        "operations": {key: value for name in CHANNELS for key, value in _operations(name).items()},
        "components": {
            "messages": {_name(frame): _message(frame) for frame in frames},
            "schemas": schemas,
            "securitySchemes": SECURITY,
        },
        "x-close-codes": _close_codes(),
    }


def _name(frame: type[Struct]) -> str:
    return frame.__name__


def _server() -> Part:
    address = urlsplit(settings.PUBLIC_URL)
    return {
        "host": address.netloc,
        "protocol": "wss" if address.scheme == "https" else "ws",
        "security": [{"$ref": f"#/components/securitySchemes/{name}"} for name in SECURITY],
    }


def _message(frame: type[Struct]) -> Part:
    """One message per struct. Its `name` is the frame's `type`, which a command and an event may share."""
    name = _name(frame)
    found: Part = {
        "name": str(frame.__struct_config__.tag),
        "title": name,
        "payload": {"$ref": f"#/components/schemas/{name}"},
    }
    if frame not in EVENTS:
        found["correlationId"] = {"location": "$message.payload#/id"}
    return found


def _channel(address: str, about: str, frames: Iterable[type[Struct]]) -> Part:
    websocket: Part = {"method": "GET", "bindingVersion": "0.1.0"}
    if "{room}" in address:
        websocket["query"] = CURSOR
    return {
        "address": address,
        "description": about,
        "parameters": {name: {"description": text} for name, text in PARAMETERS.items() if f"{{{name}}}" in address},
        "messages": {_name(frame): {"$ref": f"#/components/messages/{_name(frame)}"} for frame in frames},
        "bindings": {"ws": websocket},
    }


def _operations(channel: str) -> dict[str, Part]:
    """Of the server's side: it receives commands, each with its answer, and sends events."""
    here = {"$ref": f"#/channels/{channel}"}

    def those(frames: Iterable[type[Struct]]) -> list[Part]:
        return [{"$ref": f"#/channels/{channel}/messages/{_name(frame)}"} for frame in frames]

    return {
        f"{channel}.commands": {
            "action": "receive",
            "channel": here,
            "messages": those(COMMANDS),
            "reply": {"channel": here, "messages": those(ANSWERS)},
        },
        f"{channel}.events": {"action": "send", "channel": here, "messages": those(EVENTS)},
    }


def _close_codes() -> list[Part]:
    """Every error that can end a socket, by its close code."""
    known = ((kind.close, kind.code, kind.title) for kind in ConclaveError.__subclasses__())
    return [
        {"close": close, "code": code, "meaning": title}
        for close, code, title in sorted(each for each in known if each[0] is not None)
    ]


@require_safe
def asyncapi(_request: HttpRequest) -> HttpResponse:
    """For everyone: it says nothing of anybody."""
    return HttpResponse(encode(document()), content_type=JSON)
