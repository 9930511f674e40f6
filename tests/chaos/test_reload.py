"""New code every second, at full load."""

from __future__ import annotations

import itertools
import signal
import time
from collections.abc import Callable

import pytest
from support.daemons import eventually

from chaos import census
from chaos.hosts import Host
from chaos.world import World

LONG = (pytest.mark.chaos, pytest.mark.timeout(900))
pytestmark = pytest.mark.process


@pytest.mark.parametrize("seconds", [3, pytest.param(60, marks=LONG)])
def test_a_hangup_every_second_loses_nothing_and_stops_nothing(
    world: World, report: Callable[..., bool], seconds: int
) -> None:
    """Each with other code: no job is lost or run twice, and something is completed all the time."""
    host = world.host("a", workers=3, lease=30)
    host.up()
    with (
        census.watching(world.store.url) as watch,
        world.load(("nap", {"seconds": 0.01}), ("quick", {}), every=0.01, size=60),
    ):
        world.works_on(host)
        began = time.monotonic()
        for number in range(seconds):
            _change(host, number)
            host.daemon.signal(signal.SIGHUP)
            time.sleep(max(0.0, began + number + 1 - time.monotonic()))
        ended = time.monotonic()
        # Where there is no core for it, the first one is not over by now.
        eventually("new code is in force", lambda: _is_settled(host))
    world.works_on(host)
    account = world.account()
    done = sorted(line.at for lines in world.effects.by_uid("end").values() for line in lines)
    during = [at for at in done if began <= at <= ended]
    gaps = [later - sooner for sooner, later in itertools.pairwise(during)]
    state = host.daemon.state()
    records = world.infos(world.added)

    account.require_clean()
    assert not watch.wrong
    assert account.extra_starts == 0
    assert {uid for uid, info in records.items() if any(info.values())} == set()
    assert state is not None
    assert state.generation > 1
    if report(
        f"SIGHUP every second with other code, {seconds} s",
        bar="0 lost, 0 run twice, no second without completions",
        figures=f"{account}; generation {state.generation}, longest without a completion "
        f"{max(gaps) * 1000:.0f} ms, {len(during) / seconds:.0f} jobs/s; 0 charged",
        n=seconds,
    ):
        assert max(gaps) < 1.0


def _is_settled(host: Host) -> bool:
    """Tell whether other code has come into force, and no more is asked for."""
    state = host.daemon.state()
    return state is not None and state.generation > 1 and not state.reloading


def _change(host: Host, number: int) -> None:
    """Make the application's code another one."""
    path = host.daemon.top / "shopjobs.py"
    path.write_text(path.read_text() + f"\nCHANGE = {number}\n")
