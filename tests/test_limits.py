"""Rate limits by themselves: buckets, leases, the shared counters on either stack, and how an address is counted."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from django.conf import settings as configured
from django.core.cache import cache
from django.db import OperationalError, connection, connections
from hypothesis import given
from hypothesis import strategies as st

from chat.limits import Pace, Streak
from core import limits
from core.addresses import client_network
from core.counting import Away, Counter, DatabaseCounter, Granted, RedisCounter, shared_counter
from core.environment import Environment
from core.errors import NotFound, RateLimited, Unavailable
from core.ids import new_id
from core.limits import MOST, SHARE, Bucket, Buckets, Leases
from core.models import Allowance
from core.rates import Rate, read_rate

RATE = Rate(10, 5)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Fake:
    """A counter with a clock of its own, that notes how often it is asked."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.calls, self.away = clock, 0, False
        self.windows: dict[str, tuple[int, float]] = {}

    def take(self, key: str, wanted: int, limit: int, seconds: float) -> Granted:
        self.calls += 1
        if self.away:
            raise Away
        spent, end = self.windows.get(key, (0, 0.0))
        if self.clock() >= end:
            spent, end = 0, self.clock() + seconds
        granted = max(0, min(wanted, limit - spent))
        self.windows[key] = (spent + granted, end)
        return Granted(granted, end - self.clock())

    def give_back(self, key: str) -> None:
        spent, end = self.windows[key]
        self.windows[key] = (spent - 1, end)


@pytest.fixture
def clock() -> Clock:
    return Clock()


# --- Buckets

steps = st.lists(st.tuples(st.floats(0, 20), st.integers(1, 30)), max_size=60)
rates = st.builds(Rate, st.integers(1, 50), st.integers(1, 60))


@given(rates, steps)
def test_a_bucket_gives_its_burst_and_its_rate_and_never_more(rate: Rate, asked: list[tuple[float, int]]) -> None:
    bucket, now, given_out = Bucket(rate, 0.0), 0.0, 0
    for pause, amount in asked:
        now += pause
        if bucket.take(amount, now) == 0:
            given_out += amount
            most = rate.amount + now * rate.amount / rate.seconds
            # What is larger than the bucket is lent once, from a full one.
            assert given_out <= most + max(0, max(each for _, each in asked) - rate.amount) + 1e-6


@given(rates, steps)
def test_who_waits_as_long_as_a_bucket_says_is_let_through(rate: Rate, asked: list[tuple[float, int]]) -> None:
    bucket, now = Bucket(rate, 0.0), 0.0
    for pause, amount in asked:
        now += pause
        wait = bucket.take(amount, now)
        if wait:
            now += wait + 1e-6
            assert bucket.take(amount, now) == 0


@given(rates, st.floats(0, 100))
def test_a_clock_that_goes_back_fills_no_bucket(rate: Rate, back: float) -> None:
    bucket = Bucket(rate, 100.0)
    assert bucket.take(rate.amount, 100.0) == 0
    assert bucket.take(1, 100.0 - back) > 0


def test_an_address_table_stays_bounded_and_forgets_who_was_quiet_for_longest(clock: Clock) -> None:
    table = Buckets(most=3, clock=clock)
    for key in "aaaabcd":
        table.take(key, Rate(3, 60))
    assert len(table) == 3
    assert table.wait("a", Rate(3, 60)) == 0, "forgotten"
    for _ in range(2):
        table.take("d", Rate(3, 60))
    assert table.take("d", Rate(3, 60)) > 0, "still known"


# --- Leases


def spent(leases: Leases, rate: Rate, tries: int, key: str = "k") -> int:
    return sum(leases.spend(key, rate) == 0 for _ in range(tries))


def test_processes_share_one_allowance_and_exceed_it_by_no_more_than_a_share_each(clock: Clock) -> None:
    counter, rate = Fake(clock), Rate(320, 60)
    processes = [Leases(lambda: counter, clock=clock) for _ in range(4)]
    got = sum(leases.spend("k", rate) == 0 for _ in range(200) for leases in processes)
    assert rate.amount - 3 * rate.amount // SHARE <= got <= rate.amount + 4 * rate.amount // SHARE
    assert 0 < processes[0].spend("k", rate) <= 60
    clock.now += 60
    assert processes[0].spend("k", rate) == 0, "the next window"


def test_a_small_allowance_is_exact(clock: Clock) -> None:
    counter, rate = Fake(clock), Rate(SHARE - 1, 60)
    processes = [Leases(lambda: counter, clock=clock) for _ in range(3)]
    assert sum(leases.spend("k", rate) == 0 for _ in range(50) for leases in processes) == rate.amount


def test_the_counter_is_asked_seldom_and_of_one_who_writes_now_and_then_never(clock: Clock) -> None:
    counter, rate = Fake(clock), Rate(1600, 60)
    leases = Leases(lambda: counter, clock=clock)
    for _ in range(50):
        assert leases.spend("quiet", rate) == 0
        clock.now += 10
    assert counter.calls == 0
    assert spent(leases, rate, 2000, "busy") >= 1600
    assert counter.calls <= SHARE + 1, "and who is refused costs nothing more"


def test_what_a_lease_holds_ends_with_its_window(clock: Clock) -> None:
    counter, rate = Fake(clock), Rate(160, 60)
    leases = Leases(lambda: counter, clock=clock)
    for _ in range(12):
        leases.spend("k", rate)
    assert counter.calls == 1
    clock.now += 61
    spent(leases, rate, 11)
    assert counter.calls == 2 and counter.windows["k"][0] == 10


def test_without_the_counter_each_process_holds_the_limit_by_itself_and_asks_again_soon(clock: Clock) -> None:
    counter, rate = Fake(clock), Rate(32, 60)
    leases = Leases(lambda: counter, clock=clock)
    counter.away = True
    assert spent(leases, rate, 200) == rate.amount + rate.amount // SHARE
    assert spent(leases, rate, 200, "another") == rate.amount + rate.amount // SHARE
    assert counter.calls == 1, "one that is away is not asked by each"
    counter.away = False
    clock.now += 61
    assert spent(leases, rate, 200) >= rate.amount
    assert counter.calls > 1


def test_leases_stay_bounded(clock: Clock) -> None:
    leases = Leases(lambda: Fake(clock), clock=clock)
    for number in range(MOST + 50):
        leases.try_spend(str(number), RATE)
    assert len(leases) == MOST


def test_the_event_loop_never_waits_for_a_thread_that_asks(clock: Clock) -> None:
    asked, answer = threading.Event(), threading.Event()

    class Slow(Fake):
        def take(self, *args: Any) -> Granted:
            asked.set()
            answer.wait(10)
            return super().take(*args)

    slow = Slow(clock)
    leases, rate = Leases(lambda: slow, clock=clock), Rate(5, 60)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(leases.spend, "k", rate)
        assert asked.wait(10)
        assert leases.try_spend("k", rate) is None
        answer.set()
        assert waiting.result(10) == 0


# --- The shared counters


@pytest.fixture
def counter(transactional_db: None) -> Counter:
    shared_counter.cache_clear()
    return shared_counter()


def test_the_counter_is_where_the_cache_is(counter: Counter) -> None:
    on_redis = configured.CACHES["default"]["BACKEND"].endswith("RedisCache")
    assert isinstance(counter, RedisCounter if on_redis else DatabaseCounter)


def counters(counter: Counter) -> list[Counter]:
    return [counter] if isinstance(counter, DatabaseCounter) else [counter, DatabaseCounter()]


def test_parallel_takers_get_the_limit_and_not_one_more(counter: Counter) -> None:
    for each in counters(counter):
        key, start = str(new_id()), threading.Barrier(8)

        def take(number: int, each: Counter = each, key: str = key, start: Any = start) -> int:
            if number < 8:
                start.wait()
            try:
                return each.take(key, 3, 20, 60).amount
            finally:
                connections.close_all()

        with ThreadPoolExecutor(8) as pool:
            granted = list(pool.map(take, range(40)))
        assert sum(granted) == 20
        assert sorted(granted, reverse=True)[:7] == [3, 3, 3, 3, 3, 3, 2]


def test_a_window_ends_and_what_is_given_back_can_be_had_again(counter: Counter) -> None:
    for each in counters(counter):
        key = str(new_id())
        first = each.take(key, 2, 2, 1)
        assert first.amount == 2 and 0 < first.seconds <= 1
        refused = each.take(key, 1, 2, 1)
        assert refused.amount == 0 and 0 < refused.seconds <= first.seconds
        each.give_back(key)
        assert each.take(key, 2, 2, 1).amount == 1
        time.sleep(1.1)
        each.give_back(key)
        assert each.take(key, 9, 2, 1).amount == 2, "what came back too late is not had twice"


def test_rows_of_windows_that_are_over_are_dropped(transactional_db: None) -> None:
    counter = DatabaseCounter()
    Allowance.objects.bulk_create(Allowance(name=f"old:{n}", spent=1, granted=1, ends_at=1.0) for n in range(30))
    for number in range(400):
        counter.take(f"new:{number % 3}", 1, 5, 60)
    assert set(Allowance.objects.values_list("name", flat=True)) == {"new:0", "new:1", "new:2"}


def test_a_counter_that_is_not_there_is_away_within_seconds() -> None:
    counter = RedisCounter("redis://127.0.0.1:1/0")
    began = time.monotonic()
    for call in (lambda: counter.take("k", 1, 1, 1), lambda: counter.give_back("k")):
        with pytest.raises(Away) as caught:
            call()
        assert isinstance(caught.value.__cause__, redis.RedisError)
    assert time.monotonic() - began < 5


@pytest.mark.django_db(transaction=True)
def test_a_database_that_fails_is_away() -> None:
    counter = DatabaseCounter()

    def broken(*_: Any) -> None:
        raise OperationalError

    with connection.execute_wrapper(broken):
        for call in (lambda: counter.take("k", 1, 1, 1), lambda: counter.give_back("k")):
            with pytest.raises(Away):
                call()


# --- Guesses


@pytest.fixture
def guesses(counter: Counter, settings: Any) -> Callable[..., str]:
    settings.LIMIT_GUESSES_ADDRESS, settings.LIMIT_GUESSES_USER = Rate(5, 60), Rate(3, 60)
    what = str(new_id())

    def guess(right: bool, address: str | None = "192.0.2.1", user: Any = None) -> str:
        try:
            with limits.guess(what, address=address, user=user):
                if not right:
                    raise NotFound
        except (NotFound, RateLimited, Unavailable) as error:
            return error.code
        return "ok"

    return guess


def test_wrong_guesses_are_counted_by_address_whatever_the_factor_and_right_ones_are_not(
    guesses: Callable[..., str],
) -> None:
    assert configured.RATE_LIMIT_FACTOR == 0
    assert [guesses(True) for _ in range(20)] == ["ok"] * 20
    assert [guesses(False) for _ in range(7)] == ["not_found"] * 5 + ["rate_limited"] * 2
    assert guesses(True) == "rate_limited", "the right one is not told apart by then"
    assert guesses(True, "192.0.2.2") == "ok"


def test_wrong_guesses_are_counted_by_account_and_cost_others_at_the_address_little(
    guesses: Callable[..., str],
) -> None:
    eve, ada = new_id(), new_id()
    assert [guesses(False, "192.0.2.1", eve) for _ in range(3)] == ["not_found"] * 3
    assert [guesses(False, f"192.0.2.{n}", eve) for n in range(1, 40)] == ["rate_limited"] * 39
    assert guesses(True, "192.0.2.1", ada) == "ok"


def test_parallel_guesses_are_counted_exactly(guesses: Callable[..., str]) -> None:
    start = threading.Barrier(10)

    def guess(_: int) -> str:
        start.wait()
        try:
            return guesses(False)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(10) as pool:
        told = list(pool.map(guess, range(40)))
    assert (told.count("not_found"), told.count("rate_limited")) == (5, 35)


def test_without_the_counter_nobody_guesses(guesses: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert guesses(True) == "ok"
    monkeypatch.setattr(limits, "shared_counter", lambda: RedisCounter("redis://127.0.0.1:1/0"))
    assert guesses(True) == "unavailable"


# --- One socket


def test_a_socket_may_burst_then_keeps_its_pace_in_frames_and_in_bytes(settings: Any, clock: Clock) -> None:
    settings.RATE_LIMIT_FACTOR, settings.LIMIT_FRAMES, settings.LIMIT_BYTES = 1, Rate(4, 4), Rate(1000, 4)
    pace = Pace(clock)
    for _ in range(4):
        pace.hear(10)
    with pytest.raises(RateLimited) as refused:
        pace.hear(10)
    clock.now += refused.value.retry_after or 0
    pace.hear(900)
    clock.now += 1
    with pytest.raises(RateLimited, match="bytes") as refused:
        pace.hear(900)
    clock.now += refused.value.retry_after or 0
    pace.hear(900)


def test_the_factor_scales_a_pace_and_nought_lifts_it(settings: Any, clock: Clock) -> None:
    settings.LIMIT_FRAMES, settings.LIMIT_BYTES = Rate(2, 60), Rate(1000, 60)
    for factor, most in ((0.5, 1), (1, 2), (2.5, 5), (0, 100)):
        settings.RATE_LIMIT_FACTOR, passed = factor, 0
        pace = Pace(clock)
        for _ in range(100):
            try:
                pace.hear(1)
            except RateLimited:
                break
            passed += 1
        assert passed == most


def test_what_happens_often_enough_within_a_minute_goes_on(clock: Clock) -> None:
    streak = Streak(3, clock)
    told = []
    for pause in (0, 29, 31, 29, 29):
        clock.now += pause
        told.append(streak.again())
    assert told == [False, False, False, False, True]


# --- Addresses and settings


@pytest.mark.parametrize(
    ("peer", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", None),
    ],
)
def test_an_ipv6_customer_counts_as_one_address(peer: str, counted: str | None) -> None:
    assert client_network({"client": (peer, 1)}) == counted


@pytest.mark.parametrize("text", ["", "120/20"])
def test_a_rate_is_so_many_in_so_many_seconds(text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("LIMIT_X", text)
    assert read_rate(Environment(tmp_path), "LIMIT_X", "120/20") == Rate(120, 20)


@pytest.mark.parametrize("text", ["0/20", "12", "1/0", "-1/2", "a/b", "1/2/3", "1.5/2"])
def test_a_rate_that_is_none_stops_the_start(
    text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LIMIT_X", text)
    with pytest.raises(SystemExit):
        read_rate(Environment(tmp_path), "LIMIT_X", "120/20")
    assert "LIMIT_X" in capsys.readouterr().err


@pytest.mark.django_db
def test_a_flood_of_other_counts_does_not_make_the_cache_forget_one() -> None:
    """Django's database cache keeps 300 rows by default, then drops living ones: guesses would begin anew."""
    cache.set("0:guesses", [1.0], 60)
    for number in range(400):
        cache.set(f"flood:{number}", [1.0], 60)
    assert cache.get("0:guesses") == [1.0]
