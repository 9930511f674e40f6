"""The laws of a supervisor, in random worlds and virtual time."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.worlds import APP, BOTH, POLICY, World

from jobd.seams.exits import Exit
from jobd.supervisor import backoff
from jobd.supervisor.fleet import Stage, Stop
from jobd.supervisor.orders import HelperExited, Loaded, Look, Looked
from jobd.supervisor.settle import next_deadline


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), at_once=st.booleans(), steps=st.integers(0, 400))
def test_every_world_keeps_the_laws_and_ends(seed: int, at_once: bool, steps: int) -> None:
    world = World(random.Random(seed))
    for _ in range(steps):
        world.happen()
    world.stop(now=at_once)
    asked_at = world.now
    while not world.quits:
        _machine_obeys(world)
    if at_once:
        assert world.now - asked_at <= POLICY.ack_grace + POLICY.helper_grace + 0.5
    else:
        # The keeper may be dead and Redis away: whoever drained for as long as he may waits no more.
        assert world.now - asked_at <= POLICY.drain_timeout + 2.0
    assert world.fleet.code == 0


def _machine_obeys(world: World) -> None:
    """Kills work, frozen or not; nothing drains by itself, and the keeper may be dead."""
    for name in [n for n, p in world.processes.items() if p.doomed]:
        world._end(name, Exit(signal=9))
    for name in sorted(world.helpers):
        if world.fleet.helpers[name].told or world.fleet.helpers[name].killed:
            world.helpers.discard(name)
            world.see(HelperExited(name, Exit(signal=15)))
    if world.quits:
        return
    world.now = min(world.now + 0.25, max(next_deadline(world.fleet), world.now + 0.001))
    world._look()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_left_alone_fleet_converges_to_full_strength(seed: int) -> None:
    world = World(random.Random(seed))
    for _ in range(200):
        world.happen()
    for process in world.processes.values():
        process.frozen = process.over = False
    deadline = world.now + 4 * POLICY.backoff_cap
    while world.now < deadline:
        world.now += 0.25
        _machine_helps(world)
    children = [world.fleet.child_in(slot) for slot in world.fleet.slots.values()]
    assert all(child is not None and child.stage is Stage.RUNNING for child in children)
    assert not world.fleet.dead
    stuck = {name for name, process in world.processes.items() if process.stuck_at}
    assert not stuck & set(world.fleet.children)


def _machine_helps(world: World) -> None:
    """All that is to happen happens, and nothing else goes wrong."""
    for name in [n for n, p in world.processes.items() if p.doomed or p.drains]:
        if name in world.processes:
            doomed = world.processes[name].doomed
            world._end(name, Exit(signal=9) if doomed else Exit(code=0))
    for _ in range(len(world.fleet.dead)):
        world._release()
    for name in sorted(world.ill):
        world.obey(name)
    for name in sorted(world.helpers):
        beats = name in ("keeper", *BOTH) and world.now % 2 < 0.25
        if beats or not world.fleet.helpers[name].up:
            world.speak(name)
    while world.ordered:
        world._birth()
    world._look()


@given(name=st.text(max_size=8), base=st.floats(0.01, 2.0), cap=st.floats(2.0, 600.0))
def test_backoff_never_shrinks_and_ends_at_its_cap(name: str, base: float, cap: float) -> None:
    waits = [backoff.delay(name, n, base=base, cap=cap) for n in range(1, 80)]
    assert waits == sorted(waits)
    assert waits[0] == 0.0
    assert waits[-1] == cap


def _running(world: World) -> str:
    world._tick()
    world.see(Loaded(APP, ("q",)))
    while world.ordered:
        world._birth()
        world._look()
    return next(iter(world.processes))


def test_a_job_over_its_deadline_is_killed_at_the_second_look_not_the_first() -> None:
    world = World(random.Random(1))
    name = _running(world)
    over = Looked((Look(name, 1, True, False, frozenset({("a", 7)})),))
    world.see(over)
    world.see(over)  # the same instant is the same look
    assert not world.killed
    world.now += POLICY.look_every
    world.see(over)
    assert world.killed == {name}
    world._end(name, Exit(signal=9))
    dead = world.fleet.dead[name]
    assert (dead.cause, dead.charged) == ("timeout", ("a",))


@pytest.mark.parametrize(("late", "cause"), [(False, "cancelled"), (True, "timeout")])
def test_a_condemned_job_ends_its_process_and_a_late_one_is_told_from_it(
    late: bool, cause: str
) -> None:
    world = World(random.Random(1))
    name = _running(world)
    condemned = frozenset({("a", 7)})
    over = condemned | {("late", 8)} if late else condemned
    for _ in range(2):
        world.now += POLICY.look_every
        world.see(Looked((Look(name, 1, True, False, over, condemned),)))
    assert world.killed == {name}
    world._end(name, Exit(signal=9))
    dead = world.fleet.dead[name]
    assert (dead.cause, dead.charged) == (cause, ("late",) if late else ("a",))


def test_another_job_over_its_deadline_is_another_first_look() -> None:
    world = World(random.Random(1))
    name = _running(world)
    for claim in range(20):
        world.now += POLICY.look_every
        world.see(Looked((Look(name, 1, True, False, frozenset({("a", claim)})),)))
    assert not world.killed


def test_a_frozen_worker_is_killed_after_a_lease_unless_we_slept_too() -> None:
    world = World(random.Random(1))
    name = _running(world)
    world.processes[name].frozen = True
    world._look()
    world.now += 100.0  # the whole host stood still
    world._look()
    assert not world.killed
    for _ in range(14):
        world.now += 0.25
        world._look()
    assert world.killed == {name}


@pytest.mark.parametrize(("code", "ends"), [(78, 78), (69, 69), (1, 70)])
def test_a_helper_that_never_comes_up_ends_the_daemon(code: int, ends: int) -> None:
    world = World(random.Random(1))
    for _ in range(POLICY.load_attempts):
        world.now += 70.0
        world._tick()
        if APP in world.helpers and world.fleet.stop is Stop.NO:
            world.helpers.discard(APP)
            world.see(HelperExited(APP, Exit(code=code)))
    world.now += 0.25
    if world.fleet.stop is Stop.NO:
        pytest.fail("still trying")
    assert world.fleet.code == ends
    while not world.quits:
        _machine_obeys(world)


def test_helpers_come_back_and_workers_are_not_touched() -> None:
    world = World(random.Random(1))
    _running(world)
    before = dict(world.fleet.children)
    for name in ("keeper", APP):
        world.helpers.discard(name)
        world.see(HelperExited(name, Exit(signal=9)))
    assert world.fleet.children == before
    assert world.helpers == {"keeper", APP, *BOTH}
