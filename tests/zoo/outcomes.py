"""What becomes of each animal: the table that the proofs go by, quick and long."""

from __future__ import annotations

from typing import NamedTuple


class Outcome(NamedTuple):
    """What is to become of one job, and of the worker that ran it."""

    animal: str
    state: str
    cause: str | None
    worker: str
    """same: it serves the next job. recycled: it settles, and a fresh one does, at no cost to anybody.
    killed: for the timeout. crashed: by itself, and the job is charged with it."""
    what: str


TABLE = [
    Outcome("busy_c_loop", "dead", "timeout", "killed", "computes in C for ever"),
    Outcome("gil_holder", "dead", "timeout", "killed", "holds the GIL for ever"),
    Outcome("endless_regex", "dead", "timeout", "killed", "matches for ever"),
    Outcome("ignores_term", "dead", "timeout", "killed", "ignores every signal it can"),
    Outcome("blocks_signals", "dead", "timeout", "killed", "blocks every signal it can"),
    Outcome("catches_everything", "dead", "timeout", "killed", "`except BaseException`, for ever"),
    Outcome("segfault", "dead", "poison", "crashed", "SIGSEGV"),
    Outcome("abort", "dead", "poison", "crashed", "SIGABRT"),
    Outcome("exits_0", "dead", "poison", "crashed", "`os._exit(0)`: no success"),
    Outcome("exits_76", "dead", "poison", "crashed", "ends as if it were to be recycled"),
    Outcome("deep_recursion", "dead", "failed", "same", "RecursionError"),
    Outcome("sys_exit", "dead", "failed", "same", "`sys.exit`"),
    Outcome("keyboard_interrupt", "dead", "failed", "same", "KeyboardInterrupt"),
    Outcome("unspeakable_error", "dead", "failed", "same", "an error whose `__str__` raises"),
    Outcome("balloon", "dead", "failed", "same", "2 GB under a limit that it has set itself"),
    Outcome("closes_all", "completed", None, "recycled", "closes every descriptor"),
    Outcome("closes_one_by_one", "completed", None, "recycled", "the same, and opens others there"),
    Outcome("opens_all", "completed", None, "recycled", "leaks all descriptors there are"),
    Outcome("returns_twice", "completed", None, "same", "forks, and lets both return"),
    Outcome("double_forks", "completed", None, "same", "leaves a daemon with its own session"),
    Outcome("leaves_pool", "completed", None, "recycled", "leaves a pool that it still holds"),
    Outcome("leaves_program", "completed", None, "same", "leaves a program that nobody holds"),
    Outcome("leaks", "completed", None, "same", "1 MB a job; memory_limit is for that"),
    Outcome("shouts", "completed", None, "same", "writes more than anybody reads"),
    Outcome("changes_everything", "completed", None, "same", "all that can be put back"),
]
