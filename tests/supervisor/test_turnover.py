"""The laws of replacing workers for memory, jobs and age, in a whole fleet and virtual time."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from support.worlds import APP, World, new_fleet

from jobd.seams.exits import Exit
from jobd.supervisor import growth, publish
from jobd.supervisor.fleet import Stop
from jobd.supervisor.growth import Grown
from jobd.supervisor.memory import Limits, Reading
from jobd.supervisor.orders import Fork, Kill, Loaded, Look, Looked, Say, WorkerExited

MB = 1000**2
LIMITS = Limits(memory=100 * MB, memory_hard=300 * MB, jobs=4, age=8.0)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_in_any_world_one_at_a_time_goes_and_only_the_heavy_are_killed(seed: int) -> None:
    """The world checks what holds for every leaver; here is what holds for these."""
    world = World(random.Random(seed), new_fleet(limits=LIMITS))
    for _ in range(300):
        before = world.fleet
        world.happen()
        left = [
            child
            for name, child in world.fleet.children.items()
            if child.leaving and name in before.children and not before.children[name].leaving
        ]
        gentle = [child for child in left if child.leaving in ("max_jobs", "max_age")]
        assert len(gentle) <= 1
        for child in gentle:
            here = [c for n, c in world.fleet.children.items() if n in before.children]
            assert child.slot in {c.slot for c in here if c.joined}
            filling = {c.slot for c in here if c.joined and not c.leaving} | {child.slot}
            # A slot that the same step has made had nobody who could be away.
            others = set(before.slots) & set(world.fleet.slots)
            assert filling >= others, "others were away"
        for child in left:
            assert child.leaving != "memory_limit" or child.weight.private > LIMITS.memory
        for child in world.fleet.children.values():
            assert child.killed != "memory" or child.weight.private > LIMITS.memory_hard


def joined(world: World) -> list[str]:
    """Let all workers come up; give their names."""
    world._tick()
    world.see(Loaded(APP, ("q",)))
    while world.ordered:
        world._birth()
        world._look()
    return sorted(world.processes)


def look(world: World, name: str, private: int, ran: int = 0) -> list[object]:
    world.now += 0.25
    memory = Reading(rss=private, private=private, shared=0)
    return [*world.see(Looked((Look(name, 1, joined=True, fenced=False, ran=ran, memory=memory),)))]


def test_over_the_limit_another_is_forked_before_anybody_is_told_to_go() -> None:
    world = World(random.Random(1), new_fleet(limits=LIMITS))
    name, *_ = joined(world)
    world.now += 5.0
    actions = look(world, name, 101 * MB, ran=7)
    assert [type(action) for action in actions] == [Say, Fork]
    assert name not in world.soft
    world._birth()
    world._look()
    assert world.soft == {name}
    world._end(name, Exit(code=0))
    assert world.fleet.dead[name].cause == "recycled"
    assert world.fleet.slots["q.1"].failures == 0


def test_over_the_hard_limit_it_is_killed_at_one_look_and_its_jobs_have_crashed() -> None:
    world = World(random.Random(1), new_fleet(limits=LIMITS))
    name, *_ = joined(world)
    [said, kill, _] = look(world, name, 301 * MB)
    assert kill == Kill(name, "memory")
    assert isinstance(said, Say)
    assert said.event.event == "memory.over_limit"
    world._end(name, Exit(signal=9))
    assert world.fleet.dead[name].cause == "memory"


def test_a_leaver_with_a_long_job_is_held_to_the_hard_limit_too() -> None:
    world = World(random.Random(1), new_fleet(limits=LIMITS))
    name, *_ = joined(world)
    world.now += 5.0
    look(world, name, 101 * MB, ran=7)
    world._birth()
    world._look()
    look(world, name, 301 * MB, ran=7)
    assert world.killed == {name}


def test_on_the_way_out_nobody_is_replaced() -> None:
    world = World(random.Random(1), new_fleet(limits=LIMITS))
    name, *_ = joined(world)
    world.stop(now=False)
    assert world.fleet.stop is Stop.DRAIN
    assert not [a for a in look(world, name, 101 * MB, ran=7) if isinstance(a, Fork)]


@given(
    told=st.lists(
        st.tuples(st.integers(0, 60), st.integers(-MB, 9 * MB), st.integers(1, 99)), max_size=200
    )
)
def test_blame_adds_up_and_is_bounded(told: list[tuple[int, int, int]]) -> None:
    """However many names there are, the worst are kept, and the worst comes first."""
    tally: dict[str, Grown] = {}
    for task, size, jobs in told:
        tally = growth.added(tally, Grown(f"t{task}", size, jobs), None)
    assert len(tally) <= growth.MOST_TASKS
    sizes = [grown.size for grown in tally.values()]
    assert sizes == sorted(sizes, reverse=True)
    assert all(size > 0 for size in sizes)
    if len({task for task, _, _ in told}) <= growth.MOST_TASKS:
        for name, grown in tally.items():
            mine = [(s, j) for t, s, j in told if f"t{t}" == name and s > 0]
            assert (grown.size, grown.jobs) == (sum(s for s, _ in mine), sum(j for _, j in mine))


def test_blame_outlives_the_worker_and_is_shown_with_that_of_the_living() -> None:
    world = World(random.Random(1), new_fleet(limits=LIMITS))
    first, second, _ = joined(world)
    world.see(WorkerExited(first, Exit(code=0), ran=9, grown=Grown("render", 4 * MB, 4)))
    world.now += 0.25
    memory = Reading(rss=MB, private=MB, shared=0)
    seen = Look(
        second, 1, joined=True, fenced=False, memory=memory, grown=Grown("render", 2 * MB, 1)
    )
    world.see(Looked((seen,)))
    [shown] = publish.for_people(world.fleet, pid=1, started_at=0.0).pools["q"].growth
    assert (shown.task, shown.bytes, shown.jobs) == ("render", 6 * MB, 5)
