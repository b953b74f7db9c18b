"""The handshake: whose pages may open a socket, and which credential counts."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from accounts import services
from accounts.middleware import CredentialMiddleware, OriginMiddleware
from accounts.models import Login, User
from core.errors import ConclaveError

pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "a horse, a battery"
OURS = "http://localhost:8000"
DENIED = "denied"


@pytest.fixture(autouse=True)
def fresh_limits() -> None:
    """Redis keeps what was counted in the test before."""
    cache.clear()


@pytest.fixture
def ada() -> User:
    return services.create_person(email="ada@acme.test", password=PASSWORD)


@pytest.fixture
def token(ada: User) -> str:
    credentials = {"email": ada.email, "password": PASSWORD}
    answer = Client().post("/_allauth/app/v1/auth/login", credentials, content_type="application/json")
    return str(answer.json()["meta"]["access_token"])


@pytest.fixture
def cookie(ada: User) -> str:
    client = Client()
    client.force_login(ada)
    return f"sessionid={client.cookies['sessionid'].value}"


def handshake(*, subprotocols: tuple[str, ...] = (), query: str = "", **headers: str | None) -> str:
    """What comes of it: `denied`, the code of the refusal, or the kind of the credential."""
    sent = [(name.encode(), str(value).encode()) for name, value in headers.items() if value is not None]
    scope: dict[str, Any] = {
        "type": "websocket",
        "headers": [(b"host", b"localhost:8000"), *sent],
        "subprotocols": ["conclave.v1", *subprotocols],
        "query_string": query.encode(),
    }
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert ("refused" in scope) != ("credential" in scope)
        refused: ConclaveError | None = scope.get("refused")
        seen.append(refused.code if refused else f"{scope['credential'].kind} {scope['credential'].user.email}")

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        assert message["type"] == "websocket.close"
        seen.append(DENIED)

    call: Coroutine[Any, Any, None] = OriginMiddleware(CredentialMiddleware(app))(scope, receive, send)
    asyncio.run(call)
    [outcome] = seen
    return outcome


def test_a_program_shows_its_token_in_a_header_or_a_subprotocol(token: str) -> None:
    assert handshake(authorization=f"Bearer {token}") == "jwt ada@acme.test"
    assert handshake(subprotocols=(f"bearer.{token}",)) == "jwt ada@acme.test"
    assert handshake(subprotocols=(f"bearer.{token}",), origin=OURS) == "jwt ada@acme.test"


def test_a_token_in_the_query_string_is_never_read(token: str) -> None:
    assert handshake(query=f"token={token}&bearer={token}") == "not_authenticated"


def test_our_own_page_shows_its_cookie(cookie: str) -> None:
    assert handshake(cookie=cookie, origin=OURS) == "session ada@acme.test"


@pytest.mark.parametrize("origin", [None, "null"])
def test_a_cookie_without_a_telling_origin_is_foreign(cookie: str, token: str, origin: str | None) -> None:
    assert handshake(cookie=cookie, origin=origin) == DENIED
    assert handshake(authorization=f"Bearer {token}", origin=origin) == "jwt ada@acme.test"


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.test",
        "http://localhost:8000.evil.test",
        "http://localhost:9000",
        "https://localhost:8000@evil.test",
        "http://[",
        "file://",
        "",
        "javascript:1",
    ],
)
def test_a_foreign_page_is_refused_whatever_it_brings(cookie: str, token: str, origin: str) -> None:
    assert handshake(cookie=cookie, origin=origin) == DENIED
    assert handshake(authorization=f"Bearer {token}", origin=origin) == DENIED
    assert handshake(origin=origin) == DENIED


def test_trusted_origins_and_the_same_allowed_host_are_ours(settings: Any, cookie: str) -> None:
    settings.PUBLIC_URL = "https://chat.example"
    settings.CSRF_TRUSTED_ORIGINS = ["https://*.example.org"]
    assert handshake(cookie=cookie, origin="https://chat.example").startswith("session")
    assert handshake(cookie=cookie, origin="https://a.example.org").startswith("session")
    assert handshake(cookie=cookie, origin="https://localhost:8000").startswith("session")
    assert handshake(cookie=cookie, origin="http://localhost:8000") == DENIED
    assert handshake(cookie=cookie, origin="http://a.example.org") == DENIED
    settings.ALLOWED_HOSTS = ["chat.example"]
    assert handshake(cookie=cookie, origin="https://localhost:8000") == DENIED


def test_a_bad_token_beside_a_good_cookie_is_refused(cookie: str) -> None:
    for header in ("Bearer nonsense", "Basic YTpi", "", "Bearer"):
        assert handshake(cookie=cookie, origin=OURS, authorization=header) == "not_authenticated", header
    assert handshake(cookie=cookie, origin=OURS, subprotocols=("bearer.x",)) == "not_authenticated"
    assert handshake(cookie=cookie, origin=OURS, subprotocols=("bearer.",)) == "not_authenticated"


def test_two_tokens_are_refused_even_if_both_are_good(token: str) -> None:
    again = f"bearer.{token}"
    assert handshake(authorization=f"Bearer {token}", subprotocols=(again,)) == "not_authenticated"
    assert handshake(subprotocols=(again, again)) == "not_authenticated"


def test_nobody_is_refused_by_name_not_by_silence(cookie: str, token: str) -> None:
    assert handshake() == "not_authenticated"
    assert handshake(cookie="sessionid=" + "a" * 32, origin=OURS) == "not_authenticated"
    Login.objects.all().delete()
    assert handshake(cookie=cookie, origin=OURS) == "not_authenticated"
    assert handshake(authorization=f"Bearer {token}") == "revoked"
