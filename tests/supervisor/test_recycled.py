"""A worker that ends by itself for a fresh one: whom the supervisor believes that."""

from __future__ import annotations

import random

import pytest
from msgspec.structs import replace
from support.worlds import APP, World

from jobd.core.events import WorkerStopped
from jobd.seams.exits import RECYCLED, Exit, Reason
from jobd.supervisor.orders import (
    Drain,
    Fork,
    Loaded,
    Look,
    Looked,
    Remind,
    Say,
    StopAsked,
    WorkerExited,
)


def working_world() -> tuple[World, str]:
    """Give a world with a worker in it, and the worker's incarnation."""
    world = World(random.Random(1))
    world._tick()
    world.see(Loaded(APP, ("q",)))
    while not world.processes:
        world._birth()
    world._look()
    return world, next(iter(world.processes))


@pytest.mark.parametrize(
    ("how", "reason", "jobs", "cause"),
    [
        (Exit(code=RECYCLED), Reason.DESCRIPTORS, (), "recycled"),
        # A later version may know more reasons.
        (Exit(code=RECYCLED), 200, (), "recycled"),
        # A task that ends its process with this code has given no reason.
        (Exit(code=RECYCLED), Reason.NONE, ("job",), "crash"),
        (Exit(code=RECYCLED), Reason.NONE, (), "crash"),
        # It had one, and then a job ended it all the same.
        (Exit(code=RECYCLED), Reason.FILES, ("job",), "crash"),
        (Exit(signal=11), Reason.FILES, (), "crash"),
        (Exit(code=0), Reason.NONE, ("job",), "crash"),
    ],
)
def test_who_ends_by_itself_is_believed_with_a_reason_and_nothing_begun(
    how: Exit, reason: int, jobs: tuple[str, ...], cause: str
) -> None:
    world, name = working_world()
    slot = world.fleet.slots[world.processes.pop(name).slot]
    said = world.see(WorkerExited(name, how, ran=3, reason=reason, jobs=jobs))

    assert (cause, jobs if cause == "crash" else ()) == (
        world.fleet.dead[name].cause,
        world.fleet.dead[name].charged,
    )
    after = world.fleet.slots[slot.name]
    assert after.exits == {cause: 1}
    if cause == "recycled":
        assert any(isinstance(action, Fork) and action.slot == slot.name for action in said)
        assert after.failures == 0
    if reason == Reason.DESCRIPTORS:
        [stopped] = [
            a.event for a in said if isinstance(a, Say) if isinstance(a.event, WorkerStopped)
        ]
        assert stopped.why == "descriptors"


def test_who_has_not_heard_that_it_is_to_drain_is_told_again() -> None:
    """A task may have ignored the signal. It ran then, and whoever has heard begins no other job."""
    world, name = working_world()
    process = world.processes[name]
    look = Look(
        name, process.pid, joined=True, fenced=False, ran=3, beat=world.now, asked=world.now
    )
    world.see(Looked((look,)))
    told = world.see(StopAsked(False))
    assert Drain(name) in told

    def again(ran: int, *, draining: bool) -> bool:
        world.now += 0.25
        moved = replace(look, ran=ran, draining=draining, beat=world.now, asked=world.now)
        return Remind(name) in world.see(Looked((moved,)))

    # The job that ran when it was told is not at its end.
    assert not again(3, draining=False)
    assert again(4, draining=False)
    assert not again(4, draining=True)
