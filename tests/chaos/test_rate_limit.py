"""What bounds a whole queue holds over all workers and hosts, whoever dies, as the tasks see it."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable

import pytest
from support.daemons import eventually

from chaos import census
from chaos.effects import wall_minus_monotonic
from chaos.world import World
from jobd.broker.store import store_ms

LONG = (pytest.mark.chaos, pytest.mark.timeout(900))
pytestmark = pytest.mark.process

MAX, PER = 100, 1.0
CAP = 3


def kill_somebody(world: World, rng: random.Random) -> None:
    """SIGKILL a worker, whatever it does."""
    pids = [pid for host in world.hosts for pid in host.joined()]
    if not pids:
        return
    pid = rng.choice(pids)
    with contextlib.suppress(ProcessLookupError):
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        world.faults.note("kill", pid, since=began)


@pytest.mark.parametrize(
    ("seconds", "kill_every"),
    [(3, 1.0), pytest.param(60, 0.7, marks=LONG), pytest.param(60, None, marks=LONG)],
)
def test_no_window_sees_more_starts_than_the_rate_limit_and_it_is_used(
    world: World, report: Callable[..., bool], seconds: int, kill_every: float | None
) -> None:
    """Two daemons with two workers each, a backlog, workers killed at random."""
    limits = {"rate_limit": {"max": MAX, "per": f"{PER}s"}}
    hosts = [world.host(name, workers=2, lease=30, limits=limits) for name in ("a", "b")]
    for host in hosts:
        host.up()
    rng = random.Random(11)
    total = int(seconds * MAX / PER)
    for _ in range(0, total, 500):
        world.burst("quick", min(500, total))
    kills = 0
    began = time.monotonic()
    # No census while it runs: with so many records each holds Redis for tens of ms, and that is felt.
    while len(world.effects.all()) < 2 * total - 2 * MAX:
        assert time.monotonic() < began + 2 * seconds + 60
        time.sleep(kill_every or 0.2)
        if kill_every is not None:
            kill_somebody(world, rng)
            kills += 1
    world.at_rest()
    account = world.account()

    account.require_clean()
    starts = sorted(line.at for line in world.effects.all() if line.kind == "start")
    # A number says by the store's clock when its job may start. That none starts before that, and how
    # many may in a window, holds on any machine. How late they start is the machine's affair: where
    # times are judged, it is ours.
    granted = sorted(line.token // 1024 for line in world.effects.all() if line.kind == "start")
    assert min(b - a for a, b in zip(granted, granted[MAX:], strict=False)) >= PER * 1000
    wall = wall_minus_monotonic()
    assert not [
        line
        for line in world.effects.all()
        if line.kind == "start" and line.at + wall < line.token // 1024 / 1000 - 0.002
    ]
    gaps = [b - a for a, b in zip(starts, starts[MAX:], strict=False)]
    most = max(
        sum(1 for at in starts[i : i + 2 * MAX] if at < starts[i] + PER) for i in range(len(starts))
    )
    # From the end of the first window on: the first hundred may start at once.
    use = (len(starts) - MAX) / (starts[-1] - starts[0]) * PER / MAX
    long = report(
        f"rate limit {MAX} per {PER:g} s, 2 daemons with 2 workers"
        + (f", a worker SIGKILLed every {kill_every} s" if kill_every else ""),
        bar=f"<= {MAX} starts in every window; use >= 98 %",
        figures=f"most in a window {most}, the shortest {MAX + 1} starts took {min(gaps):.4f} s, "
        f"use {use:.1%} over {starts[-1] - starts[0]:.0f} s; {kills} kills; {account}",
        n=len(starts),
    )
    if long:
        assert min(gaps) >= PER
        assert use >= 0.98


@pytest.mark.parametrize(("jobs", "kills"), [(150, 3), pytest.param(3000, 60, marks=LONG)])
def test_never_more_are_active_than_the_cap(
    world: World, report: Callable[..., bool], jobs: int, kills: int
) -> None:
    """Two daemons with three workers each; a place of a killed worker is free again, once."""
    limits = {"max_active": CAP}
    hosts = [world.host(name, workers=3, lease=30, limits=limits) for name in ("a", "b")]
    for host in hosts:
        host.up()
    rng = random.Random(5)
    with census.watching(world.store.url) as watch:
        for _ in range(0, jobs, 500):
            world.burst("nap", min(500, jobs), seconds=0.02)
        for _ in range(kills):
            time.sleep(0.2 + rng.random() * 0.1)
            kill_somebody(world, rng)
        world.at_rest(within=120)
    began = world.effects.all()[0].at
    account = world.account()

    account.require_clean()
    assert not watch.wrong
    killed = {pid: fault.since for fault in world.faults.faults for pid in fault.pids}
    ends = {(e.uid, e.token): e.at for e in world.effects.all() if e.kind == "end"}
    changes, last = [], began
    for line in world.effects.all():
        if line.kind == "start":
            end = ends.get((line.uid, line.token), killed.get(line.pid, line.at))
            changes += [(line.at, 1), (max(line.at, end), -1)]
            last = max(last, end)
    active = most = 0
    busy = 0.0
    at = began
    for now, change in sorted(changes):
        busy += active * (now - at)
        at = now
        active += change
        most = max(most, active)
    report(
        f"cap of {CAP} active, 2 daemons with 3 workers, workers SIGKILLed",
        bar=f"never more than {CAP} at once",
        figures=f"most {most}, on the average {busy / (last - began):.2f}; "
        f"{world.faults.count('kill')} kills; {account}",
        n=jobs,
    )
    assert most <= CAP
    held = eventually("nothing is held", lambda: world.census().at_rest)
    assert held


@pytest.mark.parametrize("pauses", [4, pytest.param(60, marks=LONG)])
def test_after_a_pause_nothing_starts(
    world: World, report: Callable[..., bool], pauses: int
) -> None:
    """Two daemons at full speed; what was claimed before starts soon (100 ms) or is back."""
    hosts = [world.host(name, workers=2, lease=30) for name in ("a", "b")]
    for host in hosts:
        host.up()
    rng = random.Random(3)
    late: list[float] = []
    with world.load(("quick", {}), ("nap", {"seconds": 0.003}), every=0.01, size=20):
        for _ in range(pauses):
            seen = len(world.effects.all())
            eventually("work", lambda seen=seen: len(world.effects.all()) > seen + 40)
            assert world.queue.pause()
            paused_at, paused_ms = time.monotonic(), store_ms(world.store.client)
            time.sleep(0.3 + rng.random() * 0.1)
            eventually("all of it", lambda: not world.census().state_counts()["active"])
            assert max(line.token // 1024 for line in world.effects.all()) <= paused_ms
            after = [line.at - paused_at for line in world.effects.all() if line.kind == "start"]
            late.append(max(0.0, *after))
            assert world.queue.resume()
    world.at_rest()
    account = world.account()

    account.require_clean()
    assert account.extra_starts == 0
    if report(
        "a queue paused under load, 2 daemons with 2 workers",
        bar="no start later than 100 ms after pause() returned",
        figures=f"the last start came {max(late) * 1000:.0f} ms after it at most; {account}",
        n=pauses,
    ):
        assert max(late) <= 0.1
