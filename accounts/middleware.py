"""The ASGI side of identity: sockets of foreign pages are refused, all others learn who is asking."""

from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import parse_cookie
from django.http.request import split_domain_port, validate_host
from django.utils.http import is_same_domain

from accounts.authentication import bearer_token
from accounts.credentials import Credential, resolve_bearer, resolve_session
from core import db, limits
from core.addresses import client_network
from core.errors import ConclaveError, NotAuthenticated, RateLimited

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

BEARER = "bearer."


def headers(scope: Scope, name: bytes) -> Iterator[str]:
    return (value.decode("latin-1") for key, value in scope["headers"] if key == name)


def session_cookie(scope: Scope) -> str:
    """The value of the session cookie, empty if there is none."""
    cookies = parse_cookie("; ".join(headers(scope, b"cookie")))
    return str(cookies.get(settings.SESSION_COOKIE_NAME, ""))


def shown_tokens(scope: Scope) -> list[str]:
    """Every bearer token of a handshake, headers first. Raises NotAuthenticated for any other Authorization."""
    offered = [word.removeprefix(BEARER) for word in scope.get("subprotocols", []) if word.startswith(BEARER)]
    return [bearer_token(header) for header in headers(scope, b"authorization")] + offered


def is_allowed(origin: str, host: str) -> bool:
    """Whether a page of `origin` may open a socket to `host`: ours, a trusted one, or the same host."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return False
    trusted = (settings.PUBLIC_URL, *settings.CSRF_TRUSTED_ORIGINS)
    if any(_matches(parts.scheme, parts.netloc, known) for known in trusted):
        return True
    if parts.scheme == "http" and settings.PUBLIC_URL.startswith("https:"):
        return False
    return parts.netloc.lower() == host.lower() and validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS)


def _matches(scheme: str, netloc: str, known: str) -> bool:
    trusted = urlsplit(known)
    return trusted.scheme == scheme and bool(is_same_domain(netloc.lower(), trusted.netloc.lower().lstrip("*")))


class OriginMiddleware:
    """Refuses the sockets of foreign pages with HTTP 403, whatever else they bring."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._is_foreign(scope):
            await receive()
            await send({"type": "websocket.close"})
        else:
            await self.app(scope, receive, send)

    def _is_foreign(self, scope: Scope) -> bool:
        origins = list(headers(scope, b"origin"))
        if origins and origins != ["null"]:
            host = next(headers(scope, b"host"), "")
            return not all(is_allowed(origin, host) for origin in origins)
        return _relies_on_cookie(scope)


def _relies_on_cookie(scope: Scope) -> bool:
    """A browser sends its cookie from any page, so the cookie counts only beside an allowed Origin."""
    offers_token = any(word.startswith(BEARER) for word in scope.get("subprotocols", []))
    has_token = offers_token or bool(list(headers(scope, b"authorization")))
    return not has_token and bool(session_cookie(scope))


class AddressMiddleware:
    """Limits how often an address connects, before anything is looked up for it."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            limits.spend_at("LIMIT_CONNECTS_ADDRESS", client_network(scope))
        except RateLimited as refused:
            scope = {**scope, "refused": refused}
        await self.app(scope, receive, send)


class CredentialMiddleware:
    """Leaves `scope["credential"]`, or in `scope["refused"]` the error with which the consumer has to close."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = scope.get("refused") or await resolve(scope)
        key = "refused" if isinstance(found, ConclaveError) else "credential"
        await self.app({**scope, key: found}, receive, send)


async def resolve(scope: Scope) -> Credential | ConclaveError:
    """Whoever shows the first credential that is present. Never the query string."""
    try:
        tokens = shown_tokens(scope)
        if len(tokens) > 1:
            raise NotAuthenticated("Two tokens were shown.")
        if tokens:
            return await db.run(resolve_bearer, tokens[0])
        return await db.run(resolve_session, session_cookie(scope))
    except ConclaveError as error:
        return error
