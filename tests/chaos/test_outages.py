"""Every kind of outage, again and again: how long until every worker claims again."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import netns
from support.links import BadLink
from support.netns import far_server
from support.outages import ALL, DEAF, DROPPED, HOLE, Fleet, Outage

from chaos.conftest import PROGRAM
from chaos.report import percentile
from chaos.stores import Store

pytestmark = [pytest.mark.process, pytest.mark.chaos, pytest.mark.timeout(900)]
SOON = 5.0
PROCESSES = 3  # of each of three queues


@pytest.fixture
def fleet(tmp_path: Path, store: Store) -> Iterator[Fleet]:
    with BadLink(store.url) as link:
        made = Fleet(tmp_path, link, store.url, processes=PROCESSES)
        yield made
        made.end()


@pytest.fixture
def far_fleet(tmp_path: Path) -> Iterator[Fleet]:
    if (lack := netns.lacking()) is not None:
        pytest.skip(lack)
    with far_server(PROGRAM, tmp_path) as server:
        made = Fleet(tmp_path, server, server.admin_url, processes=PROCESSES)
        yield made
        made.end()


def go_through(fleet: Fleet, outage: Outage, rounds: int, longest: float) -> list[float]:
    """Suffer it so many times, for a random while each; give all seconds from healing to a claim."""
    rng = random.Random(outage.name)
    before = fleet.workers()
    waited: list[float] = []
    for _ in range(rounds):
        waited += fleet.suffer(outage, rng.uniform(0.2, longest) if outage.lasts else 0.0)
        assert fleet.workers() == before, "somebody was killed or ended"
    return waited


def figures(waited: list[float]) -> str:
    """The distribution, for the table."""
    return (
        f"seconds to a claim: p50 {percentile(waited, 0.5):.2f}, p90 {percentile(waited, 0.9):.2f}, "
        f"max {max(waited):.2f}, {sum(w <= SOON for w in waited)} of {len(waited)} in time"
    )


def _plans() -> list[object]:
    return [
        pytest.param(outage, 25 if outage in (HOLE, DEAF) else 5, id=outage.name) for outage in ALL
    ]


@pytest.mark.parametrize(("outage", "rounds"), _plans())
def test_all_workers_claim_again(
    fleet: Fleet, report: Callable[..., bool], outage: Outage, rounds: int
) -> None:
    """Whatever the outage was and however long: no worker is deaf, none is replaced."""
    waited = go_through(fleet, outage, rounds, longest=9.0)

    report(
        f"{outage.name}, {rounds} times, {len(fleet.workers())} workers of three executors",
        bar="all claim within 5 s of healing",
        figures=figures(waited),
        n=len(waited),
    )
    assert max(waited) <= SOON


def test_all_workers_claim_again_when_packets_are_dropped(
    far_fleet: Fleet, report: Callable[..., bool]
) -> None:
    """The kernel's own retransmissions and back-offs included."""
    waited = go_through(far_fleet, DROPPED, rounds := 20, longest=12.0)

    report(
        f"{DROPPED.name}, {rounds} times, {len(far_fleet.workers())} workers of three executors",
        bar="all claim within 5 s of healing",
        figures=figures(waited),
        n=len(waited),
    )
    assert max(waited) <= SOON
