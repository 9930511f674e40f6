"""What workers share: made before the fork it is in memory once, made after it once a worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.daemons import Daemon

from jobd import Jobd, JobFailed, Queue
from jobd.core.config import QueueConfig

pytestmark = pytest.mark.process

APP = """
import os, socket, sys
from jobd import Fixed, Job, Jobd

app = Jobd()
q = app.queue("q", attempts=2, backoff=Fixed("1ms"))
before_the_fork = set()
os.register_at_fork(before=lambda: before_the_fork.update(sys.modules))

@q.task()
def adds(job: Job, numbers: list[int]) -> int:
    return q.add("adds", {"numbers": numbers[1:]}).id and sum(numbers) if numbers else 0

@q.task()
def fails() -> None:
    raise ValueError("as asked")

@q.task()
def loaded_since() -> list[str]:
    socket.getaddrinfo("127.0.0.1", 6379)
    return sorted(set(sys.modules) - before_the_fork)
"""


@pytest.fixture
def daemon(tmp_path: Path, redis_url: str) -> Iterator[Daemon]:
    made = Daemon(tmp_path, redis_url, APP, queues={"q": QueueConfig(processes=1)})
    yield made
    made.end()


@pytest.fixture
def q(redis_url: str) -> Queue:
    return Jobd(redis_url).queue("q")


def work(q: Queue) -> None:
    """Everything that a worker's code does in its ordinary days."""
    assert q.add("adds", {"numbers": [1, 2, 3]}).result("60s") == 6
    with pytest.raises(JobFailed):
        q.add("fails", {}).result("60s")
    assert q.add("adds", {"numbers": []}, delay="1ms").result("60s") == 0


def test_a_worker_imports_nothing_after_its_fork(daemon: Daemon, q: Any) -> None:
    """Neither connecting, nor running, failing and retrying, nor adding: the preloader has it all."""
    work(q)

    assert q.add("loaded_since", {}).result("60s") == []


def test_a_worker_shares_most_of_its_memory(daemon: Daemon, q: Any) -> None:
    """Of what a worker has in memory beside the libraries, it was born with nearly three quarters.

    A plain application leaves little more than a quarter of its own (to keep a process in order takes
    a hundredth); looking up one version number in the metadata of the installed packages made that a third.
    """
    [slot] = daemon.running(1)
    for _ in range(20):
        q.add("adds", {"numbers": []}).result("60s")

    memory = memory_of(slot.pid)
    assert memory["Private_Dirty"] < 0.29 * memory["Anonymous"]


def memory_of(pid: int | None) -> dict[str, int]:
    """The sums of /proc/PID/smaps_rollup, in kB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {name: int(value.split()[0]) for name, _, value in (x.partition(":") for x in lines)}
