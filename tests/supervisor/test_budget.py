"""A queue whose workers only crash is given few forks; one that is of use, all it needs."""

from __future__ import annotations

import random

import pytest
from support.worlds import APP, World, new_fleet

from jobd.seams.exits import Exit
from jobd.supervisor.fleet import Queue
from jobd.supervisor.layout import lay_out
from jobd.supervisor.orders import Forked, Loaded, Look, Looked, WorkerExited


class Loop:
    """Virtual time in which each worker of `q` ends `after` seconds from its fork."""

    def __init__(self, slots: int, *, after: float, ran: int = 0) -> None:
        fleet = new_fleet(slots, pages=200)
        fleet.queues["other"] = Queue(name="other", helper=APP)
        lay_out(fleet, 0.0)
        self.world = World(random.Random(1), fleet=fleet)
        self.after = after
        self.ran = ran
        self.forks: list[float] = []
        self.began = self.world.now
        self.ends: dict[str, float] = {}
        self.world._tick()
        self.world.see(Loaded(APP, ("q",), "code"))

    def go_on(self, seconds: float) -> None:
        world = self.world
        until = world.now + seconds
        while world.now < until:
            for name, order in list(world.ordered.items()):
                del world.ordered[name]
                world.pids += 1
                world.see(Forked(name, world.pids))
                if order.queue == "q":
                    self.forks.append(world.now - self.began)
                    self.ends[name] = world.now + self.after
            for name in [name for name, at in self.ends.items() if at <= world.now]:
                del self.ends[name]
                world.see(WorkerExited(name, Exit(signal=11), ran=self.ran))
            self._look()
            for _ in range(len(world.fleet.dead)):
                world._release()
            world.now += 0.2

    def _look(self) -> None:
        looks = [
            Look(
                c.incarnation,
                c.pid,
                joined=True,
                fenced=False,
                ran=self.ran,
                beat=self.world.now,
                asked=self.world.now,
            )
            for c in self.world.fleet.children.values()
            if c.pid
        ]
        self.world.see(Looked(tuple(looks)))


@pytest.mark.parametrize("slots", [1, 3, 8])
@pytest.mark.parametrize("after", [0.05, 3.0])
def test_a_crash_loop_forks_at_most_ten_times_in_a_minute_and_twice_in_each_after(
    slots: int, after: float
) -> None:
    loop = Loop(slots, after=after)
    loop.go_on(240)
    for start in range(0, 240, 5):
        minute = [at for at in loop.forks if start <= at < start + 60]
        assert len(minute) <= (10 if start < 60 else 2), (start, loop.forks)
    assert loop.world.fleet.queues["q"].gave_up
    assert not loop.world.fleet.queues["other"].gave_up
    assert len(loop.forks) >= slots + 3, "probes go on"


def test_a_queue_that_recovers_has_all_its_workers_at_once() -> None:
    loop = Loop(4, after=0.1)
    loop.go_on(120)
    assert loop.world.fleet.queues["q"].gave_up
    loop.after, loop.ran = 1e9, 1
    loop.go_on(50)
    assert not loop.world.fleet.queues["q"].gave_up
    assert all(slot.child for slot in loop.world.fleet.slots.values())


def test_one_that_is_idle_recovers_when_its_probe_lasts() -> None:
    loop = Loop(4, after=0.1)
    loop.go_on(120)
    loop.after = 1e9
    loop.go_on(90)
    assert not loop.world.fleet.queues["q"].gave_up
    assert all(slot.child for slot in loop.world.fleet.slots.values())


def test_crashes_between_jobs_that_are_run_are_no_loop() -> None:
    loop = Loop(4, after=2.0, ran=3)
    loop.go_on(60)
    assert len(loop.forks) > 60
    assert not loop.world.fleet.queues["q"].gave_up
