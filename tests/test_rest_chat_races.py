"""Rooms and messages over REST, asked for by several at once."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connections

from chat.models import Message
from tests.callers import Caller
from tests.cast import Cast

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=6) as pool:
        yield pool


def at_once(threads: ThreadPoolExecutor, calls: list[Callable[[], Any]]) -> list[Any]:
    start = Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        start.wait()
        try:
            return call()
        finally:
            connections.close_all()

    return [future.result() for future in [threads.submit(run, call) for call in calls]]


def test_people_who_write_to_each_other_at_once_meet_in_one_room(committed_cast: Cast, threads: Any) -> None:
    one, other = (Caller(committed_cast.people[name]) for name in ("member", "lurker"))
    calls = [
        lambda me=me, you=you: me.ask("POST", "direct/", {"users": [you.id]})
        for me, you in [(one, other), (other, one)] * 3
    ]
    answers = at_once(threads, calls)
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201], [each.content for each in answers]
    assert len({answer.json()["id"] for answer in answers}) == 1


def test_a_send_that_is_repeated_at_once_makes_one_message(committed_cast: Cast, threads: Any) -> None:
    path, body = f"rooms/{committed_cast.rooms['den']}/messages/", {"body": "once", "nonce": "once"}
    member = Caller(committed_cast.member)
    answers = at_once(threads, [lambda: member.ask("POST", path, body)] * 6)
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201], [each.content for each in answers]
    assert Message.objects.filter(nonce="once").count() == 1
