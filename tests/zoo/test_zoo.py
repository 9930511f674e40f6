"""Hostile tasks on a real daemon: what becomes of each, of its worker, its neighbours, the next job."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from support.daemons import Daemon, eventually, gone

from jobd import Jobd
from jobd.core.config import QueueConfig
from zoo.outcomes import TABLE, Outcome
from zoo.visit import APP, Neighbour, Seen, Visitor, strays

pytestmark = pytest.mark.process

HARD = 0.5
# A machine that does other things too may be late, by a look of the supervisor's and by one of the
# visitor's; the long proof asks for a second.
LATEST = 15.0
# Several cages, so that animals that take their time do not take it one after another.
KINDS = {"inline": 3, "threads": 2, "async": 2}


class Zoo(NamedTuple):
    """A day in it."""

    seen: dict[str, dict[str, Seen]]
    neighbour: Neighbour
    strays: list[int]
    log: str
    code: int


@pytest.fixture(scope="module")
def zoo(servers: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zoo]:
    url = next(iter(servers.values()))
    top = tmp_path_factory.mktemp("zoo")
    diary = top / "diary"
    cages = [f"{kind}{number}" for kind, count in KINDS.items() for number in range(count)]
    queues = {
        cage: QueueConfig(processes=1, concurrency=1 if cage.startswith("inline") else 3)
        for cage in cages
    }
    env = {"ZOO_MEGABYTES": "1"} | {
        "ZOO_CAGES": ",".join(cages),
        "ZOO_DIARY": str(diary),
        "ZOO_TIMEOUT": f"{HARD}s",
    }
    daemon = Daemon(top, url, APP, queues=queues, env=env)
    try:
        seen: dict[str, dict[str, Seen]] = {kind: {} for kind in KINDS}
        with Neighbour(Jobd(url).queue("meadow")) as neighbour:
            visits = [
                threading.Thread(
                    target=Visitor(url, f"{kind}{number}", diary, HARD).visit,
                    args=([row.animal for row in TABLE[number::count]], seen[kind]),
                )
                for kind, count in KINDS.items()
                for number in range(count)
            ]
            for visit in visits:
                visit.start()
            for visit in visits:
                visit.join()
        left = strays(diary)
        eventually("all strays gone", lambda: all(map(gone, left)))
        daemon.signal(15)
        yield Zoo(seen, neighbour, left, daemon.text(), daemon.wait())
    finally:
        daemon.end()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.animal)
def test_what_becomes_of_an_animal(zoo: Zoo, kind: str, row: Outcome) -> None:
    """As the table says; and the next job finds its process as the first one did."""
    seen = zoo.seen[kind][row.animal]
    assert (row.state, row.cause) == (seen.state, seen.cause), seen
    assert ("same" if row.worker == "same" else "new") == seen.worker, seen
    assert seen.differs == {}
    assert seen.late is None or seen.late < LATEST


def test_the_neighbours_do_not_notice(zoo: Zoo) -> None:
    """Another queue's worker lives through all of it, and all its jobs end well."""
    assert zoo.neighbour.failed == []
    assert len(zoo.neighbour.pids) == 1


def test_nothing_is_left_running(zoo: Zoo) -> None:
    """Neither what jobs left behind nor the daemon."""
    assert len(zoo.strays) >= 4 * len(KINDS)
    assert zoo.code == 0


def test_a_worker_says_why_it_ends(zoo: Zoo) -> None:
    """In the log: what task, what job, for what reason."""
    for word in ("process.changed", "leftovers.ended", "worker.recycles"):
        assert word in zoo.log
