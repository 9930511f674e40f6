"""Redis freezes, or dies and comes back, under load."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.daemons import eventually

from chaos import census
from chaos.conftest import PROGRAM
from chaos.report import percentile
from chaos.stores import DURABLE, Store
from chaos.world import World
from jobd.broker.store import store_ms

LONG = (pytest.mark.chaos, pytest.mark.timeout(900))
# It says LOADING for a while after each start: microseconds for each line of its file.
SLOW_TO_LOAD = ("--key-load-delay", "30")
AWAY = (0.0, 0.4, 1.5, 3.5)
pytestmark = pytest.mark.process


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A server whose answers are on the disk before they are given."""
    made = Store(PROGRAM, tmp_path, *DURABLE, *SLOW_TO_LOAD)
    yield made
    made.end()


@pytest.mark.parametrize(
    ("rounds", "lease", "silence"),
    [
        (1, 6.0, 2.5),
        pytest.param(12, 1.0, 2.0, marks=LONG),
        pytest.param(4, 4.0, 8.0, marks=LONG),
    ],
)
def test_a_frozen_store_costs_no_healthy_worker_its_life(
    world: World, report: Callable[..., bool], rounds: int, lease: float, silence: float
) -> None:
    """Leases end in silence, then it goes on: they are revived by their owners, not reaped.

    Where time is short they are long, so that a keeper without a core loses nobody, and their ends are
    brought forward by hand: the silence lasts until whatever was under way has waited in vain.
    """
    hosts = [world.host(name, workers=2, lease=lease) for name in ("a", "b")]
    for host in hosts:
        host.up()
    before = {pid for host in hosts for pid in host.worker_pids()}
    resumed = []
    with (
        census.watching(world.store.url) as watch,
        world.load(("mixed", {"seconds": 0.002}), ("quick", {}), every=0.02, size=4),
    ):
        for turn in range(rounds):
            # Until after whoever reaps has looked twice: once a sixth of a lease.
            naps = [world.add("nap", seconds=silence + lease / 2) for _ in range(2)]
            for uid in naps:
                world.started(uid)
            since = time.monotonic()
            if silence < lease:
                end_all_leases(world)
            world.store.freeze()
            # The span of the fault is what is tested: nothing happens in it that could be awaited.
            # It ends a little later each time, also just after somebody's call has timed out.
            time.sleep(silence + 0.02 * turn)
            world.store.thaw()
            thawed_at = time.monotonic()
            world.faults.note("frozen store", since=since, repeats=False)
            resumed.append(first_start_after(world, thawed_at) - thawed_at)
            world.ended(naps)
    for host in hosts:
        world.works_on(host)
    account = world.account()

    account.require_clean()
    assert not watch.wrong
    assert {pid for host in hosts for pid in host.worker_pids()} == before
    for host in hosts:
        assert not host.said("worker.died")
        assert not host.said("lease.reaped")
    assert world.census().tally.get("leases_expired", 0) == 0
    report(
        f"Redis frozen for {silence:g} s at leases of {lease:g} s, then healed",
        bar="no healthy worker is reaped or killed",
        figures=f"{len(before)} workers: 0 reaped, 0 killed; first start "
        f"max {max(resumed):.2f} s after; {account}",
        n=rounds,
    )


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=LONG)])
def test_a_store_that_is_killed_and_restarted_loses_nothing(
    world: World, report: Callable[..., bool], kills: int
) -> None:
    """appendfsync always, under load: every acknowledged job ends, every worker is back soon."""
    host = world.host("host", workers=3, lease=5).up()
    before = set(host.worker_pids())
    resumed: list[float] = []
    with (
        census.watching(world.store.url) as watch,
        world.load(
            ("mixed", {"seconds": 0.002}), ("quick", {}), ("nap", {"seconds": 0.03}),
            every=0.01, size=6,
        ),
    ):  # fmt: skip
        for turn in range(kills):
            eventually("all at work", lambda: working_since(world, time.monotonic() - 1) >= before)
            since = time.monotonic()
            world.store.kill()
            # Away for a moment, or long enough that everybody's back-off has grown.
            time.sleep(AWAY[turn % len(AWAY)])
            answered_at = world.store.start()
            world.faults.note("killed store", since=since, repeats=False)
            resumed.append(all_back(world, answered_at, before) - answered_at)
    world.works_on(host)
    account = world.account()

    account.require_clean()
    assert not watch.wrong
    assert set(host.worker_pids()) == before
    if report(
        "Redis killed and restarted under load (appendfsync always)",
        bar="nothing lost; workers resume within 2 s of its answer",
        figures=f"the last of 3 workers back at work p50 {percentile(resumed, 0.5):.2f} s, "
        f"max {max(resumed):.2f} s after the first answer; {account}",
        n=kills,
    ):
        assert max(resumed) <= 2.0


def end_all_leases(world: World) -> None:
    """Bring the end of each to a second ago."""
    client, key = world.store.client, "jobd:{q}:leases"
    ended = store_ms(client) - 1000
    client.zadd(key, {name: ended for name, _ in client.zscan_iter(key)}, xx=True)


def first_start_after(world: World, instant: float) -> float:
    """Wait for any job to start after this instant; give when."""

    def look() -> list[float]:
        return [e.at for e in world.effects.all() if e.kind == "start" and e.at > instant][:1]

    return eventually("a start", look)[0]


def working_since(world: World, instant: float) -> set[int]:
    """The workers that started something after this instant."""
    return {e.pid for e in world.effects.all() if e.kind == "start" and e.at > instant}


def all_back(world: World, instant: float, pids: set[int]) -> float:
    """Wait until each of these has started something after this instant; give when the last did."""
    eventually("all back at work", lambda: working_since(world, instant) >= pids)
    firsts: dict[int, float] = {}
    for line in world.effects.all():
        if line.kind == "start" and line.at > instant and line.pid in pids:
            firsts.setdefault(line.pid, line.at)
    return max(firsts.values())
