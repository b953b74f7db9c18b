"""Tokens: who gets them, what they open, how they rotate, and what ends them."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest
from allauth.mfa.totp.internal.auth import (
    TOTP,
    format_hotp_value,
    generate_totp_secret,
    hotp_value,
    yield_hotp_counters_from_time,
)
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.cache import cache
from django.db import connections
from django.test import Client
from django.utils.timezone import now

from accounts import services, tokens
from accounts.credentials import alive, resolve_bearer, resolve_session
from accounts.models import Login, User
from accounts.refresh import refresh
from accounts.sessions import SessionStore
from core.errors import Expired, NotAuthenticated, Revoked

pytestmark = pytest.mark.django_db

APP = "/_allauth/app/v1"
PASSWORD = "a horse, a battery"


@pytest.fixture(autouse=True)
def fresh_limits() -> None:
    """Redis keeps what was counted in the test before."""
    cache.clear()


@pytest.fixture
def ada() -> User:
    return services.create_person(email="Ada@Acme.test", password=PASSWORD)


def post(path: str, data: dict[str, Any], **headers: str) -> Any:
    return Client().post(f"{APP}{path}", data, content_type="application/json", headers=headers)


def log_in(email: str = "ada@acme.test") -> dict[str, Any]:
    answer = post("/auth/login", {"email": email, "password": PASSWORD})
    assert answer.status_code == 200, answer.content
    meta: dict[str, Any] = answer.json()["meta"]
    return meta


def renew(token: str) -> Any:
    return post("/tokens/refresh", {"refresh_token": token})


def me(token: str) -> int:
    return Client().get("/api/v1/me/", headers={"Authorization": f"Bearer {token}"}).status_code


def claims(token: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


def current_code(secret: str) -> str:
    return str(format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time())))))


def mailed_code() -> str:
    words = str(mail.outbox[-1].body).split()
    return next(word for word in words if len(word) == 9 and word[4] == "-" and word.replace("-", "").isupper())


def test_a_program_that_logs_in_gets_tokens_that_name_its_login(ada: User) -> None:
    meta = log_in()
    found = claims(meta["access_token"])
    login = Login.objects.get(user=ada)
    assert found["sub"] == found["user_id"] == str(ada.id)
    assert UUID(found["sid"]) == login.id
    assert {"jti", "exp", "iat"} <= found.keys() and found["token_type"] == "access"
    assert claims(meta["refresh_token"])["token_type"] == "refresh"
    assert me(meta["access_token"]) == 200


def test_nobody_gets_a_token_before_the_address_is_verified() -> None:
    answer = post("/auth/signup", {"email": "new@acme.test", "password": PASSWORD})
    assert answer.status_code == 401 and "access_token" not in answer.json()["meta"]
    code = mailed_code()
    again = post("/auth/login", {"email": "new@acme.test", "password": PASSWORD})
    assert "access_token" not in again.json().get("meta", {})
    verified = post("/auth/email/verify", {"key": code}, **{"X-Session-Token": answer.json()["meta"]["session_token"]})
    assert verified.status_code == 200 and me(verified.json()["meta"]["access_token"]) == 200
    assert User.objects.get(email="new@acme.test").display_name == "new"


def test_nobody_gets_a_token_before_the_second_factor(ada: User) -> None:
    secret = generate_totp_secret()
    stored = TOTP.activate(ada, secret).instance.data["secret"]
    assert secret not in stored
    answer = post("/auth/login", {"email": ada.email, "password": PASSWORD})
    assert answer.status_code == 401 and "access_token" not in answer.json()["meta"]
    session = answer.json()["meta"]["session_token"]
    wrong = post("/auth/2fa/authenticate", {"code": "000000"}, **{"X-Session-Token": session})
    assert wrong.status_code == 400 and "access_token" not in wrong.json().get("meta", {})
    right = post("/auth/2fa/authenticate", {"code": current_code(secret)}, **{"X-Session-Token": session})
    assert right.status_code == 200 and me(right.json()["meta"]["access_token"]) == 200


def test_a_refresh_token_rotates_and_its_predecessor_yields_the_same_successor_for_a_while(ada: User) -> None:
    first = log_in()["refresh_token"]
    answer = renew(first)
    second = answer.json()["data"]["refresh_token"]
    assert answer.status_code == 200 and second != first and me(answer.json()["data"]["access_token"]) == 200
    assert renew(first).json()["data"]["refresh_token"] == second
    third = renew(second).json()["data"]["refresh_token"]
    assert third not in (first, second)


def test_a_predecessor_that_is_shown_late_ends_the_login_and_says_so_by_mail(ada: User) -> None:
    meta = log_in()
    successor = renew(meta["refresh_token"]).json()["data"]["refresh_token"]
    Login.objects.update(refresh_rotated_at=now() - timedelta(seconds=31))
    assert renew(meta["refresh_token"]).status_code == 400
    assert not Login.objects.exists() and not Session.objects.exists()
    assert renew(successor).status_code == 400 and me(meta["access_token"]) == 401
    assert mail.outbox[-1].to == [ada.email] and "ended" in mail.outbox[-1].subject


def test_an_older_predecessor_ends_the_login_at_once(ada: User) -> None:
    first = log_in()["refresh_token"]
    second = renew(first).json()["data"]["refresh_token"]
    assert renew(second).status_code == 200
    assert renew(first).status_code == 400 and not Login.objects.exists()


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        "x",
        "eyJ",
        "a.b.c",
        "eyJhbGciOiJub25lIn0.e30.",
        "é" * 50,
        "." * 5000,
        "\ud800",
        "eyJhbGciOiJIUzI1NiJ9.e30.AAAA",
    ],
)
def test_garbage_is_refused_wherever_a_token_is_read(ada: User, garbage: str) -> None:
    assert renew(garbage).status_code in (400, 401)
    with pytest.raises(NotAuthenticated):
        resolve_bearer(garbage)


def test_access_and_refresh_tokens_do_not_stand_in_for_one_another(ada: User) -> None:
    meta = log_in()
    assert renew(meta["access_token"]).status_code == 400
    assert me(meta["refresh_token"]) == 401
    assert Login.objects.exists()


def test_a_token_of_another_key_or_of_no_algorithm_is_refused(ada: User) -> None:
    good = log_in()["access_token"]
    kid = jwt.get_unverified_header(good)["kid"]
    forged = jwt.encode(claims(good), "x" * 64, "HS256", headers={"kid": kid})
    unsigned = jwt.encode(claims(good), "", "none", headers={"kid": kid})
    assert me(good) == 200 and me(forged) == me(unsigned) == 401


def test_keys_rotate_by_their_kid(ada: User, settings: Any) -> None:
    settings.JWT_KEYS = [f"old:{'a' * 40}"]
    old = log_in()["access_token"]
    settings.JWT_KEYS = [f"new:{'b' * 40}", f"old:{'a' * 40}"]
    new = log_in()["access_token"]
    assert me(old) == me(new) == 200
    assert jwt.get_unverified_header(new)["kid"] == "new"
    settings.JWT_KEYS = [f"new:{'b' * 40}"]
    assert me(old) == 401 and me(new) == 200


def test_tokens_and_sessions_survive_a_change_of_the_secret_key(ada: User, settings: Any) -> None:
    token = log_in()["access_token"]
    browser = Client()
    browser.force_login(ada)
    key = str(browser.session.session_key)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "z" * 50
    assert me(token) == 200
    assert resolve_session(key).user == ada and Session.objects.filter(session_key=key).exists()
    assert browser.get("/accounts/email/").status_code == 200
    assert resolve_session(str(browser.cookies["sessionid"].value)).user == ada


def test_an_expired_token_says_that_it_is_expired(ada: User, settings: Any) -> None:
    login = Login.objects.create(user=ada, session_key="k" * 32)
    token = tokens.Access.for_user(ada)
    token["sub"], token["sid"] = str(ada.id), str(login.id)
    assert resolve_bearer(str(token)).sid == login.id
    token.set_exp(lifetime=timedelta(seconds=-1))
    with pytest.raises(Expired):
        resolve_bearer(str(token))


def test_one_query_tells_whose_token_it_is(ada: User, django_assert_num_queries: Any) -> None:
    token = log_in()["access_token"]
    with django_assert_num_queries(1):
        assert resolve_bearer(token).user.email == "ada@acme.test"


def test_a_logout_kills_the_tokens_at_once(ada: User) -> None:
    meta = log_in()
    other = log_in()
    assert me(meta["access_token"]) == 200
    gone = Client().delete(f"{APP}/auth/session", headers={"X-Session-Token": meta["session_token"]})
    assert gone.status_code == 401
    assert me(meta["access_token"]) == 401 and renew(meta["refresh_token"]).status_code == 400
    assert me(other["access_token"]) == 200
    with pytest.raises(Revoked):
        resolve_bearer(meta["access_token"])


def test_a_program_may_sign_out_by_its_access_token(ada: User) -> None:
    meta = log_in()
    Client().delete(f"{APP}/auth/session", headers={"Authorization": f"Bearer {meta['access_token']}"})
    assert not Login.objects.exists() and me(meta["access_token"]) == 401


def test_a_password_change_ends_all_other_logins(ada: User) -> None:
    mine, other = log_in(), log_in()
    browser = Client()
    browser.force_login(ada)
    answer = post(
        "/account/password/change",
        {"current_password": PASSWORD, "new_password": "another horse, a battery"},
        **{"X-Session-Token": mine["session_token"]},
    )
    assert answer.status_code == 200
    assert me(mine["access_token"]) == 200 and renew(mine["refresh_token"]).status_code == 200
    assert me(other["access_token"]) == 401 and renew(other["refresh_token"]).status_code == 400
    assert browser.get("/api/v1/me/").status_code == 401
    login = Login.objects.get(user=ada)
    assert resolve_session(login.session_key).sid == login.id


def test_a_password_reset_ends_every_login(ada: User) -> None:
    before = log_in()
    asked = post("/auth/password/request", {"email": ada.email})
    session = {"X-Session-Token": asked.json()["meta"]["session_token"]}
    answer = post("/auth/password/reset", {"key": mailed_code(), "password": "another horse, a battery"}, **session)
    assert answer.status_code in (200, 401), answer.content
    assert me(before["access_token"]) == 401 and not Login.objects.exists()
    assert post("/auth/login", {"email": ada.email, "password": PASSWORD}).status_code == 400


def test_a_password_that_an_operator_sets_at_the_console_ends_every_login(ada: User) -> None:
    token = log_in()["access_token"]
    ada.set_password("another horse, a battery")
    ada.save()
    assert me(token) == 401 and not Session.objects.exists()


def test_someone_who_is_shut_out_or_deleted_is_refused(ada: User) -> None:
    meta, kept = log_in(), log_in()
    sid = resolve_bearer(kept["access_token"]).sid
    assert alive([sid]) == {sid}
    User.objects.update(is_active=False)
    assert me(meta["access_token"]) == 401 and renew(meta["refresh_token"]).status_code == 400
    assert alive([sid]) == set()
    User.objects.update(is_active=True)
    assert me(meta["access_token"]) == 200
    ada.delete()
    assert me(meta["access_token"]) == 401 and renew(meta["refresh_token"]).status_code == 400


def test_deactivation_ends_logins_and_tells_the_apps_above(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[object] = []
    monkeypatch.setattr("accounts.hooks._login_end", [lambda sids, user: ended.append((list(sids), user))])
    monkeypatch.setattr("accounts.hooks._account_end", [ended.append])
    log_in()
    sid = Login.objects.get().id
    services.deactivate(ada)
    assert ended == [([sid], ada.id), ada]


def test_expired_sessions_are_swept_with_their_logins(ada: User) -> None:
    log_in()
    Session.objects.update(expire_date=now() - timedelta(days=1))
    log_in()
    assert Login.objects.count() == 2
    SessionStore.clear_expired()
    assert Login.objects.count() == Session.objects.count() == 1


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=10) as pool:
        yield pool


@pytest.mark.django_db(transaction=True)
def test_fifty_parallel_refreshes_yield_one_successor(threads: ThreadPoolExecutor) -> None:
    services.create_person(email="ada@acme.test", password=PASSWORD)
    first = log_in()["refresh_token"]
    start = threading.Barrier(10)

    def use() -> str | None:
        start.wait()
        try:
            pair = refresh(first)
            return pair[1] if pair else None
        finally:
            connections.close_all()

    found = [future.result() for future in [threads.submit(use) for _ in range(50)]]
    assert len(set(found)) == 1 and found[0] is not None
    assert Login.objects.get().refresh_counter == 1
