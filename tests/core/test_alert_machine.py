"""A rule's states in random worlds and virtual time: what may never happen, whatever the readings are."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import msgspec
import pytest

from jobd.core.alerts.facts import Reading
from jobd.core.alerts.gone import last_words
from jobd.core.alerts.machine import RuleState, Spans, Transition, advance, worth_writing
from jobd.core.config_alerts import RuleConfig

SPANS = Spans(clear_for=10_000, gap=30_000)
PERIOD = 2000
WORLDS = 120


class World:
    """One rule over virtual time; keeps what was told, and by whom it is believed."""

    def __init__(self, rule: RuleConfig) -> None:
        self.rule = rule
        self.sinks = ["a"]
        self.state = RuleState()
        self.now = 1_000_000
        self.told: list[tuple[int, Transition]] = []
        self.writes = 0

    def look(
        self, *readings: Reading, muted: bool = False, after: int = PERIOD
    ) -> Transition | None:
        self.now += after
        # What is kept is the JSON: nothing of an evaluator survives beside it.
        before = msgspec.json.decode(msgspec.json.encode(self.state), type=RuleState)
        state, told = advance(
            self.rule, before, list(readings), self.now, sinks=self.sinks, muted=muted, spans=SPANS
        )
        if told is not None or worth_writing(before, state, self.now):
            self.state = msgspec.structs.replace(state, looked_ms=self.now)
            self.writes += 1
        if told is not None:
            self.told.append((self.now, told))
        return told

    def level(self, value: float | None, **more: bool | int) -> Transition | None:
        return self.look(Reading(of="q", value=value, shown=str(value)), **more)  # type: ignore[arg-type]

    def statuses(self) -> list[str]:
        return [told.status for _, told in self.told]


def rule(**more: object) -> RuleConfig:
    return RuleConfig(name="r", kind="backlog", **({"above": 10.0, "repeat": 0.0} | more))  # type: ignore[arg-type]


def random_world(seed: int) -> tuple[World, list[tuple[int, dict[str, float | None], bool]]]:
    """Play an hour: levels that wander, gaps, mutes, instances that come and go."""
    dice = Random(seed)
    world = World(
        rule(
            for_=dice.choice([0.0, 0.0, 5.0, 20.0, 60.0]),
            clear_below=dice.choice([None, 5.0, 10.0]),
            repeat=dice.choice([0.0, 60.0, 300.0]),
        )
    )
    names, values, muted = ["a", "b", "c"], dict.fromkeys("abc", 0.0), False
    played: list[tuple[int, dict[str, float | None], bool]] = []
    for _ in range(dice.randrange(50, 400)):
        for name in names:
            if dice.random() < 0.15:
                values[name] = dice.choice([0.0, 4.0, 5.0, 9.0, 10.0, 11.0, 50.0])
        if dice.random() < 0.03:
            muted = not muted
        seen = {
            name: None if dice.random() < 0.1 else values[name]
            for name in names
            if dice.random() < 0.95
        }
        readings = [Reading(of=name, value=value, shown="") for name, value in seen.items()]
        if dice.random() < 0.1:
            world.now += dice.randrange(60_000)
        world.look(*readings, muted=muted)
        played.append((world.now, seen, muted))
    return world, played


@pytest.mark.parametrize("chunk", range(3))
def test_what_receivers_hear_of_an_instance_is_firing_and_resolved_in_turn(chunk: int) -> None:
    """Never resolved without firing, never firing twice; repeated only in between; never in a mute."""
    fired = 0
    for seed in range(chunk * WORLDS // 3, (chunk + 1) * WORLDS // 3):
        world, played = random_world(seed)
        mutes = {now for now, _, muted in played if muted}
        believed: set[str] = set()
        for now, told in world.told:
            assert now not in mutes
            names = {each.of for each in told.instances}
            assert names
            if told.status == "firing":
                assert not names & believed
                believed |= names
                fired += len(names)
            elif told.status == "resolved":
                assert names <= believed
                believed -= names
            else:
                assert names <= believed
    assert fired > 30


@pytest.mark.parametrize("chunk", range(3))
def test_it_fires_when_it_has_been_above_for_long_enough_and_not_sooner(chunk: int) -> None:
    """By the readings themselves: every firing had an unbroken run of them, as long as `for`."""
    looked_at = 0
    for seed in range(chunk * 30, (chunk + 1) * 30):
        world, played = random_world(1000 + seed)
        for now, told in world.told:
            if told.status != "firing":
                continue
            for each in told.instances:
                if any(muted for at, _, muted in played if at <= now):
                    continue  # what fired in a mute is told after it
                looked_at += 1
                run = [(at, seen.get(each.of, 0.0)) for at, seen, _ in played if at <= now]
                first = run[-1][0]
                for at, value in reversed(run):
                    if value is not None and value <= 10.0:
                        break
                    first = at if value is not None else first
                assert now - first >= world.rule.for_ * 1000
    assert looked_at > 10


@pytest.mark.parametrize("span", [0.0, 7.0, 60.0])
def test_for_is_kept_to_the_period(span: float) -> None:
    """Not sooner, and not more than one evaluation later."""
    world = World(rule(for_=span))
    begun = world.now + PERIOD

    while world.level(11.0) is None:
        assert world.now - begun < span * 1000 + PERIOD

    assert span * 1000 <= world.now - begun < span * 1000 + PERIOD


def test_flapping_around_the_threshold_fires_once_with_hysteresis() -> None:
    """Between clear_below and above it goes on, however long; at clear_below too."""
    world = World(rule(clear_below=5.0))
    for turn in range(500):
        world.level(11.0 if turn % 40 == 0 else 5.0)
    assert world.statuses() == ["firing"]

    for _ in range(10):
        world.level(4.0)
    assert world.statuses() == ["firing", "resolved"]


def test_it_resolves_only_after_staying_clear_for_a_while() -> None:
    """One good look is no end; without hysteresis too."""
    world = World(rule())
    world.level(11.0)
    for turn in range(40):
        world.level(0.0 if turn % 4 else 11.0)
    assert world.statuses() == ["firing"]

    world.level(11.0)
    began = world.now + PERIOD
    while world.level(0.0) is None:
        assert world.now - began < 15_000
    assert world.now - began >= SPANS.clear_for
    assert world.statuses() == ["firing", "resolved"]


def test_what_is_unknown_moves_nothing() -> None:
    """Neither a firing nor an end comes of it, however long it lasts; and no `for` is over by it."""
    world = World(rule(for_=60.0))
    world.level(11.0)
    for _ in range(100):
        assert world.level(None) is None
    assert world.level(11.0) is None, "what was between, nobody knows"
    for _ in range(29):
        assert world.level(11.0) is None
    assert world.level(11.0) is not None
    world.level(0.0)
    for _ in range(1000):
        assert world.level(None) is None
    assert world.level(0.0) is None
    assert world.state.instances["q"].phase == "firing"


def test_repeats_are_apart_and_stop_at_the_end() -> None:
    """Once each interval, while it fires."""
    world = World(rule(repeat=60.0))
    for _ in range(100):
        world.level(11.0)
    times = [now for now, told in world.told if told.status == "repeated"]
    assert world.statuses()[0] == "firing"
    assert len(times) == 3
    assert {b - a for a, b in pairwise(times)} == {60_000}

    for _ in range(200):
        world.level(0.0)
    assert world.statuses()[4:] == ["resolved"]


def test_a_mute_is_silent_and_its_end_tells_what_fires_still() -> None:
    """What fired in it is told as firing; what was told before is told again."""
    world = World(rule())
    for _ in range(20):
        assert world.level(11.0, muted=True) is None
    told = world.level(11.0)
    assert told is not None
    assert told.status == "firing"

    for _ in range(20):
        assert world.level(11.0, muted=True) is None
    told = world.level(11.0)
    assert told is not None
    assert told.status == "repeated"


def test_what_came_and_went_in_a_mute_is_never_told_and_an_end_in_it_is_told_after_it() -> None:
    """Nobody is left with an incident that is over."""
    world = World(rule())
    for value in [11.0] * 5 + [0.0] * 20:
        world.level(value, muted=True)
    for _ in range(5):
        world.level(0.0)
    assert world.statuses() == []

    world.level(11.0)
    for _ in range(20):
        world.level(0.0, muted=True)
    assert world.statuses() == ["firing"]
    world.level(0.0)
    assert world.statuses() == ["firing", "resolved"]


def test_all_that_change_in_one_evaluation_are_one_notification() -> None:
    """Fifty queues, one message; what is gone has resolved."""
    world = World(rule())
    world.look(*(Reading(of=f"q{n}", value=11.0) for n in range(50)))
    assert [len(told.instances) for _, told in world.told] == [50]

    for _ in range(10):
        world.look(*(Reading(of=f"q{n}", value=11.0) for n in range(40)))
    assert world.statuses() == ["firing", "resolved"]
    assert len(world.told[1][1].instances) == 10


def test_what_resolves_while_others_fire_is_told_the_next_time() -> None:
    """One transition an evaluation; none is lost."""
    world = World(rule())
    world.look(Reading(of="a", value=11.0))
    for _ in range(5):
        world.look(Reading(of="a", value=0.0))
    world.look(Reading(of="a", value=0.0), Reading(of="b", value=11.0))
    world.look(Reading(of="a", value=0.0), Reading(of="b", value=11.0))

    assert [(t.status, [i.of for i in t.instances]) for _, t in world.told] == [
        ("firing", ["a"]),
        ("firing", ["b"]),
        ("resolved", ["a"]),
    ]


def test_a_quiet_rule_and_one_that_fires_on_are_seldom_written() -> None:
    """Each write is Redis' work, and the append-only file's."""
    quiet, loud = World(rule()), World(rule())
    for turn in range(300):  # ten minutes
        quiet.level(1.0)
        loud.level(20.0 + turn)
    assert quiet.writes <= 6
    assert loud.writes <= 22


def test_a_clock_that_goes_back_breaks_nothing() -> None:
    """Redis' clock may be set; a `for` then begins again at most."""
    world = World(rule(for_=10.0))
    world.level(11.0)
    world.level(11.0, after=-50_000)
    for _ in range(30):
        world.level(11.0)
    assert world.statuses() == ["firing"]


@pytest.mark.parametrize("chunk", range(3))
def test_each_sink_hears_firing_and_resolved_in_turn_whoever_is_told_by_then(chunk: int) -> None:
    """Sinks come and go by reloads, and the rule goes at last: nobody is left with what is over."""
    ends = 0
    for seed in range(chunk * 30, (chunk + 1) * 30):
        dice = Random(seed)
        world = World(rule(for_=dice.choice([0.0, 5.0]), repeat=dice.choice([0.0, 60.0])))
        values = dict.fromkeys("ab", 0.0)
        for _ in range(dice.randrange(20, 200)):
            if dice.random() < 0.1:
                world.sinks = [sink for sink in "xyz" if dice.random() < 0.6]
            for name in values:
                if dice.random() < 0.2:
                    values[name] = dice.choice([0.0, 50.0])
            readings = [Reading(of=name, value=value) for name, value in values.items()]
            world.look(*readings, muted=dice.random() < 0.1)
        told = [each for _, each in world.told]
        words = last_words("r", world.state, at_ms=1, namespace="j", new_id=str)
        believed: set[tuple[str, str]] = set()
        for status, instances, sinks in [
            *((each.status, each.instances, each.sinks) for each in told),
            *(("resolved", word.note.instances, word.sinks) for word in words),
        ]:
            knows = {(sink, each.of) for sink in sinks for each in instances}
            if status == "firing":
                assert not knows & believed
                believed |= knows
            else:
                assert knows <= believed
                believed -= knows if status == "resolved" else set()
                ends += status == "resolved"
        assert not believed
    assert ends > 30


def test_who_comes_to_be_told_while_it_fires_hears_of_it_and_who_left_hears_the_end() -> None:
    """A sink that takes another's place must know what is on; the one before must not be left with it."""
    world = World(rule())
    world.level(11.0)
    world.sinks = ["b"]
    for value in [11.0] * 5 + [0.0] * 10:
        world.level(value)

    assert [(each.status, each.sinks) for _, each in world.told] == [
        ("firing", ["a"]),
        ("firing", ["b"]),
        ("resolved", ["a", "b"]),
    ]


def test_without_sinks_the_log_hears_of_it_once() -> None:
    """A rule is worth something before anybody can be told."""
    world = World(rule())
    world.sinks = []
    for value in [11.0] * 5 + [0.0] * 10:
        world.level(value)
    assert [(each.status, each.sinks) for _, each in world.told] == [
        ("firing", []),
        ("resolved", []),
    ]


def test_a_state_of_before_is_read_and_told_anew() -> None:
    """It did not say who was told: rather twice than never."""
    old = b'{"instances":{"q":{"phase":"firing","since_ms":1,"seen_ms":1,"value":11.0,"shown":"","told":true}}}'
    world = World(rule())
    world.state = msgspec.json.decode(old, type=RuleState)
    world.level(11.0)
    assert world.statuses() == ["firing"]
