"""One room's feed against a model of its database: every order, loss and repetition of a short history, and many of
longer ones. Whoever stays folds what they hear to the truth; whoever is removed hears nothing committed after it."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from hypothesis.strategies import booleans, data, integers, sampled_from

from chat.feed import NOWHERE, WAITING, Feed, RoomEvent, Subscription
from core.frames import Text

pytestmark = pytest.mark.once
ROOM = uuid4()
State = dict[int, tuple[int, str]]
"""By message number: its newest rev, and what it says as of that."""


class Database:
    """A room as committed: messages, counters, and from which number on each person may read."""

    def __init__(self, *people: "Person") -> None:
        self.rev = self.readers = 0
        self.messages: State = {}
        self.visible_from = dict.fromkeys(people, 1)

    def send(self) -> RoomEvent:
        return self._write(len(self.messages) + 1)

    def edit(self, number: int) -> RoomEvent:
        return self._write(number)

    def _write(self, number: int) -> RoomEvent:
        self.rev += 1
        self.messages[number] = (self.rev, f"as of {self.rev}")
        return RoomEvent(self.rev, self.rev, self.readers, (self._frame(number),))

    def remove(self, person: "Person") -> RoomEvent:
        self.rev += 1
        self.readers += 1
        del self.visible_from[person]
        person.removed_at = self.rev
        return RoomEvent(self.rev, self.rev, self.readers, ())

    def read(self, person: "Person") -> State | None:
        first = self.visible_from.get(person)
        return None if first is None else {n: held for n, held in self.messages.items() if n >= first}

    def missed(self, since: int) -> RoomEvent:
        frames = [self._frame(number) for number, (rev, _) in self.messages.items() if rev > since]
        return RoomEvent(since + 1, self.rev, self.readers, tuple(sorted(frames, key=lambda frame: frame[:2])))

    def _frame(self, number: int) -> tuple[int, int, Text]:
        rev, text = self.messages[number]
        return rev, number, Text(f"{rev}|{number}|{text}")


@dataclass(eq=False)
class Person:
    """A socket that folds. What it asserts, every client may rely on."""

    seat: UUID = field(default_factory=uuid4)
    holds: State = field(default_factory=dict)
    rev: int | None = None
    removed_at: int | None = None
    heard: int = 0

    def start(self, state: State, rev: int) -> None:
        self.holds, self.rev = state, rev

    def push(self, frame: Text, about: object = None) -> None:
        rev, number, said = frame.text.split("|")
        assert self.rev is not None, "an event before the answer"
        assert int(rev) > self.rev, "revs rise, none twice"
        assert self.removed_at is None or int(rev) < self.removed_at, "heard what was committed after the removal"
        self.rev, self.heard = int(rev), self.heard + 1
        self.holds[int(number)] = (int(rev), said)


class Process:
    """What the hub does with a feed, each look at the database apart from what comes of it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.feed: Feed[Person] | None = None
        self.subscriptions: dict[Person, Subscription[Person]] = {}
        self.answers: dict[Person, tuple[State, int, int, int]] = {}
        self.rights: tuple[list[Subscription[Person]], dict[UUID, int], int] | None = None
        self.found: RoomEvent | None = None

    def register(self, person: Person) -> None:
        if person not in self.database.visible_from:
            return
        if self.feed is None:
            self.feed = Feed(ROOM, self.database.rev, self.database.readers)
        self.subscriptions[person] = Subscription(person, person.seat, ROOM)
        self.feed.subscriptions.add(self.subscriptions[person])

    def read(self, person: Person) -> None:
        if person not in self.subscriptions:
            return
        state = self.database.read(person)
        if state is None:
            self.put_out(person)
        else:
            first = self.database.visible_from[person]
            self.answers[person] = (state, self.database.rev, self.database.readers, first)

    def begin(self, person: Person) -> None:
        if person in self.answers and person in self.subscriptions:
            state, rev, readers, first = self.answers.pop(person)
            person.start(state, rev)
            self.subscriptions[person].begin(rev, readers, first, facts=NOWHERE)

    def put_out(self, person: Person) -> None:
        assert self.feed is not None
        self.feed.subscriptions.discard(self.subscriptions.pop(person))

    def arrive(self, event: RoomEvent) -> None:
        if self.feed is not None:
            self.feed.receive(event)

    def look_at_rights(self) -> None:
        if self.feed is not None and self.rights is None:
            asked = list(self.feed.stale())
            seats = {person.seat: first for person, first in self.database.visible_from.items()}
            self.rights = asked, seats, self.database.readers

    def judge(self) -> None:
        if self.rights is None:
            return
        (asked, seats, readers), self.rights = self.rights, None
        for subscription in asked:
            if self.feed is None or subscription not in self.feed.subscriptions:
                continue
            if subscription.seat in seats:
                subscription.renew(readers, facts=NOWHERE)
            else:
                self.put_out(subscription.connection)

    def look_at_missed(self) -> None:
        if self.feed is not None and self.found is None:
            self.found = self.database.missed(self.feed.rev)

    def repair(self) -> None:
        if self.feed is not None and self.found is not None:
            self.feed.repair(self.found)
        self.found = None

    def sweep(self) -> None:
        """What every few seconds brings; after it nothing is left to heal."""
        self.repair()
        self.judge()
        for person in list(self.answers):
            self.begin(person)
        self.look_at_missed()
        self.repair()
        self.look_at_rights()
        self.judge()
        assert self.feed is None or (not self.feed.gap and not self.feed.stale())

    def assert_truth(self) -> None:
        for person in self.subscriptions:
            if person.rev is not None:
                assert person.holds == self.database.read(person)


Step = Callable[[], Any]


def interleavings(*threads: tuple[Step, ...]) -> Iterator[list[int]]:
    """Every order of the threads' steps that keeps each thread's own order, as the threads' indices."""
    turns = [index for index, thread in enumerate(threads) for _ in thread]
    yield from _orders(turns)


def _orders(turns: list[int]) -> Iterator[list[int]]:
    if not turns:
        yield []
        return
    for first in sorted(set(turns)):
        rest = turns.copy()
        rest.remove(first)
        for order in _orders(rest):
            yield [first, *order]


class Story:
    """Two people in a room of one message; one of them is removed, then something is said."""

    def __init__(self, arrivals: tuple[int, int] = (1, 1)) -> None:
        self.stays, self.goes = Person(), Person()
        self.database = Database(self.stays, self.goes)
        self.database.send()
        self.process = Process(self.database)
        self.events: dict[str, RoomEvent] = {}
        self.arrivals = arrivals

    def removal(self) -> tuple[Step, ...]:
        return self._change("removal", lambda: self.database.remove(self.goes), self.arrivals[0])

    def message(self) -> tuple[Step, ...]:
        return self._change("message", self.database.send, self.arrivals[1])

    def _change(self, name: str, commit: Callable[[], RoomEvent], times: int) -> tuple[Step, ...]:
        def committed() -> None:
            self.events[name] = commit()

        def arrives() -> None:
            for _ in range(times):
                self.process.arrive(self.events[name])

        return committed, arrives

    def checking(self) -> tuple[Step, ...]:
        return self.process.look_at_rights, self.process.judge

    def subscribing(self, person: Person) -> tuple[Step, ...]:
        """In two steps: what comes between the read and the answer is tried by `slowly`."""
        register, read, begin = self.slowly(person)

        def read_and_begin() -> None:
            read()
            begin()

        return register, read_and_begin

    def slowly(self, person: Person) -> tuple[Step, ...]:
        return (
            lambda: self.process.register(person),
            lambda: self.process.read(person),
            lambda: self.process.begin(person),
        )

    def tell(self, order: list[int], threads: tuple[tuple[Step, ...], ...]) -> None:
        turns = [iter(thread) for thread in threads]
        for index in order:
            next(turns[index])()
        self.process.sweep()
        self.process.assert_truth()
        assert self.goes not in self.process.subscriptions
        assert set(self.goes.holds) <= {1, 2}


def tell_all(make: Callable[[], Story], threads_of: Callable[[Story], tuple[tuple[Step, ...], ...]]) -> tuple[int, int]:
    """Tell the story in every order; how many there were, and how many messages were heard as events."""
    told = heard = 0
    for order in interleavings(*threads_of(make())):
        story = make()
        story.tell(order, threads_of(story))
        told, heard = told + 1, heard + story.stays.heard + story.goes.heard
    return told, heard


def test_all_90_orders_of_subscribe_removal_its_event_and_a_message() -> None:
    told, heard = tell_all(Story, lambda story: (story.subscribing(story.goes), story.removal(), story.message()))
    assert told == 90
    assert heard, "in some order the message precedes the removal and is heard"


@pytest.mark.parametrize("arrivals", list(itertools.product((0, 1, 2), repeat=2)))
def test_the_same_with_lost_and_doubled_events_while_rights_are_being_read(arrivals: tuple[int, int]) -> None:
    def threads(story: Story) -> tuple[tuple[Step, ...], ...]:
        return story.subscribing(story.goes), story.removal(), story.message(), story.checking()

    told, _ = tell_all(lambda: Story(arrivals), threads)
    assert told == 2520


def test_two_who_come_at_once_and_one_of_them_is_removed() -> None:
    def threads(story: Story) -> tuple[tuple[Step, ...], ...]:
        return story.slowly(story.stays), story.slowly(story.goes), story.removal(), story.message()

    told, heard = tell_all(Story, threads)
    assert told == 25_200
    assert heard


def test_two_who_come_at_once_while_a_message_is_sent_both_have_it() -> None:
    """The second one's read may be older than the first one's: what lies between must reach it all the same."""

    def threads(story: Story) -> tuple[tuple[Step, ...], ...]:
        return story.slowly(story.stays), story.slowly(story.goes), story.message()

    for order in interleavings(*threads(Story())):
        story = Story()
        turns = [iter(thread) for thread in threads(story)]
        for index in order:
            next(turns[index])()
        assert story.goes.holds == story.stays.holds == story.database.messages, "before any sweep"


def test_a_repair_that_is_overtaken_by_what_it_repairs_tells_nothing_twice() -> None:
    story = Story()
    for step in story.slowly(story.stays):
        step()
    lost, late = story.database.send(), story.database.edit(1)
    story.process.arrive(late)
    assert story.process.feed and story.process.feed.gap
    story.process.look_at_missed()
    story.process.arrive(lost)
    story.process.repair()
    story.process.arrive(late)
    assert story.stays.heard == 2
    story.process.assert_truth()


def test_a_repair_that_is_partly_overtaken_tells_only_the_rest() -> None:
    story = Story()
    for step in story.slowly(story.stays):
        step()
    first = story.database.send()
    story.database.edit(1)
    story.process.look_at_missed()
    story.process.arrive(first)
    assert story.stays.heard == 1
    story.process.repair()
    assert story.stays.heard == 2
    story.process.assert_truth()


def test_of_two_early_events_with_one_beginning_the_longer_is_kept() -> None:
    feed: Feed[Person] = Feed(ROOM, 0, 0)
    long = RoomEvent.made(2, 4, 0, [(4, 1, "4|1|long")])
    for event in (RoomEvent(2, 2, 0, ()), long, RoomEvent(2, 3, 0, ())):
        feed.receive(event)
    assert feed.gap and feed.heard == 4
    feed.receive(RoomEvent(1, 1, 0, ()))
    assert not feed.gap and feed.rev == 4


def test_too_many_early_events_ask_for_the_database_at_once() -> None:
    feed: Feed[Person] = Feed(ROOM, 0, 0)
    for rev in range(2, WAITING + 2):
        feed.receive(RoomEvent(rev, rev, 0, ()))
    assert feed.gap and not feed.overfull
    feed.receive(RoomEvent(WAITING + 2, WAITING + 2, 0, ()))
    assert feed.overfull


def test_a_replaced_subscription_says_nothing_any_more() -> None:
    """Its right is being read when the socket subscribes anew: what it held is in the new answer already."""
    story = Story()
    for step in story.slowly(story.stays):
        step()
    story.process.arrive(story.database.remove(story.goes))
    story.process.arrive(story.database.send())
    story.process.look_at_rights()
    before = story.process.subscriptions[story.stays]
    assert before.held, "it waits for its right"
    for step in story.slowly(story.stays):
        step()
    story.process.feed.subscriptions.discard(before)  # type: ignore[union-attr]
    story.process.judge()
    assert story.stays.heard == 0
    story.process.assert_truth()


def test_what_a_newcomer_may_not_read_is_left_out_of_events_too() -> None:
    story = Story()
    story.database.visible_from[story.stays] = 2
    for step in story.slowly(story.stays):
        step()
    story.process.arrive(story.database.edit(1))
    assert story.stays.heard == 0
    story.process.arrive(story.database.send())
    assert story.stays.heard == 1
    story.process.assert_truth()


def test_a_room_that_looks_different_is_told_once_whatever_of_it_is_lost() -> None:
    feed: Feed[Person] = Feed(ROOM, 5, 3)
    feed.receive(RoomEvent(6, 6, 4, ()))
    assert not feed.untold, "a removal changes no look"
    feed.receive(RoomEvent.made(7, 7, 5, [(7, 1, "7|1|")]))
    assert feed.untold, "version 5 came about by something that was not heard"
    feed.told = feed.changed
    feed.change(5)
    assert not feed.untold
    feed.change(6)
    assert feed.untold
    feed.told = feed.changed
    feed.repair(RoomEvent(8, 8, 7, ()))
    assert feed.untold, "the database does not say why the readers changed"


@pytest.mark.parametrize("broken", [{}, {"frames": 5}, {"first": "x"}, {"frames": [[1, 2]]}, {"readers": None}])
def test_an_event_that_no_publisher_of_ours_wrote_is_refused(broken: dict[str, Any]) -> None:
    whole = {"first": 1, "last": 1, "readers": 0, "frames": [[1, 1, "text"]]}
    read = RoomEvent.of(whole)
    assert (read.first, read.last, read.readers) == (1, 1, 0)
    assert [(rev, number, frame.text) for rev, number, frame in read.frames] == [(1, 1, "text")]
    with pytest.raises((KeyError, ValueError, TypeError)):
        RoomEvent.of(whole | broken if broken else {})


class Histories(RuleBasedStateMachine):
    """Longer histories with four people: anything committed may arrive late, twice, in any order or never."""

    def __init__(self) -> None:
        super().__init__()
        self.people = [Person() for _ in range(4)]
        self.database = Database(*self.people)
        self.database.visible_from[self.people[0]] = 3
        self.process = Process(self.database)
        self.under_way: list[RoomEvent] = []

    @rule(count=integers(1, 3))
    def send(self, count: int) -> None:
        self.under_way += [self.database.send() for _ in range(count)]

    @precondition(lambda self: self.database.messages)
    @rule(data=data())
    def edit(self, data: Any) -> None:
        self.under_way.append(self.database.edit(data.draw(sampled_from(sorted(self.database.messages)))))

    @precondition(lambda self: len(self.database.visible_from) > 1)
    @rule(data=data())
    def remove(self, data: Any) -> None:
        member = data.draw(sampled_from([n for n in range(4) if self._is_member(n)]))
        self.under_way.append(self.database.remove(self.people[member]))

    def _is_member(self, index: int) -> bool:
        return self.people[index] in self.database.visible_from

    @precondition(lambda self: self.under_way)
    @rule(data=data(), again=booleans())
    def arrive(self, data: Any, again: bool) -> None:
        index = data.draw(integers(0, len(self.under_way) - 1))
        self.process.arrive(self.under_way[index])
        if not again:
            del self.under_way[index]

    @precondition(lambda self: self.under_way)
    @rule(data=data())
    def lose(self, data: Any) -> None:
        del self.under_way[data.draw(integers(0, len(self.under_way) - 1))]

    @rule(index=integers(0, 3))
    def register(self, index: int) -> None:
        if self.people[index] not in self.process.subscriptions:
            self.process.register(self.people[index])

    @rule(index=integers(0, 3))
    def read(self, index: int) -> None:
        person = self.people[index]
        if person in self.process.subscriptions and self.process.subscriptions[person].rev is None:
            self.process.read(person)

    @rule(index=integers(0, 3))
    def begin(self, index: int) -> None:
        self.process.begin(self.people[index])

    @rule()
    def look_at_rights(self) -> None:
        self.process.look_at_rights()

    @rule()
    def judge(self) -> None:
        self.process.judge()

    @rule()
    def look_at_missed(self) -> None:
        self.process.look_at_missed()

    @rule()
    def repair(self) -> None:
        self.process.repair()

    @invariant()
    def what_is_held_was_true_once(self) -> None:
        for person in self.people:
            for number, (rev, _) in person.holds.items():
                assert rev <= self.database.messages[number][0]

    def teardown(self) -> None:
        self.process.sweep()
        self.process.assert_truth()
        for person in self.people:
            if person not in self.database.visible_from:
                subscription = self.process.subscriptions.get(person)
                assert subscription is None or subscription.rev is None


def run_histories(examples: int) -> None:
    slow_machine = [HealthCheck.too_slow, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=slow_machine,
        ),
    )


def test_longer_histories_fold_to_the_truth() -> None:
    run_histories(60)


@pytest.mark.long
def test_many_longer_histories_fold_to_the_truth() -> None:
    run_histories(800)
