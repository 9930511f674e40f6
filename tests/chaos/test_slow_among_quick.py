"""Jobs that take long, between jobs that do not."""

from __future__ import annotations

import bisect
import itertools
import random
import time
from collections.abc import Callable

import pytest

from chaos import census
from chaos.effects import Effect
from chaos.report import percentile
from chaos.world import World

LONG = (pytest.mark.chaos, pytest.mark.timeout(900))
pytestmark = pytest.mark.process


@pytest.mark.parametrize(
    ("rounds", "lease", "leases"), [(1, 3.0, 1.5), pytest.param(8, 2.0, 3.0, marks=LONG)]
)
def test_a_task_that_holds_the_gil_runs_once_and_nothing_waits_behind_it(
    world: World, report: Callable[..., bool], rounds: int, lease: float, leases: float
) -> None:
    """More than a lease in C code: its lease stays open, what was claimed behind it runs elsewhere."""
    host = world.host("host", workers=2, lease=lease).up()
    # Somebody who would take the jobs of a host whose leases have ended.
    other = world.host("other", workers=1, lease=lease).up()
    waits, long_ones = [], []
    behind = 0
    with census.watching(world.store.url) as watch:
        for _ in range(rounds):
            # Both workers learn that the task is quick; only then are batches claimed.
            world.ended(world.burst("holds", 400, seconds=0))
            uid = world.uid("gil")
            line = [world.uid("behind") for _ in range(60)]
            jobs = [("holds", {"uid": world.uid("before"), "seconds": 0}) for _ in range(20)]
            jobs += [("holds", {"uid": uid, "seconds": leases * lease})]
            jobs += [("holds", {"uid": name, "seconds": 0}) for name in line]
            world.add_many(jobs)
            began = world.started(uid)
            world.ended(line)
            waits += [world.effects.of(name)[0].at - began.at for name in line]
            behind += sum(world.effects.of(name)[0].pid != began.pid for name in line)
            long_ones.append(uid)
            world.ended([uid])
            [end] = world.effects.of(uid, "end")
            assert all(world.effects.of(name)[0].at < end.at for name in line)
    world.works_on(host)
    account = world.account()

    account.require_clean()
    assert not watch.wrong
    assert account.extra_starts == 0
    assert all(len(world.effects.of(uid)) == 1 for uid in long_ones)
    assert not other.said("lease.reaped")
    assert not host.said("worker.died")
    if report(
        f"a task holds the GIL for {leases:g} leases",
        bar="runs once; what was claimed behind it runs elsewhere within 1 s",
        figures=f"{len(long_ones)} of them ran once; {behind} of {len(waits)} behind ran elsewhere, "
        f"p50 {percentile(waits, 0.5):.2f} s, max {max(waits):.2f} s; {account}",
        n=len(long_ones),
    ):
        assert behind
        assert max(waits) <= 1.0


@pytest.mark.parametrize(
    ("names", "seconds"),
    [
        pytest.param(("quick", "nap"), 40, marks=LONG),
        pytest.param(("mixed", "mixed"), 40, marks=LONG),
    ],
)
def test_no_quick_task_waits_while_a_worker_is_free(
    world: World, report: Callable[..., bool], names: tuple[str, str], seconds: float
) -> None:
    """1 ms and 5 s tasks, under two names or under one, for 4 workers."""
    short_name, long_name = names
    host = world.host("host", workers=4, lease=30).up()
    rng = random.Random(7)
    added: dict[str, float] = {}
    args = {"seconds": 0.001} if short_name == "mixed" else {}
    until = time.monotonic() + seconds
    long_ends = 0.0
    with census.watching(world.store.url) as watch:
        while (now := time.monotonic()) < until:
            if now > long_ends and long_name:
                # At most three at once: somebody is free, so that nobody may have to wait.
                count = rng.choice((1, 2, 3))
                length = min(5.0, seconds / 2)
                crowd = [(short_name, {"uid": world.uid("short"), **args}) for _ in range(200)]
                slow = [
                    (long_name, {"uid": world.uid("long"), "seconds": length}) for _ in range(count)
                ]
                # With others before and behind it in one batch: those must not wait with it.
                world.add_many([*crowd[:100], *slow, *crowd[100:]])
                added |= dict.fromkeys((str(a["uid"]) for _, a in crowd), time.monotonic())
                long_ends = now + length + rng.random()
            for _ in range(rng.choice((1, 1, 5, 40))):
                uid = world.uid("short")
                world.add_many([(short_name, {"uid": uid, **args})])
                added[uid] = time.monotonic()
            time.sleep(rng.random() * 0.02)
    world.at_rest()
    world.works_on(host)
    account = world.account()

    account.require_clean()
    assert not watch.wrong
    assert account.extra_starts == 0
    idle = free_spans(world.effects.all())
    starts = world.effects.by_uid("start")
    waits = [longest_overlap(idle, at, starts[uid][0].at) for uid, at in added.items()]
    if report(
        f"1 ms and 5 s tasks, 4 workers, {'one name' if len(set(names)) == 1 else 'two names'}",
        bar="no 1 ms task waits > 150 ms while a worker is free",
        figures=f"with a worker free, waited p50 {percentile(waits, 0.5) * 1000:.1f} ms, "
        f"p99 {percentile(waits, 0.99) * 1000:.0f} ms, max {max(waits) * 1000:.0f} ms; {account}",
        n=len(waits),
    ):
        assert max(waits) <= 0.150


def free_spans(effects: list[Effect]) -> list[tuple[float, float]]:
    """The spans in which at least one of the workers ran no task."""
    pids = {line.pid for line in effects}
    changes = sorted((line.at, 1 if line.kind == "start" else -1) for line in effects)
    spans, busy = [], 0
    for (at, change), (following, _) in itertools.pairwise(changes):
        busy += change
        if busy < len(pids):
            if spans and spans[-1][1] == at:
                spans[-1] = (spans[-1][0], following)
            else:
                spans.append((at, following))
    return spans


def longest_overlap(spans: list[tuple[float, float]], since: float, until: float) -> float:
    """The longest time between two instants during which somebody was free without a break."""
    longest = 0.0
    for start, end in spans[max(0, bisect.bisect(spans, (since,)) - 1) :]:
        if start >= until:
            break
        longest = max(longest, min(end, until) - max(start, since))
    return longest
