"""Who is where, between hubs whose network loses, repeats and reorders: in the end all know the same, and the truth."""

import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from chat.presence import BEAT, EMPTIED, LEASE, PEOPLE, ROOMS, People, Presence

pytestmark = pytest.mark.once
LATEST = 5
"""Seconds that an event may be late."""
SETTLED = 10
"""Seconds of an honest network after which everyone knows everything: a beat, and a question with its answer."""
USERS = "abcdefgh"


@dataclass(eq=False)
class Flight:
    to: str
    event: dict[str, Any]
    sent_at: int


@dataclass
class World:
    """Hubs, the truth about each, and what is on its way between them. A second is a step."""

    now: int = 0
    names: Any = field(default_factory=itertools.count)
    hubs: dict[str, Presence] = field(default_factory=dict)
    truth: dict[str, dict[str, People]] = field(default_factory=dict)
    ended_at: dict[str, int] = field(default_factory=dict)
    flights: list[Flight] = field(default_factory=list)
    sent: Counter[str] = field(default_factory=Counter)
    shown: dict[tuple[str, str], People] = field(default_factory=dict)
    """By hub and room, who was there when the hub last said that this may have changed."""

    def start(self) -> str:
        name = f"hub {next(self.names)}"
        self.hubs[name], self.truth[name] = Presence(name), {}
        return name

    def end(self, name: str, *, politely: bool) -> None:
        if politely:
            self.send(name, [self.hubs[name].leave()])
        del self.hubs[name]
        self.ended_at[name] = self.now

    def settle(self, name: str, room: str, users: str) -> None:
        people = {user: user.upper() for user in users}
        self.truth[name][room] = people
        self.hubs[name].settle(room, dict(people))

    def send(self, sender: str, spoken: Any) -> None:
        for to, event in spoken:
            self.sent[event["what"]] += 1
            packed = msgspec.msgpack.decode(msgspec.msgpack.encode(event))
            for each in self.hubs if to is None else [to]:
                if each != sender:
                    self.flights.append(Flight(each, packed, self.now))

    def arrive(self, flight: Flight) -> None:
        if hub := self.hubs.get(flight.to):
            answer = hub.hear(flight.event, self.now)
            if answer:
                self.send(flight.to, [answer])

    def tick(self) -> None:
        self.now += 1
        for name, hub in self.hubs.items():
            hub.expire(self.now)
            self.look(name)
            self.send(name, hub.speak(self.now))

    def deliver(self) -> None:
        """Everything that is on its way, honestly and in order."""
        while self.flights:
            self.arrive(self.flights.pop(0))

    def honest(self, seconds: int) -> None:
        for _ in range(seconds):
            self.deliver()
            self.tick()
        self.deliver()

    def look(self, name: str) -> None:
        for room in self.hubs[name].take_stirred():
            self.shown[name, room] = self.hubs[name].people(room)

    def rooms(self, name: str) -> list[str]:
        return [room for room, people in self.truth[name].items() if people]

    def here(self, room: str) -> People:
        found: People = {}
        for name in self.hubs:
            found |= self.truth[name].get(room, {})
        return found

    def check(self) -> None:
        for name, hub in self.hubs.items():
            for room in self.rooms(name):
                assert hub.people(room) == self.here(room), (name, room)
            self.look(name)
            for room in self.rooms(name):
                assert self.shown[name, room] == self.here(room), "it was said that it changed"


@pytest.fixture
def world() -> World:
    return World()


def two(world: World) -> tuple[str, str]:
    """Two hubs that know each other."""
    names = world.start(), world.start()
    world.honest(3)
    return names


def test_people_at_two_hubs_see_each_other_come_and_go(world: World) -> None:
    one, other = two(world)
    world.settle(one, "room", "a")
    world.settle(other, "room", "b")
    world.honest(3)
    assert world.hubs[one].people("room") == world.hubs[other].people("room") == {"a": "A", "b": "B"}
    world.settle(one, "room", "")
    world.honest(2)
    assert world.hubs[other].people("room") == {"b": "B"}
    world.settle(one, "room", "cd")
    world.honest(3)
    world.check()


def test_someone_at_two_hubs_is_there_once_and_until_the_last_of_them(world: World) -> None:
    one, other = two(world)
    for name in (one, other):
        world.settle(name, "room", "a")
    world.settle(one, "room", "ab")
    world.honest(3)
    assert world.hubs[other].people("room") == {"a": "A", "b": "B"}
    world.settle(one, "room", "b")
    world.honest(3)
    assert world.hubs[other].people("room") == {"a": "A", "b": "B"}


def test_another_name_is_a_change(world: World) -> None:
    one, other = two(world)
    world.settle(one, "room", "a")
    world.settle(other, "room", "b")
    world.honest(3)
    world.hubs[one].settle("room", {"a": "Ada"})
    world.honest(2)
    assert world.hubs[other].people("room") == {"a": "Ada", "b": "B"}


@pytest.mark.parametrize("politely", [True, False])
def test_the_people_of_a_hub_that_ends_are_gone_at_once_or_with_its_lease(world: World, politely: bool) -> None:
    one, other = two(world)
    world.settle(one, "room", "a")
    world.settle(other, "room", "b")
    world.honest(3)
    world.end(one, politely=politely)
    world.deliver()
    stays = range(0 if politely else int(LEASE) + 1)
    for _ in stays:
        world.honest(1)
    assert world.hubs[other].people("room") == {"b": "B"}
    assert LEASE + 1 < 30, "what is promised"


def kept(world: World, to: str, seconds: int = 3) -> list[Flight]:
    """What arrives at a hub in a few seconds; it may come again."""
    found = []
    for _ in range(seconds):
        world.tick()
        while world.flights:
            flight = world.flights.pop(0)
            found += [flight] if flight.to == to else []
            world.arrive(flight)
    return found


def test_a_late_word_of_a_hub_that_took_leave_does_not_bring_it_back(world: World) -> None:
    one, other = two(world)
    world.settle(one, "room", "a")
    world.settle(other, "room", "b")
    late = kept(world, other)
    assert {"says", "answers"} <= {flight.event["what"] for flight in late}
    world.end(one, politely=True)
    world.deliver()
    for flight in late:
        world.arrive(flight)
        world.honest(1)
    assert world.hubs[other].people("room") == {"b": "B"}


def test_repeated_events_do_not_keep_a_dead_hub_alive(world: World) -> None:
    one, other = two(world)
    world.settle(one, "room", "a")
    world.settle(other, "room", "b")
    world.tick()
    last = [flight for flight in world.flights if flight.to == other]
    world.honest(3)
    world.end(one, politely=False)
    for _ in range(int(LEASE) + 1):
        for flight in last:
            world.arrive(flight)
        world.honest(1)
    assert world.hubs[other].people("room") == {"b": "B"}


def test_a_lost_last_change_is_asked_for_after_the_next_beat(world: World) -> None:
    one, other = two(world)
    world.settle(one, "room", "ab")
    world.settle(other, "room", "c")
    world.honest(3)
    world.settle(one, "room", "a")
    world.tick()
    world.flights.clear()
    assert "b" in world.hubs[other].people("room"), "the premise"
    world.honest(int(BEAT) + 2)
    world.check()


def test_an_older_answer_does_not_undo_what_was_heard_since(world: World) -> None:
    one, other = two(world)
    world.settle(one, "room", "a")
    world.settle(other, "room", "z")
    answers = [flight for flight in kept(world, other) if flight.event["what"] == "answers"]
    world.settle(one, "room", "b")
    world.honest(2)
    for flight in answers:
        world.arrive(flight)
        world.check()
    assert answers


def test_an_answer_to_a_question_that_knew_more_is_no_answer(world: World) -> None:
    """The other was dropped meanwhile and met again by an old event: what happened before the question is not known."""
    other = world.start()
    listener = world.hubs[other]
    for room in ("red", "blue"):
        listener.settle(room, {"z": "Z"})

    def says(n: int) -> dict[str, Any]:
        return {"hub": "old", "what": "says", "n": n, "rooms": []}

    def answers(n: int, since: int, **rooms: list[Any]) -> dict[str, Any]:
        return {"hub": "old", "what": "answers", "n": n, "since": since, "rooms": list(rooms.items())}

    listener.hear(says(5), world.now)
    listener.hear(answers(6, 3, red=[("a", "A")]), world.now)
    assert "a" in listener.people("red")
    listener.hear(answers(10, 8, blue=[]), world.now)
    asked = [event["since"] for to, event in listener.speak(world.now) if to == "old"]
    assert asked == [6], "not everything up to 10 is known"


def test_an_answer_tells_what_was_said_and_not_what_will_be(world: World) -> None:
    """Someone who comes and goes between two events is in neither: in an answer between them they would stay."""
    one, other = two(world)
    world.settle(one, "room", "a")
    world.honest(1)
    world.settle(one, "room", "ab")
    event = {"hub": other, "what": "asks", "since": 0, "rooms": ["room"]}
    answer = world.hubs[one].hear(event, world.now)
    assert answer
    assert dict(answer[1]["rooms"])["room"] == [("a", "A")]


def test_what_does_not_matter_here_any_more_is_not_kept(world: World) -> None:
    one, other = two(world)
    world.settle(one, "room", "a")
    world.settle(other, "room", "b")
    world.honest(3)
    world.settle(other, "room", "")
    world.honest(3)
    assert not world.hubs[other]._others[one].rooms
    world.settle(one, "room", "c")
    world.honest(1)
    world.settle(other, "room", "b")
    assert world.hubs[other].people("room") == {"b": "B"}
    world.honest(3)
    world.check()


def test_nobody_is_asked_about_or_told_rooms_that_nobody_hears(world: World) -> None:
    one, other = two(world)
    world.settle(one, "elsewhere", "a")
    world.settle(other, "room", "b")
    world.honest(10)
    assert world.hubs[other].people("elsewhere") == {}
    assert not world.hubs[other]._others[one].rooms.get("elsewhere")


def test_a_newcomer_among_the_hubs_learns_of_everyone_within_seconds(world: World) -> None:
    one, other = two(world)
    rooms = [f"room {n}" for n in range(ROOMS + 50)]
    for room in rooms:
        world.settle(one, room, "a")
        world.settle(other, room, "b")
    world.honest(6)
    world.check()
    third = world.start()
    for room in rooms:
        world.settle(third, room, "c")
    world.honest(6)
    world.check()


def test_a_newcomer_among_the_hubs_need_not_wait_for_the_beats_of_the_others(world: World) -> None:
    one, _ = two(world)
    world.settle(one, "room", "a")
    world.honest(4)
    third = world.start()
    world.settle(third, "room", "c")
    world.honest(3)
    world.check()


# What it costs.


def test_a_question_without_an_answer_is_asked_again_after_a_while(world: World) -> None:
    one, other = two(world)
    world.settle(other, "room", "b")
    world.end(one, politely=False)
    world.sent.clear()
    world.honest(10)
    assert 4 <= world.sent["asks"] <= 6


def test_where_nothing_changes_a_hub_says_nothing_but_its_beat(world: World) -> None:
    one, other = two(world)
    for number in range(200):
        world.settle(one, f"room {number}", USERS)
        world.settle(other, f"room {number}", USERS)
    world.honest(20)
    world.sent.clear()
    world.honest(60)
    assert world.sent == {"says": 2 * 60 // int(BEAT)}


def test_a_burst_of_joins_is_one_event_and_a_crowd_a_few(world: World) -> None:
    one, _ = two(world)
    world.honest(1)
    world.sent.clear()
    for crowd in range(1, PEOPLE + 1):
        world.hubs[one].settle("room", {f"user {n}": "" for n in range(crowd)})
    world.tick()
    assert [flight.event["what"] for flight in world.flights if flight.to != one] == ["says", "asks"]
    world.deliver()
    world.sent.clear()
    world.hubs[one].settle("room", {f"user {n}": "" for n in range(4 * PEOPLE)})
    spoken = world.hubs[one].speak(world.now)
    assert len(spoken) == 3 and all(len(event["rooms"][0][1]) <= PEOPLE for _, event in spoken)


def test_who_comes_and_goes_between_two_events_is_not_told_of(world: World) -> None:
    one, _ = two(world)
    world.honest(1)
    world.settle(one, "room", "a")
    world.settle(one, "room", "")
    world.sent.clear()
    world.honest(2)
    assert world.sent["says"] <= 1, "at most its beat"


def test_a_gap_costs_what_changed_in_it_and_not_all_that_is_known(world: World) -> None:
    one, other = two(world)
    for number in range(100):
        world.settle(one, f"room {number}", USERS)
        world.settle(other, f"room {number}", "z")
    world.honest(6)
    world.settle(one, "room 7", "a")
    world.tick()
    world.flights.clear()
    answers = []
    for _ in range(SETTLED):
        world.tick()
        answers += [flight.event for flight in world.flights if flight.event["what"] == "asks"]
        while world.flights:
            flight = world.flights.pop(0)
            world.arrive(flight)
            answers += [each.event for each in world.flights if each.event["what"] == "answers"]
    rooms = [room for event in answers if event["what"] == "answers" for room, _ in event["rooms"]]
    assert set(rooms) == {"room 7"}
    world.check()


def test_rooms_that_emptied_long_ago_are_forgotten_and_who_missed_them_learns_everything_anew(world: World) -> None:
    one, other = two(world)
    world.settle(one, "gone", "a")
    world.settle(one, "stays", "a")
    for room in ("gone", "stays"):
        world.settle(other, room, "b")
    world.honest(3)
    world.settle(one, "gone", "")
    for number in range(3 * EMPTIED):
        world.settle(one, f"room {number}", "a")
    world.tick()
    for number in range(3 * EMPTIED):
        world.settle(one, f"room {number}", "")
    world.tick()
    world.flights.clear()
    assert len(world.hubs[one]._own._changed) <= 2 * EMPTIED + 2
    assert "a" in world.hubs[other].people("gone"), "the premise"
    world.honest(SETTLED)
    world.check()


# Everything at once.


class Lies(RuleBasedStateMachine):
    """Hubs come, go and die; each flight arrives, is lost, is repeated or waits while others overtake it."""

    ROOMS = ("red", "blue", "green")

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        for _ in range(2):
            self.world.start()

    def name(self, data: Any) -> str:
        return str(data.draw(st.sampled_from(sorted(self.world.hubs))))

    @rule(data=st.data(), room=st.sampled_from(ROOMS), users=st.sets(st.sampled_from(USERS), max_size=3))
    def settle(self, data: Any, room: str, users: set[str]) -> None:
        """Each hub has users of its own, lest two hubs be right about the same person."""
        name = self.name(data)
        people = {f"{name} {user}": user for user in users}
        self.world.truth[name][room] = people
        self.world.hubs[name].settle(room, dict(people))

    @precondition(lambda self: len(self.world.hubs) < 4)
    @rule()
    def start(self) -> None:
        self.world.start()

    @precondition(lambda self: len(self.world.hubs) > 1)
    @rule(data=st.data(), politely=st.booleans())
    def end(self, data: Any, politely: bool) -> None:
        self.world.end(self.name(data), politely=politely)

    @rule()
    def tick(self) -> None:
        self.world.tick()
        self.world.flights = [each for each in self.world.flights if self.world.now - each.sent_at < LATEST]

    @rule(seconds=st.integers(2, 30))
    def silence(self, seconds: int) -> None:
        for _ in range(seconds):
            self.tick()

    @precondition(lambda self: self.world.flights)
    @rule(data=st.data(), what=st.sampled_from(["arrives", "arrives", "arrives", "is lost", "is repeated"]))
    def fly(self, data: Any, what: str) -> None:
        flight = data.draw(st.sampled_from(self.world.flights[:20]))
        if what != "is repeated":
            self.world.flights.remove(flight)
        if what != "is lost":
            self.world.arrive(flight)

    @rule()
    def arrive(self) -> None:
        self.world.deliver()

    @invariant()
    def the_dead_are_gone_with_their_lease(self) -> None:
        long_ago = [name for name, at in self.world.ended_at.items() if self.world.now - at > LEASE + LATEST]
        for name, hub in self.world.hubs.items():
            for room in self.world.rooms(name):
                there = {user.rpartition(" ")[0] for user in hub.people(room)}
                assert not there & set(long_ago)

    @invariant()
    def each_knows_its_own(self) -> None:
        for name, hub in self.world.hubs.items():
            for room in self.world.rooms(name):
                assert hub.people(room).items() >= self.world.truth[name][room].items()

    def teardown(self) -> None:
        self.world.honest(int(LEASE) + SETTLED)
        self.world.check()


def run(examples: int, steps: int) -> None:
    how = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(Lies, settings=how)


def test_whatever_the_network_does_all_hubs_come_to_know_the_truth() -> None:
    run(60, 40)


@pytest.mark.long
def test_and_over_long_histories() -> None:
    run(600, 100)
