"""The pages of identity: signing up with a mailed code, one's own profile, one's own sessions."""

from datetime import timedelta

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.utils.timezone import now

from accounts import services
from accounts.models import Login, User
from accounts.pages import device

pytestmark = pytest.mark.django_db

PASSWORD = "a horse, a battery"
PROFILE = "/accounts/profile/"


@pytest.fixture(autouse=True)
def fresh_limits() -> None:
    """Redis keeps what was counted in the test before."""
    cache.clear()


@pytest.fixture
def ada() -> User:
    return services.create_person(email="ada@acme.test", password=PASSWORD, display_name="Ada")


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_a_stranger_signs_up_with_a_code_from_the_mail() -> None:
    client = Client()
    asked = client.post("/accounts/signup/", {"email": "New@acme.test", "password1": PASSWORD})
    assert asked.status_code == 302 and asked.headers["Location"].startswith("/accounts/confirm-email/")
    assert client.get("/api/v1/me/").status_code == 401
    code = next(word for word in str(mail.outbox[-1].body).split() if len(word) == 9 and word[4] == "-")
    assert client.post("/accounts/confirm-email/", {"code": "BCDF-GHJK"}).status_code == 200
    assert client.get("/api/v1/me/").status_code == 401
    done = client.post("/accounts/confirm-email/", {"code": code})
    assert done.status_code == 302 and client.get("/api/v1/me/").json()["email"] == "new@acme.test"


def test_a_profile_is_changed_by_its_owner(ada: User) -> None:
    client = signed_in(ada)
    assert client.get(PROFILE).status_code == 200
    assert client.post(PROFILE, {"display_name": "", "timezone": "UTC"}).status_code == 200
    assert client.post(PROFILE, {"display_name": "Ada L.", "timezone": "Mars"}).status_code == 200
    assert User.objects.get().display_name == "Ada"
    assert client.post(PROFILE, {"display_name": "Ada L.", "timezone": "Europe/London"}).status_code == 302
    assert User.objects.values_list("display_name", "timezone").get() == ("Ada L.", "Europe/London")


def test_a_profile_wants_someone_signed_in() -> None:
    assert Client().get(PROFILE).headers["Location"].startswith("/accounts/login/")


def test_sessions_are_ended_one_by_one_or_all_others_but_only_ones_own(ada: User) -> None:
    bob = services.create_person(email="bob@acme.test", password=PASSWORD)
    here, there, elsewhere, foreign = signed_in(ada), signed_in(ada), signed_in(ada), signed_in(bob)
    one = Login.objects.get(session_key=there.session.session_key)
    assert signed_in(bob).post(PROFILE, {"revoke": str(one.id)}).status_code == 302
    assert there.get("/api/v1/me/").status_code == 200
    assert here.post(PROFILE, {"revoke": str(one.id)}).status_code == 302
    assert there.get("/api/v1/me/").status_code == 401 and elsewhere.get("/api/v1/me/").status_code == 200
    assert there.get(PROFILE).status_code == 302
    assert here.post(PROFILE, {"revoke": "others"}).status_code == 302
    assert elsewhere.get("/api/v1/me/").status_code == 401
    assert here.get("/api/v1/me/").status_code == foreign.get("/api/v1/me/").status_code == 200
    assert here.post(PROFILE, {"revoke": "nonsense"}).status_code == 404


def test_the_last_use_is_noted_at_most_once_a_minute(ada: User) -> None:
    client = signed_in(ada)
    before = now() - timedelta(seconds=50)
    Login.objects.update(last_used_at=before)
    client.get("/api/v1/me/")
    assert Login.objects.get().last_used_at == before
    Login.objects.update(last_used_at=now() - timedelta(seconds=70))
    client.get("/api/v1/me/")
    assert now() - Login.objects.get().last_used_at < timedelta(seconds=30)


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/137.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/137 Safari/537.36 Edg/137.0", "Edge on Windows"),
        ("python-httpx/0.28", "python-httpx"),
        ("", "Unknown program"),
    ],
)
def test_a_device_has_words_that_its_owner_knows(user_agent: str, words: str) -> None:
    assert device(Login(user_agent=user_agent)) == words
