"""Lanes: in order, together where they may be, each job with exactly one outcome, whoever waits and from wherever."""

import asyncio
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.lanes import BATCH, Lanes

pytestmark = pytest.mark.once
PATIENCE = 10


class Works:
    """Notes the batches; waits while the gate of a lane is shut. `(lane, name)` is a job, a bad one fails alone."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.gates: dict[UUID, threading.Event] = {}
        self.under_way = threading.Semaphore(0)
        self.driven: Counter[UUID] = Counter()

    def shut(self, lane: UUID) -> threading.Event:
        return self.gates.setdefault(lane, threading.Event())

    def __call__(self, jobs: Sequence[tuple[UUID, str]]) -> list[str | Exception]:
        lane = jobs[0][0]
        self.driven[lane] += 1
        assert self.driven[lane] == 1, "one at a time in a lane"
        assert {job[0] for job in jobs} == {lane}, "organizations share no transaction"
        self.batches.append([name for _, name in jobs])
        self.under_way.release()
        if gate := self.gates.get(lane):
            assert gate.wait(PATIENCE)
        self.driven[lane] -= 1
        if any(name.startswith("broken") for _, name in jobs):
            raise ZeroDivisionError
        return [ValueError(name) if name.startswith("bad") else f"done {name}" for _, name in jobs]


def made(works: Works) -> Lanes[Any, Any]:
    return Lanes(works, alone=lambda job: job[1].startswith("alone"))


async def test_a_lone_job_waits_for_nothing() -> None:
    works, lane = Works(), uuid4()
    outcome = asyncio.get_running_loop().create_future()
    made(works).join(lane, (lane, "a"), outcome.set_result)
    assert await asyncio.wait_for(outcome, PATIENCE) == "done a"
    assert works.batches == [["a"]]


async def collected(lanes: Lanes[Any, Any], works: Works, lane: UUID, names: Sequence[str]) -> list[Any]:
    """The outcomes of these jobs, which came while the first one was under way."""
    gate, outcomes, done = works.shut(lane), list[Any](), asyncio.Event()

    def note(outcome: Any) -> None:
        outcomes.append(outcome)
        if len(outcomes) == len(names) + 1:
            done.set()

    lanes.join(lane, (lane, "first"), note)
    await asyncio.to_thread(works.under_way.acquire)
    for name in names:
        lanes.join(lane, (lane, name), note)
    gate.set()
    await asyncio.wait_for(done.wait(), PATIENCE)
    return outcomes[1:]


async def test_what_comes_while_one_is_under_way_is_done_together_and_in_order() -> None:
    works, lane = Works(), uuid4()
    names = [f"{n}" for n in range(5)]
    assert await collected(made(works), works, lane, names) == [f"done {name}" for name in names]
    assert works.batches == [["first"], names]


async def test_a_batch_is_bounded() -> None:
    works, lane = Works(), uuid4()
    names = [f"{n}" for n in range(2 * BATCH + 1)]
    assert await collected(made(works), works, lane, names) == [f"done {name}" for name in names]
    assert [len(batch) for batch in works.batches] == [1, BATCH, BATCH, 1]


async def test_what_goes_alone_keeps_its_place_in_line() -> None:
    works, lane = Works(), uuid4()
    names = ["a", "b", "alone c", "alone d", "e", "f"]
    assert await collected(made(works), works, lane, names) == [f"done {name}" for name in names]
    assert works.batches == [["first"], ["a", "b"], ["alone c"], ["alone d"], ["e", "f"]]


async def test_each_is_told_its_own_outcome_and_when_all_breaks_everyone_is_told() -> None:
    works, lane = Works(), uuid4()
    one, bad, two = await collected(made(works), works, lane, ["a", "bad", "c"])
    assert (one, two) == ("done a", "done c")
    assert isinstance(bad, ValueError)
    works = Works()
    assert [type(each) for each in await collected(made(works), works, lane, ["a", "broken"])] == [
        ZeroDivisionError
    ] * 2


async def test_one_organization_waits_for_no_other() -> None:
    works, slow, quick = Works(), uuid4(), uuid4()
    lanes, gate, waits = made(works), works.shut(slow), asyncio.get_running_loop().create_future()
    lanes.join(slow, (slow, "slow"), waits.set_result)
    assert await asyncio.to_thread(lanes.do, quick, (quick, "quick")) == "done quick"
    assert not waits.done()
    gate.set()
    assert await asyncio.wait_for(waits, PATIENCE) == "done slow"


def test_a_thread_is_answered_or_raised_at() -> None:
    lanes, lane = made(Works()), uuid4()
    assert lanes.do(lane, (lane, "a")) == "done a"
    with pytest.raises(ValueError, match="bad"):
        lanes.do(lane, (lane, "bad"))
    with pytest.raises(ZeroDivisionError):
        lanes.do(lane, (lane, "broken"))
    assert lanes.do(lane, (lane, "b")) == "done b", "the lane goes on"


async def test_an_answer_that_fails_takes_no_other_with_it() -> None:
    works, lane = Works(), uuid4()
    lanes, gate, heard = made(works), works.shut(lane), asyncio.get_running_loop().create_future()

    def fail(_outcome: Any) -> None:
        raise RuntimeError

    lanes.join(lane, (lane, "first"), fail)
    await asyncio.to_thread(works.under_way.acquire)
    lanes.join(lane, (lane, "a"), fail)
    lanes.join(lane, (lane, "b"), heard.set_result)
    gate.set()
    assert await asyncio.wait_for(heard, PATIENCE) == "done b"


def test_nobody_left_to_hear_it_does_not_stop_the_lane() -> None:
    works, lane = Works(), uuid4()
    lanes, gate = made(works), works.shut(lane)

    async def join_and_leave() -> None:
        lanes.join(lane, (lane, "first"), lambda _outcome: None)
        await asyncio.to_thread(works.under_way.acquire)

    asyncio.run(join_and_leave())
    gate.set()
    assert lanes.do(lane, (lane, "a")) == "done a"


JOBS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["", "alone ", "bad "]), st.booleans()), min_size=1, max_size=60
)


@settings(max_examples=40, deadline=None)
@given(JOBS)
def test_every_job_gets_exactly_one_outcome_and_those_of_one_sender_are_done_in_order(
    plan: list[tuple[int, str, bool]],
) -> None:
    """Three lanes, jobs from threads and from a loop at the same time."""
    works, lanes_of = Works(), [uuid4() for _ in range(3)]
    lanes = made(works)
    jobs = [(lanes_of[lane], f"{kind}{n}", threaded) for n, (lane, kind, threaded) in enumerate(plan)]
    outcomes: dict[str, list[Any]] = {name: [] for _, name, _ in jobs}

    def call(lane: UUID, name: str) -> None:
        try:
            outcomes[name].append(lanes.do(lane, (lane, name)))
        except ValueError as error:
            outcomes[name].append(error)

    async def play() -> None:
        with ThreadPoolExecutor(4) as pool:
            loop = asyncio.get_running_loop()
            waiting = []
            for lane, name, threaded in jobs:
                if threaded:
                    waiting.append(loop.run_in_executor(pool, call, lane, name))
                else:
                    future = loop.create_future()
                    lanes.join(lane, (lane, name), future.set_result)
                    future.add_done_callback(lambda each, name=name: outcomes[name].append(each.result()))
                    waiting.append(future)
            await asyncio.wait_for(asyncio.gather(*waiting), PATIENCE)
            await asyncio.sleep(0)

    asyncio.run(play())
    for name, found in outcomes.items():
        assert len(found) == 1
        assert isinstance(found[0], ValueError) if name.startswith("bad") else found == [f"done {name}"]
    done = [name for batch in works.batches for name in batch]
    assert sorted(done) == sorted(outcomes)
    for lane in lanes_of:
        own = [name for at, name, threaded in jobs if at == lane and not threaded]
        assert [name for name in done if name in own] == own
