"""The laws of scaling: any facts at all, and random queues in virtual time."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from support.crowds import Crowd, Host

from jobd.supervisor.pace import Pace, Sight, after
from jobd.supervisor.scale import Load, Past, decide
from jobd.supervisor.shares import Claimant, share_out

NOW = 10_000.0
HOUR = 3600.0


def burst(count: int, at: float = 5.0) -> Iterator[float]:
    return iter([at] * count)


def poisson(rng: random.Random, rate: float, until: float = 1e9) -> Iterator[float]:
    at = rng.expovariate(rate)
    while at < until:
        yield at
        at += rng.expovariate(rate)


def about(rng: random.Random, mean: float) -> Iterator[float]:
    while True:
        yield rng.expovariate(1 / mean)


# --- any facts ---

_instants = st.one_of(st.just(float("-inf")), st.floats(NOW - 200, NOW))
pasts = st.builds(
    Past,
    grown_at=_instants, shrunk_at=_instants, limited_at=_instants,
    full_since=st.none() | st.floats(NOW - 200, NOW),
    lower_since=st.none() | st.floats(NOW - 200, NOW),
    lower_to=st.integers(0, 12), patience=st.sampled_from([1.0, 2.0, 8.0]),
)  # fmt: skip


@st.composite
def loads(draw: st.DrawFn, name: str = "q") -> Load:
    least = draw(st.integers(0, 4))
    ready = draw(st.integers(0, 12))
    cells = draw(st.sampled_from([1, 5]))
    return Load(
        queue=name, least=least, most=least + draw(st.integers(0, 8)),
        within=draw(st.sampled_from([0.5, 2.0, 60.0, 3600.0])),
        weight=draw(st.integers(1, 5)), target=draw(st.integers(0, 14)), ready=ready,
        leaving=draw(st.integers(0, 3)), cells=cells, busy=draw(st.integers(0, ready * cells)),
        used=draw(st.floats(0, ready * cells)),
        rate=draw(st.none() | st.floats(0, 1e6)),
        due=draw(st.none() | st.sampled_from([0, 1, 3, 900, 10**9])),
        oldest=draw(st.floats(0, 1e6)), paused=draw(st.booleans()), limited=draw(st.booleans()),
        hosts=draw(st.integers(0, 4)), asked=draw(st.none() | st.none() | st.integers(0, 15)),
        past=draw(pasts),
    )  # fmt: skip


hosts = st.integers(1, 4).flatmap(lambda n: st.tuples(*(loads(f"q{i}") for i in range(n))))


def floor_of(load: Load) -> int:
    return load.least if load.asked is None else min(load.least, max(1, load.asked))


@settings(max_examples=100, deadline=None)
@given(loads=hosts, most=st.integers(0, 24))
def test_targets_keep_their_bounds_their_floors_and_the_hosts_limit(
    loads: tuple[Load, ...], most: int
) -> None:
    """Also of facts that cannot be; a reason goes with every number."""
    decisions = decide(loads, most=most, now=NOW)

    assert [d.queue for d in decisions] == [load.queue for load in loads]
    for load, decision in zip(loads, decisions, strict=True):
        assert decision.why
        assert decision.target >= floor_of(load)
        assert decision.target <= (max(1, load.asked) if load.asked is not None else load.most)
    floors = sum(map(floor_of, loads))
    if most:
        assert sum(d.target for d in decisions) <= max(most, floors)
    if most and any(
        d.target > max(d.was, floor_of(load)) for load, d in zip(loads, decisions, strict=True)
    ):
        there = sum(
            max(d.was, d.target) + load.leaving for load, d in zip(loads, decisions, strict=True)
        )
        assert there <= most, "grown into a place that is not empty yet"


@settings(max_examples=60, deadline=None)
@given(loads=hosts, most=st.integers(0, 24))
def test_the_same_facts_have_the_same_decision_and_asking_twice_changes_nothing_more(
    loads: tuple[Load, ...], most: int
) -> None:
    first = decide(loads, most=most, now=NOW)
    assert first == decide(loads, most=most, now=NOW)
    # What was taken away runs until it has ended.
    after_it = [
        replace(
            load,
            target=d.target,
            past=d.past,
            leaving=load.leaving + max(0, load.target - d.target),
        )
        for load, d in zip(loads, first, strict=True)
    ]
    grew = any(d.target > load.target for load, d in zip(loads, first, strict=True))
    second = decide(after_it, most=most, now=NOW)
    if not most:
        assert [d.target for d in second] == [d.target for d in first]
    elif not grew:
        assert all(
            s.target <= f.target or s.target <= floor_of(load)
            for s, f, load in zip(second, first, loads, strict=True)
        )


def hungry(**changes: object) -> Load:
    """One of one busy, far too much due: the facts of a queue that grows."""
    facts = Load(
        queue="q", least=1, most=9, target=1, ready=1, busy=1, used=1.0, rate=5.0, due=10**6
    )
    return replace(facts, **changes)


def grown(load: Load) -> int:
    [decision] = decide([load], most=0, now=NOW)
    return decision.target


@pytest.mark.parametrize(
    "what",
    [
        {"paused": True},
        {"limited": True},
        {"due": None},
        {"due": 0},
        {"ready": 0},
        {"past": Past(limited_at=NOW - 3.0)},
        {"past": Past(grown_at=NOW - 1.0)},
    ],
    ids=str,
)
@pytest.mark.parametrize("rate", [5.0, None])
def test_nothing_grows_where_more_would_not_help(
    what: dict[str, object], rate: float | None
) -> None:
    """Paused, held back by a limit now or a moment ago, no Redis, no work, or others still on their way."""
    full = replace(what.get("past", Past()), full_since=NOW - 60.0)
    assert grown(hungry(rate=rate, past=Past(full_since=NOW - 60.0))) > 1
    assert grown(hungry(rate=rate, **(what | {"past": full}))) == 1


@pytest.mark.parametrize(
    ("due", "cells", "hosts", "then"), [(2, 1, 1, 3), (2, 5, 1, 1), (9, 5, 1, 2), (9, 1, 3, 4)]
)
def test_what_finds_no_job_is_not_started(due: int, cells: int, hosts: int, then: int) -> None:
    """However slow they are: a process for each job of this host, and none for a slot that is free."""
    load = hungry(due=due, cells=cells, hosts=hosts, rate=0.001, most=50)
    assert grown(load) == then


@settings(max_examples=40, deadline=None)
@given(load=loads())
def test_one_goes_at_a_time(load: Load) -> None:
    load = replace(load, asked=None, target=min(max(load.target, load.least), load.most))
    [decision] = decide([load], most=0, now=NOW)
    assert decision.target >= load.target - 1


claims = st.builds(
    lambda i, floor, needed, more, has, leaving, weight: Claimant(
        name=f"q{i}", weight=weight, has=has, leaving=leaving,
        floor=floor, needed=floor + needed, wanted=floor + needed + more,
    ),
    st.integers(0, 10**6), st.integers(0, 3), st.integers(0, 9), st.integers(0, 4),
    st.integers(0, 12), st.integers(0, 3), st.integers(1, 9),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    claims=st.lists(claims, min_size=1, max_size=5, unique_by=lambda c: c.name),
    most=st.integers(1, 30),
)
def test_shares_follow_the_weights_where_all_want_more(claims: list[Claimant], most: int) -> None:
    """Once everything has come to rest: whoever is denied has no less for its weight than the others."""
    rest = settle(claims, most)

    extra = {c.name: rest[c.name] - c.floor for c in claims}
    for denied in claims:
        if rest[denied.name] >= denied.needed:
            continue
        for other in claims:
            if extra[other.name] > 0:
                assert (
                    extra[other.name] / other.weight
                    <= (extra[denied.name] + 1) / denied.weight + 1e-9
                )
    room = most - sum(rest.values())
    assert room <= 0 or all(rest[c.name] >= c.wanted for c in claims), "a place is left empty"


def settle(claims: list[Claimant], most: int) -> dict[str, int]:
    """Ask until nothing changes, everybody who is to leave being gone by then."""
    for _ in range(40):
        given = share_out(claims, most)
        after_it = [replace(c, has=given[c.name], leaving=0) for c in claims]
        if after_it == claims:
            return given
        claims = after_it
    raise AssertionError("it never comes to rest")


# --- queues in virtual time ---


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32), count=st.integers(1, 1500), mean=st.sampled_from([0.02, 0.1, 0.5, 2.0]),
    cells=st.sampled_from([1, 3]), within=st.sampled_from([10.0, 60.0]),
)  # fmt: skip
def test_a_burst_is_done_in_its_time_where_that_many_are_allowed(
    seed: int, count: int, mean: float, cells: int, within: float
) -> None:
    """A quarter more for the start: the first job has to end before anything is known."""
    rng = random.Random(seed)
    takes = (rng.uniform(0.5, 1.5) * mean for _ in itertools.count())
    crowd = Crowd("q", burst(count), takes, most=400, within=within, cells=cells)
    Host([crowd]).run(6.0 + within * 1.3 + 40 * mean)

    assert crowd.settled == count
    assert crowd.drained_at - 5.0 <= within * 1.25 + 10 * mean, crowd.changes
    useful = count * mean / cells / within
    assert crowd.peak <= max(2, 3 * useful + 3), crowd.changes


@pytest.mark.parametrize("rate", [0.3, 2.0, 4.5, 8.0, 12.0, 19.0, 31.0])
def test_a_constant_load_makes_no_flapping(rate: float) -> None:
    """Arrivals by chance, at any height between the steps: an hour of it, and hardly a change."""
    rng = random.Random(int(rate * 10))
    crowd = Crowd("q", poisson(rng, rate / 4), about(rng, 0.8), most=10)
    Host([crowd]).run(HOUR)

    assert len([at for at, _ in crowd.changes if at > 900]) <= 2, crowd.changes
    assert crowd.longest <= 75.0
    assert rate * 0.2 <= crowd.target <= rate * 0.2 * 2 + 1


def test_a_load_that_comes_and_goes_is_learned_not_chased() -> None:
    """A burst every two minutes for two hours: each shrink that proves wrong makes the next wait longer."""
    bursts = (at for k in itertools.count() for at in [120.0 * k] * 100)
    crowd = Crowd("q", bursts, about(random.Random(5), 1.0), most=10, within=30.0)
    Host([crowd]).run(2 * HOUR)

    assert sum(1 for at, _ in crowd.changes if at > HOUR) <= 10, crowd.changes
    assert crowd.longest <= 45.0


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), use=st.floats(0.5, 9.0), mean=st.sampled_from([0.3, 3.0, 30.0]))
def test_an_idle_queue_returns_to_its_floor(seed: int, use: float, mean: float) -> None:
    """One by one, and all of it within a bound, however the load was."""
    rng = random.Random(seed)
    load = poisson(rng, use / mean, until=300.0)
    crowd = Crowd("q", load, about(rng, mean), least=2, most=8, within=20.0)
    host = Host([crowd])
    host.run(400.0)
    while crowd.ends:
        host.run(30.0)
    quiet = 8 * 10.0
    host.run(quiet + 6 * quiet / 3 + 30.0)

    assert crowd.target == 2, crowd.why
    steps = [b - a for (_, a), (_, b) in itertools.pairwise([(0.0, 2), *crowd.changes])]
    assert all(step >= -1 for step in steps)


def test_long_jobs_get_more_processes_although_none_has_ended() -> None:
    """No rate is known for minutes; all slots are busy and work is due: that is enough."""
    crowd = Crowd("q", burst(6), itertools.repeat(600.0), most=8)
    Host([crowd]).run(60.0)

    assert crowd.target == 6, crowd.changes
    assert not crowd.waiting


def test_not_more_than_would_find_something_to_do() -> None:
    """Three jobs of an hour need three processes, not eight."""
    crowd = Crowd("q", burst(3), itertools.repeat(3600.0), most=8)
    Host([crowd]).run(600.0)

    assert crowd.peak == 3


def test_jobs_that_become_long_are_noticed_without_one_of_them_ending() -> None:
    """The pace of before is not believed for long."""
    takes = itertools.chain([0.01] * 2000, itertools.repeat(300.0))
    crowd = Crowd("q", burst(2020), takes, most=8)
    Host([crowd]).run(180.0)

    assert crowd.target == 8, (crowd.changes, crowd.why)


def test_a_limit_or_a_pause_makes_nothing_grow_and_its_end_does() -> None:
    crowd = Crowd("q", burst(900), about(random.Random(1), 0.2), most=8, paused=True)
    host = Host([crowd])
    host.run(300.0)
    assert (crowd.target, crowd.why) == (1, "due 900, paused: more would not help")
    crowd.paused, crowd.limited = False, True
    host.run(300.0)
    assert crowd.target == 1
    crowd.limited = False
    host.run(30.0)
    assert crowd.target >= 3


def test_what_is_not_known_changes_nothing() -> None:
    crowd = Crowd("q", burst(900), about(random.Random(1), 0.2), most=8)
    host = Host([crowd])
    host.run(20.0)
    before = crowd.target
    assert before > 1
    crowd.known = False
    host.run(600.0)
    assert crowd.target == before
    assert "no figures" in crowd.why
    crowd.known = True
    host.run(600.0)
    assert crowd.target == 1


def test_what_is_set_by_hand_stays_until_it_is_left_to_the_load_again() -> None:
    crowd = Crowd("q", burst(900), about(random.Random(1), 0.2), most=8, asked=6)
    host = Host([crowd])
    host.run(600.0)
    assert crowd.changes == [(1.0, 6)]
    crowd.asked = None
    host.run(600.0)
    assert crowd.target == 1


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), most=st.integers(4, 12))
def test_queues_share_a_host_without_breaking_its_limit(seed: int, most: int) -> None:
    """Also while leavers still finish their jobs; the world checks it at every decision."""
    rng = random.Random(seed)
    crowds = [
        Crowd(
            f"q{i}", poisson(rng, rng.uniform(0.5, 6.0) / mean, until=rng.uniform(50, 300)),
            about(rng, mean), least=rng.randint(1, 2), most=rng.randint(2, 9),
            weight=rng.randint(1, 4), within=rng.choice([5.0, 20.0]),
        )
        for i, mean in enumerate((0.2, 0.5, 10.0))
    ]  # fmt: skip
    host = Host(crowds, most=most)
    for _ in range(10):
        host.run(30.0)
        crowd = rng.choice(crowds)
        crowd.asked = rng.choice([None, None, rng.randint(crowd.least, 9)])
        crowd.paused = rng.random() < 0.2
    for crowd in crowds:
        crowd.asked, crowd.paused = None, False
        crowd.arrivals, crowd.coming = iter(()), float("inf")
    while any(crowd.ends or crowd.waiting for crowd in crowds):
        host.run(30.0)
    host.run(400.0)
    assert [c.target for c in crowds] == [c.least for c in crowds], [c.why for c in crowds]


def test_two_busy_queues_come_to_rest_by_their_weights_and_stay() -> None:
    """What is left beyond the floors goes 3 to 1."""
    rng = random.Random(3)
    heavy = Crowd("heavy", poisson(rng, 90), about(rng, 0.2), most=20, weight=3)
    light = Crowd("light", poisson(rng, 90), about(rng, 0.2), most=20, weight=1)
    host = Host([heavy, light], most=10)
    host.run(900.0)
    assert (heavy.target, light.target) == (7, 3)
    assert max(at for at, _ in heavy.changes + light.changes) < 400, (heavy.changes, light.changes)
    assert "max_processes = 10" in light.why


def test_an_idle_queue_yields_to_one_in_need_sooner_than_it_would_shrink() -> None:
    rng = random.Random(4)
    idle = Crowd("idle", burst(2000), about(rng, 0.2), most=9)
    late = Crowd("late", iter([90.0] * 4000), about(rng, 0.2), most=9)
    host = Host([idle, late], most=10)
    host.run(88.0)
    assert idle.target > 5
    host.run(30.0)
    assert late.target >= 8, (idle.why, late.why)


# --- the pace ---


@settings(max_examples=30, deadline=None)
@given(
    rate=st.floats(0.05, 20_000.0), n=st.integers(1, 8), before=st.floats(0.05, 20_000.0),
)  # fmt: skip
def test_the_pace_of_one_process_is_found_whatever_it_was(
    rate: float, n: int, before: float
) -> None:
    """By a factor well below two, after thirty of its jobs or 150 s, whichever is longer."""
    pace, now, made = Pace(), 0.0, 0.0
    for each in (before, rate):
        spent = 0.0
        while spent < max(150.0, 30.0 / each / n):
            now, spent = now + 0.25, spent + 0.25
            made += each * n * 0.25
            sight = Sight(working=n, busy=n, settled=int(made))
            made -= int(made)
            pace = after(pace, sight, now, waits=True, over=5.0)
    assert rate / 1.7 < (pace.rate() or 0.0) < rate * 1.7


def test_quiet_times_say_nothing_about_the_pace() -> None:
    pace, now = Pace(), 0.0
    for k in range(4000):
        now += 0.25
        at_work = k < 400 or k % 40 == 0
        sight = Sight(working=at_work, busy=at_work, settled=5 if k < 400 else int(at_work))
        pace = after(pace, sight, now, waits=k < 400, over=5.0)
    assert pace.rate() == pytest.approx(20.0, rel=0.05)
    assert pace.used < 0.1


def test_a_long_silence_of_the_busy_says_that_jobs_are_long() -> None:
    """Before one of them has ended; however many are busy, it says it of each."""
    pace, now = Pace(), 0.0
    for k in range(640):
        now += 0.25
        sight = Sight(working=8, busy=8, settled=40 if k < 400 else 0)
        pace = after(pace, sight, now, waits=True, over=5.0)
    assert 0.0 < (pace.rate() or 0.0) < 0.3
    assert (pace.rate(cells=50) or 0.0) > 0.5, "many jobs at once may each be as long as that"


def test_a_gap_in_the_looks_is_nobodys_work() -> None:
    pace = after(Pace(), Sight(working=1, busy=1, settled=5), 1.0, waits=True, over=5.0)
    pace = after(pace, Sight(working=1, busy=1, settled=5), 1.25, waits=True, over=5.0)
    assert pace.rate() == pytest.approx(20.0)
    pace = after(pace, Sight(working=1, busy=1, settled=1), 500.0, waits=True, over=5.0)
    assert pace.rate() == pytest.approx(20.0)
