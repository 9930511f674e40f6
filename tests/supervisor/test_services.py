"""Web and alerter beside the work: they may end, hang and come and go, and no worker feels it."""

from __future__ import annotations

import random

import pytest
from msgspec.structs import replace
from support.worlds import BOTH, POLICY, World, new_fleet, new_plan

from jobd.seams.exits import Exit
from jobd.seams.statefile import State
from jobd.supervisor.fleet import Stop
from jobd.supervisor.orders import (
    Adopt,
    Discard,
    HelperExited,
    Loaded,
    PlanRead,
    PlanRefused,
    ReloadAsked,
    StopAsked,
)
from jobd.supervisor.publish import for_people
from jobd.supervisor.settle import next_deadline

LOOK = POLICY.look_every


def _running(services: tuple[str, ...] = BOTH) -> World:
    """A daemon at full strength, whose services have come up."""
    world = World(random.Random(1), new_fleet(services=services))
    _come_up(world)
    return world


def _with_long_leases() -> World:
    """By these the keeper's pauses are measured."""
    world = World(random.Random(1), new_fleet(policy=replace(POLICY, lease=30.0)))
    _come_up(world)
    return world


def _come_up(world: World) -> None:
    world._tick()
    for name in sorted(world.helpers):
        world.speak(name)
    while world.ordered:
        world._birth()
        world._look()
    assert world.fleet.ready


def _live(world: World, seconds: float, *, silent: str = "") -> None:
    """Let time pass in which all is well, but for one that says nothing."""
    until = world.now + seconds
    while world.now < until and not world.quits:
        world.now += LOOK
        for name in sorted(world.helpers - {silent}):
            world.speak(name)
        world._look()


def _end(world: World, name: str, how: Exit) -> None:
    world.helpers.discard(name)
    world.ill.discard(name)
    world.see(HelperExited(name, how))


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("code", [78, 1])
def test_one_that_never_comes_up_ends_nothing(name: str, code: int) -> None:
    """It is tried for as long as the daemon runs, and the work goes on."""
    world = World(random.Random(1))
    world._tick()
    for _ in range(3 * POLICY.load_attempts):
        if name in world.helpers:
            _end(world, name, Exit(code=code))
        _live(world, POLICY.lease / 6 + LOOK, silent=name)
    assert world.fleet.stop is Stop.NO
    assert world.fleet.last_error is None
    assert name in world.fleet.helpers


@pytest.mark.parametrize("name", BOTH)
def test_one_that_is_killed_again_and_again_is_soon_there_again(name: str) -> None:
    world = _with_long_leases()
    before = dict(world.fleet.children)
    for _ in range(20):
        _end(world, name, Exit(signal=9))
        ended_at = world.now
        while name not in world.helpers:
            _live(world, LOOK, silent=name)
        assert world.now - ended_at <= 1.0 + LOOK
        world.speak(name)
    assert world.fleet.stop is Stop.NO
    assert set(world.fleet.children) == set(before)


@pytest.mark.parametrize("name", BOTH)
def test_one_that_comes_up_no_more_is_tried_less_often(name: str) -> None:
    """What was up before shows nothing of what is wrong now: each start costs a second's work."""
    world = _with_long_leases()
    waits = []
    for _ in range(12):
        _end(world, name, Exit(code=1))
        ended_at = world.now
        while name not in world.helpers:
            _live(world, LOOK, silent=name)
        waits.append(world.now - ended_at)
    assert max(waits) <= 30.0 / 6 + LOOK
    assert waits[-1] > 3.0


def test_one_is_missed_from_its_end_until_it_is_up_whatever_is_started_in_vain() -> None:
    world = _running()
    assert not _state(world).down
    assert set(_state(world).helpers.values()) == {"running"}
    _end(world, "keeper", Exit(signal=9))
    ended_at = world.now
    for _ in range(4):
        assert _state(world).down == {"keeper": ended_at}
        while "keeper" not in world.helpers:
            _live(world, LOOK, silent="keeper")
        assert _state(world).helpers["keeper"] == "starting"
        _live(world, 1.0, silent="keeper")
        _end(world, "keeper", Exit(code=70))
    assert _state(world).helpers["keeper"] == "waiting"
    assert _state(world).down == {"keeper": ended_at}
    while "keeper" not in world.helpers:
        _live(world, LOOK, silent="keeper")
    world.speak("keeper")
    assert not _state(world).down
    world.now += 1.0
    _end(world, "keeper", Exit(signal=9))
    assert _state(world).down == {"keeper": world.now}


def test_what_a_reload_tries_out_is_not_missed() -> None:
    world = _running()
    world.see(ReloadAsked())
    assert "reader #2" in world.helpers
    assert not _state(world).down
    plan = new_plan(world.fleet.reload.attempt, {"q": 3}, services=BOTH)
    world.see(PlanRead(plan))
    [fresh] = plan.preloaders
    assert _state(world).helpers[fresh] == "starting"
    assert not _state(world).down


def _state(world: World) -> State:
    return for_people(world.fleet, pid=1, started_at=0.0)


@pytest.mark.parametrize("name", BOTH)
def test_one_whose_settings_change_may_end_what_is_under_way(name: str) -> None:
    world = _running()
    _reload(world, BOTH)
    helper = world.fleet.helpers[name]
    assert (helper.told, helper.killed) == (True, False)
    _end(world, name, Exit(code=0))
    assert name in world.helpers, "at once, with what is in force"
    assert not world.fleet.helpers[name].told


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("why", ["outdated", "retired", "draining"])
def test_one_that_does_not_end_when_told_is_killed(name: str, why: str) -> None:
    world = _running()
    if why == "outdated":
        _reload(world, BOTH)
    else:
        _reload(world, ())
    if why == "draining":
        world.see(StopAsked(now=False))  # and the workers take their time
    helper = world.fleet.helpers[name]
    assert (helper.told, helper.killed) == (True, False)
    told_at = world.now
    while not world.fleet.helpers[name].killed:
        assert next_deadline(world.fleet) <= told_at + POLICY.service_grace
        _live(world, LOOK)
        assert world.now - told_at <= POLICY.service_grace + LOOK
    assert world.now - told_at >= POLICY.service_grace
    world.obey(name)
    assert (name in world.helpers) is (why == "outdated")


@pytest.mark.parametrize("name", BOTH)
def test_one_that_hangs_is_killed_once_its_stacks_are_known(name: str) -> None:
    world = _running()
    before = set(world.fleet.children)
    silent_at = world.now
    while name not in world.ill:
        _live(world, LOOK, silent=name)
        assert world.now - silent_at < 10
    assert world.now - silent_at >= 5
    assert world.dumped == [name]
    _end(world, name, Exit(signal=9))
    _live(world, 1.0)
    assert name in world.helpers
    assert set(world.fleet.children) == before


def test_they_end_when_the_last_worker_has_gone() -> None:
    world = _running()
    world.see(StopAsked(now=False))
    names = sorted(world.processes)
    for name in names[:-1]:
        world._end(name, Exit(code=0))
        assert not any(world.fleet.helpers[each].told for each in BOTH)
    world._end(names[-1], Exit(code=0))
    assert all(world.fleet.helpers[each].told for each in BOTH)


def _reload(world: World, services: tuple[str, ...], *, loads: bool = True) -> list[object]:
    """Carry a reload through, up to where its code has loaded or failed to."""
    world.see(ReloadAsked())
    attempt = world.fleet.reload.attempt
    plan = new_plan(attempt, {"q": 3}, services=services)
    out = [*world.see(PlanRead(plan))]
    [fresh] = plan.preloaders
    if loads:
        return out + world.see(Loaded(fresh, ("q",)))
    return out + world.see(HelperExited(fresh, Exit(code=1)))


def test_a_reload_brings_one_and_takes_it_away() -> None:
    world = _running(services=())
    assert not {*BOTH} & world.helpers
    _reload(world, ("web",))
    assert "web" in world.helpers
    world.speak("web")
    _reload(world, ())
    assert world.fleet.helpers["web"].told
    _end(world, "web", Exit(code=0))
    assert "web" not in world.fleet.helpers


def test_one_that_a_reload_brings_and_that_never_comes_up_ends_nothing() -> None:
    world = _running(services=())
    _reload(world, ("web",))
    for _ in range(3 * POLICY.load_attempts):
        _live(world, POLICY.lease / 6 + LOOK, silent="web")
        _end(world, "web", Exit(code=1))
    assert world.fleet.stop is Stop.NO


def test_what_a_refused_reload_has_opened_is_let_go_of() -> None:
    """Whether the file was refused, the code did not load, or it was too slow."""
    world = _running()
    assert Discard() in _reload(world, BOTH, loads=False)
    world.see(ReloadAsked())
    assert Discard() in world.see(PlanRefused("no app"))
    world.see(ReloadAsked())
    attempt = world.fleet.reload.attempt
    _live(world, POLICY.load_timeout + 1)
    assert not world.fleet.reload.number
    late = world.see(PlanRead(new_plan(attempt, {"q": 3})))
    assert Discard() in late
    assert Adopt() not in late


def test_one_that_is_adopted_is_not() -> None:
    done = _reload(_running(), BOTH)
    assert Adopt() in done
    assert Discard() not in done
