"""The laws of memory limits and of recycling, in random worlds and virtual time."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from jobd.core.lifetimes import last_jobs, longest_life, most_jobs
from jobd.supervisor import memory, recycle
from jobd.supervisor.memory import Limits, Reading, Weight
from jobd.supervisor.recycle import Worker

MB = 1000**2
EVERY = 0.25


@dataclass
class Process:
    """What a process holds: taken by itself, copied of what it shared, and still shared."""

    taken: int
    shared: int
    copied: int = 0
    left: int = 0  # shared once, with somebody who has ended

    @property
    def private(self) -> int:
        return self.taken + self.copied + self.left

    @property
    def rss(self) -> int:
        return self.private + self.shared

    def live(self, rng: random.Random) -> None:
        kind = rng.choice(("rest", "rest", "grow", "balloon", "free", "copy", "alone"))
        if kind == "grow":
            self.taken += rng.randrange(5 * MB)
        elif kind == "balloon" and rng.random() < 0.1:
            self.taken += rng.randrange(800 * MB)
        elif kind == "free":
            self.taken -= rng.randrange(self.taken // 2 + 1)
        elif kind == "copy":
            part = rng.randrange(min(self.shared, 3 * MB) + 1)
            self.copied, self.shared = self.copied + part, self.shared - part
        elif kind == "alone" and rng.random() < 0.02:
            self.left, self.shared = self.left + self.shared, 0


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), soft=st.integers(0, 400), more=st.integers(0, 400))
def test_what_a_worker_takes_over_a_limit_is_seen_at_that_look(
    seed: int, soft: int, more: int
) -> None:
    """And what it has copied of what it shared, two seconds later at the most."""
    rng = random.Random(seed)
    limits = Limits(memory=soft * MB, memory_hard=(soft + more) * MB if more else 0)
    process = Process(taken=6 * MB, shared=rng.choice((0, 50 * MB, 500 * MB)))
    weight, over_for = Weight(), 0.0
    for turn in range(400):
        now = turn * EVERY
        before = process.taken
        process.live(rng)
        grew = process.taken > before
        seen = Reading(rss=process.rss)
        if memory.is_due(limits, weight, process.rss, now):
            seen = Reading(rss=process.rss, private=process.private, shared=process.shared)
        weight = memory.weigh(limits, weight, seen, now)
        over = 0 < limits.memory < process.private
        known = weight.over_since is not None
        over_for = over_for + EVERY if over and not known else 0.0
        assert over_for <= 2.0 + EVERY, "seen late"
        if over and grew and process.copied == process.left == 0:
            assert known, "growth over the limit went unseen"
        killed = memory.is_too_much(limits, weight)
        assert not killed or weight.private - process.left > limits.memory_hard, "killed for others"
        if killed:
            return


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), shared=st.integers(0, 900), private=st.integers(1, 900))
def test_a_process_that_does_not_move_is_seldom_looked_at(
    seed: int, shared: int, private: int
) -> None:
    """However large it is: every two seconds at most, and else as often as people are shown."""
    limits = Limits(memory=random.Random(seed).randrange(900) * MB)
    process, weight, looks = Process(taken=private * MB, shared=shared * MB), Weight(), 0
    for turn in range(400):
        now = turn * EVERY
        if memory.is_due(limits, weight, process.rss, now):
            looks += 1
            seen = Reading(rss=process.rss, private=process.private, shared=process.shared)
            weight = memory.weigh(limits, weight, seen, now)
    above = process.private <= limits.memory < process.rss
    assert looks <= 100 / (2.0 if above else memory.SHOWN_EVERY) + 1


def test_what_it_no_longer_shares_ends_nobody() -> None:
    """At a reload the preloader goes, and with it those who shared: nobody has taken anything."""
    limits = Limits(memory=100 * MB, memory_hard=200 * MB)
    weight = memory.weigh(limits, Weight(), Reading(rss=1, private=90 * MB, shared=300 * MB), 0.0)
    weight = memory.weigh(limits, weight, Reading(rss=1, private=390 * MB, shared=0), 5.0)
    assert not memory.is_too_much(limits, weight)
    assert weight.over_since == 5.0
    weight = memory.weigh(limits, weight, Reading(rss=1, private=510 * MB, shared=0), 6.0)
    assert memory.is_too_much(limits, weight)


def test_who_is_below_the_limit_again_is_not_over_it() -> None:
    limits = Limits(memory=100 * MB)
    weight = memory.weigh(limits, Weight(), Reading(rss=1, private=101 * MB, shared=0), 3.0)
    assert weight.over_since == 3.0
    weight = memory.weigh(limits, weight, Reading(rss=1), 4.0)
    assert weight.over_since == 3.0
    weight = memory.weigh(limits, weight, Reading(rss=1, private=100 * MB, shared=0), 5.0)
    assert weight.over_since is None


# --- recycling ---


@dataclass
class Slot:
    name: str
    fork: int = 0
    joins_at: float = 0.0
    ran: float = 0.0
    private: float = 0.0
    over_since: float | None = None
    swells: int = 0
    recycled_at: list[float] = field(default_factory=list)
    lives: list[float] = field(default_factory=list)

    def worker(self) -> Worker:
        return Worker(
            name=f"{self.name}#{self.fork}", slot=self.name,
            joined_at=self.joins_at, ran=int(self.ran), swells=self.swells,
            weight=Weight(over_since=self.over_since),
        )  # fmt: skip


class Pool:
    """Workers that are born, grow and run jobs; and a supervisor that does as it is told."""

    def __init__(
        self, limits: Limits, slots: int, *, boot: float = 0.5, born: float = 6, leak: float = 0.0,
        rate: float = 20.0,
    ) -> None:  # fmt: skip
        self.limits, self.boot, self.born, self.leak, self.rate = limits, boot, born, leak, rate
        self.slots = [Slot(f"q.{n}", private=born, joins_at=boot) for n in range(1, slots + 1)]
        self.now = 0.0

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now += EVERY
            here = [slot for slot in self.slots if slot.joins_at <= self.now]
            for slot in here:
                jobs = self.rate * EVERY
                slot.ran += jobs
                slot.private += jobs * self.leak
                over = 0 < self.limits.memory < slot.private * MB
                slot.over_since = (slot.over_since or self.now) if over else None
            workers = {slot.worker().name: slot for slot in here}
            whole = len(here) == len(self.slots)
            chosen = recycle.choose(
                self.limits, [slot.worker() for slot in here], self.now, is_whole=whole
            )
            soft = [why for _, why in chosen if why != "memory_limit"]
            assert not soft or (whole and len(chosen) == 1), "more than one at a time"
            for name, why in chosen:
                self._replace(workers[name], why)

    def _replace(self, slot: Slot, why: str) -> None:
        if why == "memory_limit":
            slot.swells = recycle.swells_after(slot.worker())
        slot.recycled_at.append(self.now)
        slot.lives.append(self.now - slot.joins_at)
        slot.fork, slot.ran, slot.private, slot.over_since = slot.fork + 1, 0.0, self.born, None
        slot.joins_at = self.now + self.boot


@settings(max_examples=15, deadline=None)
@given(
    slots=st.integers(1, 9), boot=st.floats(0.01, 3.0), age=st.integers(0, 60),
    jobs=st.integers(0, 3000), leak=st.floats(0, 3.0),
)  # fmt: skip
def test_of_a_queue_one_at_a_time_goes_unless_it_is_over_the_limit(
    slots: int, boot: float, age: int, jobs: int, leak: float
) -> None:
    """The pool checks it at each turn; and whoever is over the limit is gone at the next."""
    limits = Limits(memory=300 * MB, age=float(age), jobs=jobs)
    pool = Pool(limits, slots, boot=boot, leak=leak)
    for _ in range(60):
        pool.run(1.0)
        for slot in pool.slots:
            assert slot.over_since is None, "still there"


@settings(max_examples=8, deadline=None)
@given(slots=st.integers(2, 9), boot=st.floats(0.01, 1.0))
def test_who_was_born_together_does_not_go_together(slots: int, boot: float) -> None:
    """Ages are within a tenth, later only for want of turns; and not all the same."""
    pool = Pool(Limits(age=100.0), slots, boot=boot)
    pool.run(400.0)
    for slot in pool.slots:
        assert len(slot.lives) >= 3
        for life in slot.lives:
            assert 90.0 <= life <= 110.0 + slots * (boot + 2 * EVERY)
    drawn = {longest_life(100.0, f"{slot.name}#0") for slot in pool.slots}
    assert len(drawn) == slots
    first = sorted(slot.recycled_at[0] for slot in pool.slots)
    assert all(b - a >= min(boot, EVERY) for a, b in pairwise(first))


@given(jobs=st.integers(1, 10**7), worker=st.text(max_size=9))
def test_jobs_are_within_a_tenth_and_few_are_exact(jobs: int, worker: str) -> None:
    """The successor is due before the last one, but where there is nothing before it."""
    last, most = last_jobs(jobs, worker), most_jobs(jobs, worker)
    assert 0.9 * jobs <= last <= most <= 1.1 * jobs
    assert jobs < 10 or last < most
    assert jobs >= 10 or most == jobs


@settings(max_examples=8, deadline=None)
@given(slots=st.integers(1, 9), boot=st.floats(0.01, 3.0), rate=st.sampled_from((0.0, 20.0)))
def test_a_limit_below_the_application_makes_no_storm_of_forks(
    slots: int, boot: float, rate: float
) -> None:
    """A dozen replacements in ten minutes for an idle one; one a second at most where jobs run."""
    pool = Pool(Limits(memory=300 * MB), slots, boot=boot, born=400, rate=rate)
    pool.run(600.0)
    for slot in pool.slots:
        if rate == 0.0:
            assert len(slot.recycled_at) <= 12
        pauses = [b - a for a, b in pairwise(slot.recycled_at[1:])]
        assert all(pause >= 0.75 for pause in pauses)
        if rate:  # its jobs may have done it: it is let alone for a second, and no longer
            assert all(pause <= boot + 1.0 + 2 * EVERY for pause in pauses)


def test_a_leak_is_answered_at_once_however_often() -> None:
    """Its jobs grew it: after 30 of them it is replaced, each time."""
    pool = Pool(Limits(memory=300 * MB), 3, leak=10.0, rate=10.0)
    pool.run(120.0)
    for slot in pool.slots:
        assert all(life <= 4.0 for life in slot.lives)
        assert len(slot.lives) >= 25
