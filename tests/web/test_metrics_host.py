"""What is said of this host's processes: from the files of a runtime directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.tallied import scraped, slot, write_state

from jobd.broker.connection import connect
from jobd.core.portrait import Growth
from jobd.seams.scoreboard_views import Phase
from jobd.seams.statefile import PoolState
from jobd.web.metrics import Metrics
from jobd.web.metrics_host import PHASES


@pytest.fixture
def metrics(redis_url: str, tmp_path: Path) -> Any:
    client = connect(redis_url)
    yield Metrics(client, "t", tmp_path)
    client.close()


def test_slots_are_counted_by_what_their_process_does(metrics: Metrics, tmp_path: Path) -> None:
    """The page is newer than the supervisor's word; a process without a page boots."""
    board = write_state(
        tmp_path,
        queues={
            "q": [
                slot("q.1", pid=11, incarnation="n.1", memory=100),
                slot("q.2", pid=12, incarnation="n.2", memory=200),
                slot("q.3", "vacant"),
                slot("q.4", "forking"),
            ]
        },
        leavers=[slot("q.1", "draining", pid=10, incarnation="n.0", leaving="max_jobs", memory=7)],
        pools={"q": PoolState(target=4), "idle": PoolState(target=1)},
    )
    board.pages[0].hand_out(incarnation="n.1", queue="q", slot="q.1")
    board.pages[0].set_phase(Phase.BUSY)
    found = scraped(metrics)
    phases = found.by("jobd_workers", "queue", "phase")
    assert {phase: phases["q", phase] for phase in PHASES} == {
        "vacant": 1, "forking": 1, "booting": 1, "idle": 0, "busy": 1, "draining": 1,
    }  # fmt: skip
    assert {phases["idle", phase] for phase in PHASES} == {0}
    assert found.by("jobd_queue_processes", "queue", "kind") == {
        ("q", "wanted"): 4, ("q", "running"): 3, ("idle", "wanted"): 1, ("idle", "running"): 0,
    }  # fmt: skip
    # One that leaves and its successor are of the same slot: one series, not one that is there twice.
    assert found.by("jobd_worker_memory_bytes", "slot") == {("q.1",): 107, ("q.2",): 200}


def test_what_a_queue_went_through_is_said(metrics: Metrics, tmp_path: Path) -> None:
    """How workers ended, which tasks make them grow, and whether starting them is given up."""
    pool = PoolState(
        target=1, gave_up=True, exits={"crash": 3, "recycled": 2},
        growth=[Growth(task="leak", bytes=5000, jobs=7)],
    )  # fmt: skip
    write_state(tmp_path, pools={"q": pool}, reload_at=5.0, reload_error="no", stopping=True)
    found = scraped(metrics)
    ends = found.by("jobd_worker_restarts_total", "queue", "cause")
    assert {of: n for of, n in ends.items() if n} == {("q", "crash"): 3, ("q", "recycled"): 2}
    assert found.value("jobd_task_growth_bytes", queue="q", task="leak") == 5000
    assert found.value("jobd_queue_gave_up", queue="q") == 1
    assert found.value("jobd_daemon_reload_failed") == 1
    assert found.value("jobd_daemon_stopping") == 1
    assert found.value("jobd_daemon_generation") == 3
    assert found.value("jobd_daemon_start_time_seconds") == 1000.5
    assert found.value("jobd_daemon_up") == 1


def test_the_first_crash_is_an_increase(metrics: Metrics, tmp_path: Path) -> None:
    """What should not happen is 0 before it has: Prometheus sees no increase in a series that is new."""
    write_state(tmp_path, pools={"q": PoolState(target=1)})
    ends = scraped(metrics).by("jobd_worker_restarts_total", "queue", "cause")
    assert ends == {("q", c): 0 for c in ("crash", "oom", "memory", "hung", "timeout", "boot")}


def test_of_a_daemon_that_is_gone_nothing_is_told_but_that(
    metrics: Metrics, tmp_path: Path
) -> None:
    """Its files are still there: they are of yesterday."""
    pool = PoolState(target=1, exits={"crash": 3})
    write_state(tmp_path, alive=False, queues={"q": [slot("q.1", pid=1)]}, pools={"q": pool})
    found = scraped(metrics)
    assert found.value("jobd_daemon_up") == 0
    assert not [
        n for n in found.kinds if n.startswith(("jobd_worker", "jobd_queue", "jobd_daemon_g"))
    ]
