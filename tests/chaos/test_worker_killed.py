"""A worker dies in a job."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from chaos import census
from chaos.report import percentile
from chaos.world import World

LONG = (pytest.mark.chaos, pytest.mark.timeout(900))
pytestmark = pytest.mark.process


@pytest.mark.parametrize(
    ("kills", "workers"),
    [(3, 4), pytest.param(100, 4, marks=LONG), pytest.param(100, 1, marks=LONG)],
)
def test_a_job_whose_worker_is_killed_runs_again_and_nobody_else_notices(
    world: World, report: Callable[..., bool], kills: int, workers: int
) -> None:
    """Back within half a second; neighbours are neither charged nor run twice."""
    world.host("a", workers=workers, lease=30).up()
    delays = []
    victims = []
    with (
        census.watching(world.store.url) as watch,
        world.load(("nap", {"seconds": 0.01}), ("quick", {}), every=0.08 / workers, size=4),
    ):
        for _ in range(kills):
            victims.append(uid := world.add("victim"))
            first = world.started(uid)
            world.hosts[0].up()
            killed_at = time.monotonic()
            os.kill(first.pid, signal.SIGKILL)
            world.faults.note("kill", first.pid, since=killed_at)
            delays.append(world.started(uid, 2).at - killed_at)
    world.works_on(world.hosts[0])
    account = world.account()
    records = world.infos(world.added)

    account.require_clean()
    assert not watch.wrong
    assert watch.looks
    assert {uid for uid, info in records.items() if info["crashes"]} == set(victims)
    assert all(records[uid]["crashes"] == 1 for uid in victims)
    assert {uid for uid, info in records.items() if info["lost"] or info["failed"]} == set()
    p50, p99 = percentile(delays, 0.5), percentile(delays, 0.99)
    if report(
        f"worker SIGKILLed in a job, {workers} in the pool",
        bar="runs again within 0.5 s (p99); nothing else disturbed",
        figures=f"p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms, max {max(delays) * 1000:.0f} ms; "
        f"{account}; 0 neighbours charged, {watch.looks} looks",
        n=kills,
    ):
        assert p99 <= 0.5
