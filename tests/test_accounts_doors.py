"""The doors of identity: no password but at allauth's, no cookie without CSRF, nothing told to strangers."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.contrib.auth import hashers
from django.contrib.auth.backends import ModelBackend
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.cache import cache
from django.db import IntegrityError, connections
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils.timezone import now

from accounts import services
from accounts.models import Login, User
from core.addresses import client_address

pytestmark = pytest.mark.django_db

PASSWORD = "a horse, a battery"
SIGNUP = "/_allauth/app/v1/auth/signup"


@pytest.fixture(autouse=True)
def fresh_limits() -> None:
    """Redis keeps what was counted in the test before."""
    cache.clear()


@pytest.fixture
def ada() -> User:
    return services.create_person(email="ada@acme.test", password=PASSWORD, display_name="Ada")


@pytest.fixture
def browser(ada: User) -> Client:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada)
    return client


def csrf(client: Client) -> dict[str, str]:
    client.get("/_allauth/browser/v1/config")
    return {"X-CSRFToken": client.cookies["csrftoken"].value}


def bearer(email: str = "ada@acme.test") -> dict[str, str]:
    credentials = {"email": email, "password": PASSWORD}
    answer = Client().post("/_allauth/app/v1/auth/login", credentials, content_type="application/json")
    return {"Authorization": f"Bearer {answer.json()['meta']['access_token']}"}


def every_view(patterns: Any = None, prefix: str = "/") -> Iterator[tuple[str, Any]]:
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(pattern, URLResolver):
            yield from every_view(pattern.url_patterns, prefix + example(pattern))
        elif isinstance(pattern, URLPattern):
            yield prefix + example(pattern), pattern.callback


def example(pattern: Any) -> str:
    """A path that this pattern matches, near enough to reach its view."""
    text = str(pattern.pattern).lstrip("^").rstrip("$")
    for name, converter in pattern.pattern.converters.items():
        kind = type(converter).__name__.removesuffix("Converter").lower()
        value = {"uuid": "01920000-0000-7000-8000-000000000000", "int": "1"}.get(kind, "x")
        text = text.replace(f"<{kind}:{name}>", value).replace(f"<{name}>", value)
    return text


@pytest.mark.once
def test_only_allauth_ever_looks_at_a_password(ada: User, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.ACCOUNT_RATE_LIMITS = False
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    ada.is_staff = ada.is_superuser = True
    ada.save()
    doors: set[str] = set()
    path = ""

    def looked_at(*_: object, **__: object) -> None:
        doors.add(path)

    for module in ("django.contrib.auth.hashers", "django.contrib.auth.base_user"):
        monkeypatch.setattr(f"{module}.check_password", looked_at)
    monkeypatch.setattr(ModelBackend, "authenticate", looked_at)
    names = ("email", "username", "login", "password", "password1", "old_password", "oldpassword", "current_password")
    form = {name: PASSWORD if "password" in name else ada.email for name in names}
    basic = {"Authorization": "Basic YWRhQGFjbWUudGVzdDphIGhvcnNlLCBhIGJhdHRlcnk="}
    client = Client(raise_request_exception=False)
    for path, signed_in in product((path for path, _ in every_view()), (False, True)):
        client.cookies.clear()
        if signed_in:
            client.force_login(ada)
        client.post(path, form)
        client.post(path, form, content_type="application/json")
        client.post(path, headers=basic)
        client.get(path, headers=basic)
    assert {"/accounts/login/", "/_allauth/app/v1/auth/login", "/_allauth/browser/v1/auth/login"} <= doors
    assert all(path.startswith(("/accounts/", "/_allauth/")) for path in doors), doors


def test_the_operators_desk_sends_strangers_to_the_front_door_and_wants_a_second_factor(ada: User) -> None:
    stranger = Client()
    assert stranger.get("/django-admin/login/").headers["Location"].startswith("/accounts/login/")
    client = Client()
    client.force_login(ada)
    assert client.get("/django-admin/login/").status_code == 403
    User.objects.update(is_staff=True, is_superuser=True)
    assert client.get("/django-admin/accounts/user/").status_code == 302
    assert client.get("/django-admin/login/").headers["Location"] == "/accounts/2fa/"
    assert client.get("/django-admin/password_change/").status_code == 302
    TOTP.activate(ada, generate_totp_secret())
    assert client.get("/django-admin/accounts/user/").status_code == 200


def test_an_operator_shuts_someone_out_and_their_logins_end(ada: User) -> None:
    operator = services.create_person(email="root@acme.test", password=PASSWORD, is_staff=True, is_superuser=True)
    TOTP.activate(operator, generate_totp_secret())
    token, desk = bearer(), Client()
    desk.force_login(operator)
    form = {"display_name": "Ada", "timezone": "UTC", "is_active": "on"}
    address = f"/django-admin/accounts/user/{ada.pk}/change/"
    assert desk.post(address, form).status_code == 302
    assert Client().get("/api/v1/me/", headers=token).status_code == 200
    del form["is_active"]
    assert desk.post(address, form).status_code == 302
    assert not Login.objects.filter(user=ada).exists()
    assert Client().get("/api/v1/me/", headers=token).status_code == 401


def test_signing_up_with_a_known_address_looks_and_costs_the_same(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    real = hashers.Argon2PasswordHasher.encode

    def counted(hasher: hashers.Argon2PasswordHasher, password: str, salt: str) -> str:
        hashed.append(password)
        return real(hasher, password, salt)

    monkeypatch.setattr(hashers.Argon2PasswordHasher, "encode", counted)
    seen = []
    for email in ("ADA@acme.test", "someone-new@acme.test"):
        hashed.clear()
        answer = Client().post(SIGNUP, {"email": email, "password": PASSWORD}, content_type="application/json")
        body = answer.json()
        body["meta"].pop("session_token")
        seen.append((answer.status_code, body, len(hashed), len(mail.outbox)))
    (known, new) = seen
    assert known[:3] == new[:3] and known[2] == 1
    assert (known[3], new[3]) == (1, 2) and mail.outbox[0].to == ["ada@acme.test"]
    assert User.objects.filter(email="ada@acme.test").count() == 1


def test_a_wrong_password_and_an_unknown_address_are_answered_alike(ada: User) -> None:
    login = "/_allauth/app/v1/auth/login"
    answers = [
        Client().post(login, {"email": email, "password": "wrong, wrong, wrong"}, content_type="application/json")
        for email in ("ada@acme.test", "nobody@acme.test")
    ]
    assert answers[0].status_code == answers[1].status_code == 400
    assert answers[0].content == answers[1].content


def test_guesses_at_a_password_are_limited_whatever_the_factor(ada: User) -> None:
    login = "/_allauth/app/v1/auth/login"
    for _ in range(5):
        Client().post(login, {"email": ada.email, "password": "wrong"}, content_type="application/json")
    answer = Client().post(login, {"email": ada.email, "password": PASSWORD}, content_type="application/json")
    assert answer.status_code == 400 and answer.json()["errors"][0]["code"] == "too_many_login_attempts"


@pytest.mark.django_db(transaction=True)
def test_parallel_guesses_at_a_mailed_code_are_counted() -> None:
    answer = Client().post(SIGNUP, {"email": "eve@acme.test", "password": PASSWORD}, content_type="application/json")
    session = {"X-Session-Token": answer.json()["meta"]["session_token"]}
    start = threading.Barrier(10)

    def guess(number: int) -> int:
        start.wait()
        path, key = "/_allauth/app/v1/auth/email/verify", {"key": f"BCDF-{number:04}"}
        try:
            return Client().post(path, key, content_type="application/json", headers=session).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=10) as pool:
        statuses = list(pool.map(guess, range(40)))
    assert statuses.count(429) >= 30, statuses
    assert set(statuses) <= {400, 409, 429}


def test_closed_signup_opens_only_for_those_whom_a_hook_lets_in(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.OPEN_SIGNUP = False
    new = {"email": "new@acme.test", "password": PASSWORD}
    assert Client().post(SIGNUP, new, content_type="application/json").status_code == 403
    monkeypatch.setattr("accounts.hooks._signup", [lambda request: "X-Invited" in request.headers])
    invited = Client().post(SIGNUP, new, content_type="application/json", headers={"X-Invited": "1"})
    assert invited.status_code == 401 and User.objects.filter(email="new@acme.test").exists()


def test_a_bad_token_beside_a_good_cookie_is_refused(browser: Client) -> None:
    assert browser.get("/api/v1/me/").status_code == 200
    for header in ("Bearer nonsense", "Bearer", "", "Basic YTpi", "Bearer a b", "Bearer ccl_nothing"):
        answer = browser.get("/api/v1/me/", headers={"Authorization": header})
        assert answer.status_code == 401, header
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_cookie_changes_nothing_without_its_csrf_token(browser: Client) -> None:
    change = {"display_name": "Mallory"}
    refused = browser.patch("/api/v1/me/", change, content_type="application/json")
    assert refused.status_code == 403 and User.objects.get().display_name == "Ada"
    done = browser.patch("/api/v1/me/", change, content_type="application/json", headers=csrf(browser))
    assert done.status_code == 200 and User.objects.get().display_name == "Mallory"


def test_a_cookie_whose_login_has_ended_signs_nobody_in(browser: Client) -> None:
    Login.objects.all().delete()
    assert Session.objects.exists()
    assert browser.get("/api/v1/me/").status_code == 401


def test_a_cookie_that_has_expired_or_of_someone_shut_out_signs_nobody_in(browser: Client) -> None:
    assert browser.get("/api/v1/me/").status_code == 200
    User.objects.update(is_active=False)
    assert browser.get("/api/v1/me/").status_code == 401
    User.objects.update(is_active=True)
    assert browser.get("/api/v1/me/").status_code == 200
    Session.objects.update(expire_date=now() - timedelta(seconds=1))
    assert browser.get("/api/v1/me/").status_code == 401


def test_a_cookie_of_an_old_password_or_of_another_person_signs_nobody_in(ada: User, browser: Client) -> None:
    assert browser.get("/api/v1/me/").status_code == 200
    User.objects.update(password=hashers.make_password("another horse"))
    assert browser.get("/api/v1/me/").status_code == 401
    User.objects.update(password=ada.password)
    assert browser.get("/api/v1/me/").status_code == 200
    bob = services.create_person(email="bob@acme.test", password=PASSWORD)
    Login.objects.update(user=bob)
    assert browser.get("/api/v1/me/").status_code == 401


@pytest.mark.parametrize("cookie", ['"\\000aaaaaaaa"', "x", "a" * 32, "é" * 10])
def test_an_invented_cookie_signs_nobody_in(cookie: str) -> None:
    answer = Client().get("/api/v1/me/", headers={"Cookie": f"sessionid={cookie}"})
    assert answer.status_code == 401


def test_a_session_planted_before_the_login_is_worthless_after_it(ada: User) -> None:
    client = Client()
    session = client.session
    session["planted"] = True
    session.save()
    planted = str(session.session_key)
    client.cookies["sessionid"] = planted
    answer = client.post("/accounts/login/", {"login": ada.email, "password": PASSWORD})
    assert answer.status_code == 302 and client.get("/api/v1/me/").status_code == 200
    assert client.cookies["sessionid"].value != planted
    assert not Session.objects.filter(session_key=planted).exists()


def test_a_browser_that_signs_out_has_no_login_left(ada: User) -> None:
    client = Client()
    client.post("/accounts/login/", {"login": "ADA@acme.test", "password": PASSWORD})
    assert client.get("/api/v1/me/").status_code == 200 and Login.objects.count() == 1
    client.post("/accounts/logout/")
    assert client.get("/api/v1/me/").status_code == 401 and not Login.objects.exists()


def test_another_person_signing_in_over_a_session_ends_the_first_login(ada: User) -> None:
    bob = services.create_person(email="bob@acme.test", password=PASSWORD)
    client = Client()
    client.force_login(ada)
    client.force_login(bob)
    client.force_login(bob)
    assert [login.user for login in Login.objects.all()] == [bob]
    assert client.get("/api/v1/me/").json()["email"] == "bob@acme.test"


def test_i_see_myself_and_change_only_what_is_mine_to_change(ada: User) -> None:
    token = bearer()
    found = Client().get("/api/v1/me/", headers=token).json()
    assert {"id": str(ada.id), "email": "ada@acme.test", "timezone": "UTC", "avatar": ""}.items() <= found.items()

    def change(**fields: Any) -> int:
        return Client().patch("/api/v1/me/", fields, content_type="application/json", headers=token).status_code

    assert change(display_name="Ada L.", timezone="Europe/London") == 200
    bad_values = ({"timezone": "Mars"}, {"display_name": " "}, {"display_name": "x" * 81}, {"display_name": "a\0b"})
    not_mine = ({"email": "eve@evil.test"}, {"is_staff": True}, {"display_name": None})
    for wrong in (*bad_values, *not_mine):
        assert change(**wrong) == 400, wrong
    ada.refresh_from_db()
    assert (ada.display_name, ada.timezone, ada.email) == ("Ada L.", "Europe/London", "ada@acme.test")


def test_i_see_my_sessions_and_nobody_elses_and_end_them(ada: User) -> None:
    services.create_person(email="bob@acme.test", password=PASSWORD)
    mine, other, foreign = bearer(), bearer(), bearer("bob@acme.test")
    page = Client().get("/api/v1/me/sessions/", headers=mine).json()
    assert page.keys() == {"next", "previous", "results"} and len(page["results"]) == 2
    assert page["results"][0].keys() == {"id", "created_at", "last_used_at", "address", "user_agent", "current"}
    current = next(row["id"] for row in page["results"] if row["current"])
    [another] = [row["id"] for row in page["results"] if not row["current"]]
    assert len(Client().get("/api/v1/me/sessions/?limit=1", headers=mine).json()["results"]) == 1
    assert Client().delete(f"/api/v1/me/sessions/{another}/", headers=foreign).status_code == 404
    assert Client().get("/api/v1/me/", headers=other).status_code == 200
    assert Client().delete(f"/api/v1/me/sessions/{another}/", headers=mine).status_code == 204
    assert Client().get("/api/v1/me/", headers=other).status_code == 401
    bearer()
    assert Client().delete("/api/v1/me/sessions/", headers=mine).status_code == 204
    rest = Client().get("/api/v1/me/sessions/", headers=mine).json()["results"]
    assert [row["id"] for row in rest] == [current]
    assert Client().get("/api/v1/me/", headers=foreign).status_code == 200


def test_two_spellings_of_an_address_are_one_person(ada: User) -> None:
    with pytest.raises(IntegrityError):
        User.objects.create_user("ADA@ACME.TEST", PASSWORD)


def test_passwords_are_kept_with_argon2(ada: User) -> None:
    assert ada.password.startswith("argon2$argon2id$")


@pytest.mark.parametrize(
    ("proxies", "forwarded", "found"),
    [
        (0, "6.6.6.6", "10.0.0.1"),
        (1, "6.6.6.6, 7.7.7.7", "7.7.7.7"),
        (2, "6.6.6.6, 7.7.7.7, 8.8.8.8", "7.7.7.7"),
        (2, "6.6.6.6", "10.0.0.1"),
        (1, "[2001:db8::1]:443", "2001:db8::1"),
        (1, "nonsense", None),
    ],
)
def test_only_our_own_proxies_say_where_someone_comes_from(
    settings: Any, proxies: int, forwarded: str, found: str | None
) -> None:
    settings.TRUSTED_PROXY_COUNT = proxies
    request: HttpRequest = RequestFactory().get("/", headers={"X-Forwarded-For": forwarded}, REMOTE_ADDR="10.0.0.1")
    scope = {"client": ("10.0.0.1", 5), "headers": [(b"x-forwarded-for", forwarded.encode())]}
    assert client_address(request) == client_address(scope) == found


def test_a_unix_socket_has_no_address_and_still_lets_people_in(ada: User) -> None:
    credentials = {"email": ada.email, "password": PASSWORD}
    login = "/_allauth/app/v1/auth/login"
    answer = Client(REMOTE_ADDR="").post(login, credentials, content_type="application/json")
    assert answer.status_code == 200 and Login.objects.get().address is None
