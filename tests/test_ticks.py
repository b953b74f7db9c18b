"""The timers of many sockets (core/ticks.py)."""

from collections.abc import Callable

import pytest
from twisted.internet.task import Clock

from core.ticks import Call, Ticks

pytestmark = pytest.mark.once
ROW = 4


class Turns(Clock):
    """Like a reactor, and unlike a `Clock`: what is to come at once comes at the next turn."""

    def callLater(self, when: float, what: Callable[..., object], *args: object) -> object:
        return super().callLater(when or 1e-9, what, *args)


@pytest.fixture
def clock() -> Clock:
    return Turns()


@pytest.fixture
def ticks(clock: Clock) -> Ticks:
    return Ticks(clock, 0.5, ROW)


def noting(into: list[int], number: int) -> Callable[[], None]:
    return lambda: into.append(number)


def test_a_call_comes_at_the_next_tick_never_earlier(clock: Clock, ticks: Ticks) -> None:
    called: list[int] = []
    ticks.call_later(1.2, noting(called, 1))
    clock.advance(1.4)
    assert not called
    clock.advance(0.1)
    assert called == [1]
    clock.advance(10)
    assert called == [1] and not clock.getDelayedCalls()


def test_one_timer_serves_a_whole_tick(clock: Clock, ticks: Ticks) -> None:
    for n in range(100):
        ticks.call_later(1.0 + n / 1000, list)
    assert len(clock.getDelayedCalls()) == 2, "one for the very second, one for what comes after it"


def test_others_have_their_turn_between_rows(clock: Clock, ticks: Ticks) -> None:
    called: list[int] = []
    for n in range(ROW * 2 + 1):
        ticks.call_later(1, noting(called, n))
    clock.advance(1)
    assert called == list(range(ROW))
    clock.advance(1e-6)
    clock.advance(1e-6)
    assert called == list(range(ROW * 2 + 1)) and not clock.getDelayedCalls()


def test_what_is_cancelled_never_comes_even_after_its_tick_began(clock: Clock, ticks: Ticks) -> None:
    called: list[int] = []
    calls = [ticks.call_later(1, noting(called, n)) for n in range(ROW + 2)]
    calls[1].cancel()
    clock.advance(1)
    calls[-1].cancel()
    calls[0].cancel()
    clock.advance(1e-6)
    assert called == [0, 2, 3, 4]


def test_one_call_may_cancel_another_of_its_row(clock: Clock, ticks: Ticks) -> None:
    called: list[int] = []
    others: list[Call] = []
    ticks.call_later(1, lambda: others.pop().cancel())
    others.append(ticks.call_later(1, noting(called, 2)))
    clock.advance(1)
    assert not called and not clock.getDelayedCalls()


def test_a_call_that_fails_keeps_none_of_the_others_from_coming(clock: Clock, ticks: Ticks) -> None:
    called: list[int] = []
    ticks.call_later(1, lambda: next(iter([])))
    ticks.call_later(1, noting(called, 1))
    clock.advance(1)
    assert called == [1]
