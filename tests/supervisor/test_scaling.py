"""Processes come and go with the load: a fleet in virtual time."""

from __future__ import annotations

import random

import msgspec
import pytest
from support.worlds import APP, World, bounds, new_fleet, new_plan

from jobd.core.events import QueueScaled
from jobd.supervisor import messages, publish
from jobd.supervisor.demand import Bounds, Waiting
from jobd.supervisor.fleet import Queue
from jobd.supervisor.layout import lay_out
from jobd.supervisor.orders import (
    Action,
    Answer,
    Counted,
    Drain,
    Loaded,
    Look,
    Looked,
    Observation,
    PlanRead,
    ReloadAsked,
    Say,
    ScaleAsked,
)
from jobd.supervisor.reload import reader_of


def running(slots: int = 1, **changes: object) -> World:
    """A fleet at work, of one queue that may have two more."""
    world = World(random.Random(1), fleet=new_fleet(slots, pages=60))
    for name, value in changes.items():
        setattr(world.fleet, name, value)
    lay_out(world.fleet, 0.0)
    world._tick()
    world.see(Loaded(APP, ("q",)))
    births(world)
    return world


def births(world: World) -> None:
    while world.ordered:
        world._birth()
    world.now += 0.25
    world._look()


def look(world: World, *, busy: dict[str, int], ran: int = 0) -> None:
    world.now += 0.25
    looks = []
    for name, process in world.processes.items():
        process.ran += ran
        slot = world.fleet.children[name].slot
        looks.append(
            Look(name, process.pid, True, False, ran=process.ran, busy=busy.get(slot, 0),
                 beat=world.now, asked=world.now)
        )  # fmt: skip
    world.see(Looked(tuple(looks)))


def count(world: World, due: int, **more: object) -> list[QueueScaled]:
    world.now += 1.0
    return said(world.see(Counted(True, {"q": Waiting(due=due, **more)})))  # type: ignore[arg-type]


def said(actions: list[Action]) -> list[QueueScaled]:
    return [a.event for a in actions if isinstance(a, Say) and isinstance(a.event, QueueScaled)]


def answered(actions: list[Action]) -> Answer:
    [answer] = [a for a in actions if isinstance(a, Answer)]
    return answer


def ask(world: World, seen: ScaleAsked) -> Answer:
    world.asking.append(7)
    return answered(world.see(msgspec.structs.replace(seen, client=7)))


def slots(world: World, queue: str = "q") -> list[str]:
    return sorted(slot.name for slot in world.fleet.slots_of(queue))


def test_what_waits_makes_slots_and_the_log_says_why() -> None:
    world = running()
    scaled = []
    for _ in range(4):
        scaled += count(world, 500)
        births(world)
        look(world, busy={"q.1": 1, "q.2": 1, "q.3": 1}, ran=2)
    assert [(e.queue, e.before, e.processes) for e in scaled] == [("q", 1, 3)], "at once, by need"
    assert "due 500" in scaled[-1].why
    assert slots(world) == ["q.1", "q.2", "q.3"]
    assert len(world.processes) == 3
    pool = publish.for_people(world.fleet, pid=1, started_at=0.0).pools["q"]
    assert (pool.target, pool.min, pool.max, pool.asked) == (3, 1, 3, None)
    assert "due 500, drained in" in pool.why


def test_whoever_is_too_many_drains_an_idle_one_first_of_the_highest_number() -> None:
    """Nobody is killed, and who stays is not touched."""
    world = running(3)
    stays = {world.fleet.slots[name].child for name in ("q.1", "q.3")}
    gone: list[str] = []
    for _ in range(40):
        for _ in range(4):
            look(world, busy={"q.3": 1})
        actions = world.see(Counted(True, {"q": Waiting()}))
        gone += [a.incarnation for a in actions if isinstance(a, Drain)]
        if gone:
            break
    assert slots(world) == ["q.1", "q.3"]
    assert [world.processes[name].slot for name in gone] == ["q.2"]
    assert world.fleet.children[gone[0]].leaving == "scaled"
    assert not world.killed
    assert {world.fleet.slots[name].child for name in ("q.1", "q.3")} == stays
    world.now += 1.0
    ask(world, ScaleAsked("q", to=3))
    assert slots(world) == ["q.1", "q.2", "q.3"], "the lowest free number is taken"


def test_old_figures_are_none() -> None:
    world = running()
    count(world, 500)
    for _ in range(100):
        world.now += 1.0
        assert not said(world.see(Counted(False)))
    assert "no figures" in world.fleet.queues["q"].scaling.why


def test_a_step_by_signal_is_for_every_queue_within_its_bounds() -> None:
    """One that is fixed has a floor of one; one that is served elsewhere stays there."""
    queues = {
        "q": Queue(name="q", helper=APP, target=2, bounds=Bounds(least=2, most=3)),
        "r": Queue(name="r", helper=APP, target=1),
        "elsewhere": Queue(name="elsewhere", helper=APP, target=0, bounds=Bounds(least=0, most=0)),
    }
    world = running(queues=queues)

    def numbers(by: int) -> list[int]:
        world.see(ScaleAsked(by=by))
        births(world)
        return [queue.target for queue in world.fleet.queues.values()]

    assert numbers(1) == [3, 2, 0]
    assert numbers(1) == [3, 3, 0]
    assert numbers(-1) == [2, 2, 0]
    assert numbers(-1) == [2, 1, 0]
    assert numbers(-1) == [2, 1, 0]
    for _ in range(200):
        world.now += 1.0
        assert not said(world.see(Counted(True, {"q": Waiting(due=900)}))), "load changes nothing"
    assert "by hand" in world.fleet.queues["q"].scaling.why


def test_a_number_by_hand_goes_beyond_the_bounds_and_auto_ends_it() -> None:
    world = running()
    assert ask(world, ScaleAsked("q", to=5)).told == {"to": 5}
    births(world)
    assert len(world.processes) == 5
    assert ask(world, ScaleAsked("q")).told == {}
    assert len(slots(world)) == 3, "the most it may have"


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        (ScaleAsked("no", to=1), "queue: 'no'; expected one that is served here: q"),
        (ScaleAsked("q", to=0), "count: 0; expected 1 to 1000; to have nothing run"),
        (ScaleAsked("q", to=1001), "count: 1001; expected 1 to 1000"),
        (ScaleAsked("q", to=900), "count: 900; expected at most"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(asked: ScaleAsked, error: str) -> None:
    world = running()
    answer = ask(world, asked)
    assert answer.error is not None
    assert answer.error.startswith(error)
    assert slots(world) == ["q.1"]


def test_by_hand_too_the_host_has_its_limit() -> None:
    world = running()
    world.fleet.policy = msgspec.structs.replace(world.fleet.policy, max_processes=2)
    assert ask(world, ScaleAsked("q", to=3)).told == {"to": 2}
    assert "max_processes = 2" in world.fleet.queues["q"].scaling.why


@pytest.mark.parametrize(("elastic", "then"), [(True, 3), (False, 2)])
def test_a_reload_keeps_what_the_load_has_made_and_forgets_what_hands_have(
    elastic: bool, then: int
) -> None:
    world = running()
    ask(world, ScaleAsked("q", to=3))
    births(world)
    plan = new_plan(2, {"q": 2})
    queue = msgspec.structs.replace(plan.queues["q"], bounds=bounds(2, elastic=elastic))
    plan = msgspec.structs.replace(plan, queues={"q": queue})
    world.see(ReloadAsked())
    seen: list[Observation] = [
        Loaded(reader_of(world.fleet.reload)), PlanRead(plan), *map(Loaded, plan.preloaders),
    ]  # fmt: skip
    for each in seen[1:]:
        world.see(each)
    assert world.fleet.generation == 2
    after = world.fleet.queues["q"]
    assert (after.target, after.scaling.asked) == (then, None)


def test_the_keepers_words_are_read() -> None:
    told = {"store": True, "queues": {"q": {"due": 3, "oldest": 1.5, "paused": False, "limited": True, "hosts": 2}}}  # fmt: skip
    [seen] = messages.read("keeper", told)
    assert seen == Counted(True, {"q": Waiting(due=3, oldest=1.5, limited=True, hosts=2)})
    assert messages.read("keeper", {"store": False}) == [Counted(False)]
    assert messages.read("keeper", {"store": True, "queues": {"q": 7}}) == []
