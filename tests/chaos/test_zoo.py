"""The zoo at length: every hostile task several times, by every executor, and how long each takes to go.

The quick version of it is in tests/zoo. Here the times are judged, and what is big is as big as it gets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.daemons import Daemon, eventually, gone
from zoo.outcomes import TABLE
from zoo.visit import APP, Neighbour, Seen, Visitor, lines, strays

from jobd import Jobd, JobFailed
from jobd.core.config import QueueConfig

pytestmark = [pytest.mark.process, pytest.mark.chaos, pytest.mark.timeout(1800)]

ROUNDS = 3
HARD = 1.0
Start = Callable[..., Daemon]


@pytest.fixture
def start(tmp_path: Path, redis_url: str) -> Iterator[Start]:
    daemons: list[Daemon] = []

    def started(
        cage: str, *, timeout: float = HARD, megabytes: int = 8, **settings: object
    ) -> Daemon:
        made = QueueConfig(processes=1, concurrency=1 if cage == "inline" else 3, **settings)  # type: ignore[arg-type]
        env = {
            "ZOO_CAGES": cage,
            "ZOO_DIARY": str(tmp_path / "diary"),
            "ZOO_TIMEOUT": f"{timeout}s",
            "ZOO_MEGABYTES": str(megabytes),
        }
        daemons.append(Daemon(tmp_path, redis_url, APP, queues={cage: made}, env=env))
        return daemons[-1]

    yield started
    for daemon in daemons:
        daemon.end()


@pytest.mark.parametrize("cage", ["inline", "threads", "async"])
def test_every_animal_several_times(
    start: Start, redis_url: str, tmp_path: Path, report: Callable[..., bool], cage: str
) -> None:
    """One after another, so that each has the machine to itself."""
    daemon = start(cage, megabytes=1)
    visitor = Visitor(redis_url, cage, tmp_path / "diary", HARD)
    seen: dict[str, list[Seen]] = {row.animal: [] for row in TABLE}
    with Neighbour(Jobd(redis_url).queue("meadow")) as neighbour:
        for _ in range(ROUNDS):
            day: dict[str, Seen] = {}
            visitor.visit((row.animal for row in TABLE), day)
            for animal, found in day.items():
                seen[animal].append(found)
    left = strays(tmp_path / "diary")
    eventually("all strays gone", lambda: all(map(gone, left)))
    daemon.signal(15)
    assert daemon.wait() == 0

    for row in TABLE:
        for found in seen[row.animal]:
            assert (found.state, found.cause) == (row.state, row.cause), found
            assert found.worker == ("same" if row.worker == "same" else "new"), found
            assert found.differs == {}, found
    assert neighbour.failed == []
    assert len(neighbour.pids) == 1
    late = {
        row.animal: max(found.late or 0.0 for found in seen[row.animal])
        for row in TABLE
        if row.worker == "killed"
    }
    judged = report(
        f"hostile tasks by executor {cage}: gone after their hard timeout",
        bar="within 1 s, every one; the next job pristine, neighbours unharmed",
        figures="; ".join(f"{animal} {1000 * most:.0f} ms" for animal, most in late.items())
        + f"; {len(left)} leftovers ended; neighbour: {neighbour.count} jobs, none failed, "
        f"slowest {1000 * neighbour.slowest:.0f} ms",
        n=sum(map(len, seen.values())),
    )
    if judged:
        assert max(late.values()) <= 1.0


def test_a_gigabyte_of_output(
    start: Start, redis_url: str, tmp_path: Path, report: Callable[..., bool]
) -> None:
    """It ends well, however much that is; what is logged of it is little, and says so."""
    daemon = start("inline", megabytes=1000)
    queue = Jobd(redis_url).queue("inline")
    with Neighbour(Jobd(redis_url).queue("meadow")) as neighbour:
        queue.add("shouts").result("600s")
    info = queue.add("pid").result("20s")
    assert info
    kept = daemon.log.stat().st_size
    assert neighbour.failed == []
    report(
        "1 GB written to standard output by one job",
        bar="the job ends well; a tenth of it is logged at the most",
        figures=f"{kept / 1e6:.1f} MB of log; neighbour's slowest job {1000 * neighbour.slowest:.0f} ms",
        n=1,
    )
    assert kept < 100_000_000  # a bounded rate: it grows with the time that takes


def test_2_gigabytes_of_memory(
    start: Start, redis_url: str, tmp_path: Path, report: Callable[..., bool]
) -> None:
    """Ended at its queue's hard limit, charged with it, and its neighbours have noticed nothing."""
    daemon = start("inline", memory_limit_hard=300_000_000)
    queue = Jobd(redis_url).queue("inline")
    fresh = queue.add("look").result("20s")
    with Neighbour(Jobd(redis_url).queue("meadow")) as neighbour:
        with pytest.raises(JobFailed, match="memory"):
            queue.add("grows").result("60s")
        assert queue.add("look").result("20s")["environment"] == fresh["environment"]
    assert neighbour.failed == []
    assert len(neighbour.pids) == 1
    report(
        "a job that grows to 2 GB, under memory_limit_hard = 300 MB",
        bar="ended and labelled; neighbours unharmed",
        figures=f"label memory; neighbour's slowest job {1000 * neighbour.slowest:.0f} ms",
        n=1,
    )
    daemon.signal(15)
    assert daemon.wait() == 0


def test_1_megabyte_a_job(
    start: Start, redis_url: str, tmp_path: Path, report: Callable[..., bool]
) -> None:
    """The worker is replaced now and then, and no job is the worse for it."""
    jobs = 400
    daemon = start("inline", memory_limit=150_000_000)
    queue = Jobd(redis_url).queue("inline")
    handles = list(queue.add_many([("leaks", {})] * jobs))
    for handle in handles:
        handle.result("120s")
    workers = {int(line[1]) for line in lines(tmp_path / "diary")}
    runs = len(lines(tmp_path / "diary"))
    report(
        "1 MB leaked by each job, under memory_limit = 150 MB",
        bar="all end well, each run once",
        figures=f"{len(workers)} workers; {runs} runs",
        n=jobs,
    )
    assert runs == jobs
    assert len(workers) >= 2
    daemon.signal(15)
    assert daemon.wait() == 0
