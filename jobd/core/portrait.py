"""A daemon as people see it: what `jobd status` shows of one host, and what hosts tell each other.

Made by jobd.seams.portrait from the files in a runtime directory; carried as JSON in `jobd:hosts`.
Fields are only ever added: a host of another version reads what it knows.
"""

from __future__ import annotations

from typing import Literal

import msgspec

# Of a larger fleet the snapshot names so many workers; all are counted.
MOST_WORKERS = 256
# A host says how it is every five seconds; one that has missed a few is spoken of as silent.
SILENT = 20.0

Answers = Literal["yes", "no", "stopped", "unknown"]


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """One slot and what runs in it: so many jobs, of which one has run longest, for `running_for`
    seconds. A leaver, whose slot has a successor already, has a word in `leaving`: why it goes.

    `memory` is what it has of its own, in bytes; `memory_past` the most of that in each minute of the last
    hour, in KiB, the newest last: in what hosts say of themselves, with fewer of many workers.
    """

    slot: str
    queue: str
    phase: str
    pid: int | None
    incarnation: str | None
    restarts: int
    last_exit: str | None
    settled: int = 0
    running: int = 0
    job: str | None = None
    task: str | None = None
    running_for: float | None = None
    up_for: float | None = None
    memory: int | None = None
    memory_past: list[int] = []
    exits: dict[str, int] = {}
    leaving: str | None = None


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """How many bytes a task has made its workers grow by, and in how many jobs that was measured."""

    task: str
    bytes: int
    jobs: int


class QueueView(msgspec.Struct, frozen=True, kw_only=True):
    """A queue's workers as a whole: so many are to be there, and `exits` counts how they ended.

    Between `least` and `most` the load decides, unless a number was `asked` for by hand; `explain` is
    the reason for what is wanted. `gave_up`: they end one after another without having run a job,
    `useless` in a row so far; one is tried now and then. `growth`: which tasks make them grow, the worst
    first.
    """

    wanted: int
    least: int = 1
    most: int = 1
    asked: int | None = None
    gave_up: bool = False
    useless: int = 0
    exits: dict[str, int] = {}
    explain: str = ""
    growth: list[Growth] = []


class Reload(msgspec.Struct, frozen=True, kw_only=True):
    """The last reload, begun so many seconds ago: whether it is under way, and why it was refused."""

    ago: float
    running: bool = False
    error: str | None = None


class Daemon(msgspec.Struct, frozen=True, kw_only=True):
    """The daemon of a runtime directory, the last one when none is running. `up_for` in seconds.

    `stale`: for how many seconds its state.json could not be written; what is said of helpers, queues
    and reloads is as old. `redis`: where it keeps its jobs, without passwords; '' of an older version.
    """

    running: bool
    stopping: bool
    pid: int
    started_at: float
    up_for: float
    generation: int
    last_error: str | None
    helpers: dict[str, str]
    workers: list[Worker]
    nonce: str = ""
    jobd: str = ""
    redis: str = ""
    namespace: str = ""
    host: str = ""
    runtime_dir: str = ""
    answers: Answers = "unknown"
    queues: dict[str, QueueView] = {}
    reload: Reload | None = None
    workers_in_all: int = 0
    stale: float | None = None


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """One daemon as it was when it last said so, at `said_at` (ms since 1970), `silent_for` seconds ago,
    both by Redis' clock.

    `ahead`: how far its host's clock was ahead of Redis'. `why_unread`: it is of a version whose
    words are not understood; then the rest says nothing.
    """

    key: str
    silent_for: float
    said_at: int | None = None
    ahead: float | None = None
    daemon: Daemon | None = None
    why_unread: str | None = None


def bounded(daemon: Daemon) -> Daemon:
    """Leave out the workers beyond the bound, those that run something last."""
    kept = daemon.workers
    if len(kept) > MOST_WORKERS:
        kept = sorted(kept, key=lambda worker: not worker.running)[:MOST_WORKERS]
    return msgspec.structs.replace(daemon, workers=kept, workers_in_all=len(daemon.workers))
