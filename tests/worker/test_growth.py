"""Which task makes a worker grow: found among others, in any mix, without counting anything twice."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobd.seams.scoreboard_page import Page
from jobd.worker.costs import Costs, SharedCosts
from jobd.worker.growth import EVERY, Growth

MB = 1000**2


class Process:
    """Runs jobs and grows by them."""

    def __init__(self, leaks: dict[bytes, int]) -> None:
        self.leaks = leaks
        self.size, self.now, self.looks = 50 * MB, 0.0, 0
        self.page = Page.alone()
        self.page.hand_out(incarnation="i", queue="q", slot="q.1")
        self.growth = Growth(self.page, resident=self._look, clock=lambda: self.now)

    def _look(self) -> int:
        self.looks += 1
        return self.size

    def run(self, jobs: dict[bytes, int], span: float = EVERY) -> None:
        for task, count in jobs.items():
            self.size += self.leaks.get(task, 0) * count
        self.now += span
        self.growth.note({task: (0.0, count) for task, count in jobs.items()})

    def told(self) -> tuple[str, int, int]:
        view = self.page.view()
        assert view is not None
        return view.grown_task, view.grown, view.grown_jobs


@pytest.fixture
def quiet() -> Process:
    return Process({b"leak": MB})


def test_one_task_alone_is_told_by_its_bytes_and_its_jobs(quiet: Process) -> None:
    """But for the measure in which it ran first."""
    for _ in range(11):
        quiet.run({b"leak": 3})
    assert quiet.told() == ("leak", 30 * MB, 30)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), tasks=st.integers(2, 6), most=st.integers(1, 30))
def test_who_leaks_is_found_among_those_that_do_not(seed: int, tasks: int, most: int) -> None:
    """In mixes that vary; and the shares are what was measured."""
    rng = random.Random(seed)
    names = [f"task-{n}".encode() for n in range(tasks)]
    process = Process({names[0]: MB})
    for name in names:  # each is known
        process.run({name: 1})
    before = process.size
    for _ in range(300):
        mix = {name: rng.randrange(most + 1) for name in names}
        process.run({name: count for name, count in mix.items() if count} or {names[1]: 1})
    growth = process.growth
    assert sum(growth.grown.values()) == pytest.approx(process.size - before, abs=10)
    rates = {name: growth.grown[name] / growth.jobs[name] for name in names}
    assert rates[names[0]] > 0.8 * MB
    assert all(abs(rates[name]) < 0.2 * MB for name in names[1:])
    assert process.told()[0] == "task-0"


def test_in_a_mix_that_never_varies_a_close_look_finds_who_leaks(quiet: Process) -> None:
    """Jobs of one batch are measured one by one, once a second."""
    batches = 0
    for _ in range(200):
        mix = {b"leak": 4, b"calm": 4}
        if quiet.growth.looks_closely:
            batches += 1
            size = quiet.size
            quiet.growth.begin()
            for task in (b"leak", b"calm") * 4:
                quiet.size += quiet.leaks.get(task, 0)
                quiet.growth.ran(task)
            quiet.size = size
        quiet.run(mix)
    assert 5 <= batches <= 10
    assert quiet.told()[0] == "leak"
    growth = quiet.growth
    assert growth.grown[b"leak"] > 20 * abs(growth.grown[b"calm"])


@pytest.mark.parametrize("order", ["leak first", "calm first"])
def test_a_close_look_lasts_until_each_of_the_mix_was_seen(quiet: Process, order: str) -> None:
    """Where one job is claimed at a time, the first batch after a measure holds one task only."""
    tasks = (b"leak", b"calm") if order == "leak first" else (b"calm", b"leak")
    for number in range(600):
        task = tasks[number % 2]
        if quiet.growth.looks_closely:
            quiet.growth.begin()
            quiet.size += quiet.leaks.get(task, 0)
            quiet.growth.ran(task)
            quiet.size -= quiet.leaks.get(task, 0)
        quiet.run({task: 1}, span=EVERY / 9)
    growth = quiet.growth
    assert growth.grown[b"leak"] > 20 * abs(growth.grown[b"calm"])


def test_a_close_look_for_what_does_not_come_ends_and_comes_back_in_a_second(
    quiet: Process,
) -> None:
    quiet.run({b"leak": 1, b"calm": 1})
    closely = 0
    for _ in range(1000):
        if quiet.growth.looks_closely:
            closely += 1
            quiet.growth.begin()
            quiet.growth.ran(b"leak")
        quiet.run({b"leak": 1}, span=0.01)
    assert 5 <= closely <= 7


def test_it_looks_once_in_a_while_however_many_batches_there_are(quiet: Process) -> None:
    for _ in range(1000):
        quiet.run({b"calm": 100}, span=EVERY / 10)
    assert quiet.looks <= 110
    assert quiet.growth.jobs[b"calm"] >= 95_000


def test_what_shrinks_is_told_nowhere(quiet: Process) -> None:
    quiet.leaks = {b"calm": -1000}
    for _ in range(20):
        quiet.run({b"calm": 1})
    assert quiet.told() == ("", 0, 0)


def test_a_long_name_is_cut() -> None:
    page = Page.alone()
    page.hand_out(incarnation="i", queue="q", slot="q.1")
    page.set_grown(b"x" * 128, 7, 2**40)
    view = page.view()
    assert view is not None
    assert (view.grown_task, view.grown, view.grown_jobs) == ("x" * 72, 7, 2**32 - 1)
    assert view.cells == ()


def test_where_nothing_ran_nobody_is_blamed(quiet: Process) -> None:
    """Lanes may come and go before the first job ends."""
    costs = SharedCosts()
    costs.growth = quiet.growth
    costs.flat(1)
    costs.flat(3)
    quiet.now += 1.0
    quiet.growth.note({})
    assert quiet.told() == ("", 0, 0)


def test_costs_tell_of_every_run() -> None:
    """Where they are spelled for a claim."""
    process = Process({})
    costs = Costs()
    costs.growth = process.growth
    for turn in range(3):
        for _ in range(5):
            costs.note(b"calm", 0.001)
        process.now = float(turn)
        costs.flat()
    assert process.growth.jobs == {b"calm": 10}


def test_costs_know_whose_code_has_run_since_somebody_asked() -> None:
    """Also where no job of theirs ran; a claim that is spelled in between hides none."""
    costs = Costs()
    costs.note(b"before", 0.001)
    assert costs.take_ran() == {b"before"}
    costs.note(b"one", 0.001)
    costs.flat()
    costs.note(b"two", 0.001)
    costs.touch(b"refused its arguments")
    assert costs.take_ran() == {b"one", b"two", b"refused its arguments"}
    assert costs.take_ran() == set()
    assert costs.flat() == [b"before", 1001, b"one", 1001, b"two", 1001]
