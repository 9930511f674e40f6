"""What the files in the runtime directory say about a daemon, without asking it.

state.json is the slow part, the scoreboard the fast one; both are there while Redis is not, and
after the daemon. So whether it runs is asked of the system: pid, start and boot must fit.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from jobd.core.errors import EX_CONFIG, HostError
from jobd.seams import clock, host, statefile
from jobd.seams.scoreboard import Owner, PageView, Scoreboard
from jobd.seams.statefile import SlotState, State


class StateUnreadable(HostError):
    """The runtime directory's files cannot be read by this user or this version."""

    code = "jobd.state_unreadable"
    exit_code = EX_CONFIG


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """One slot and what runs in it: so many jobs, of which one has run longest, for `running_for`
    seconds."""

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


class Daemon(msgspec.Struct, frozen=True, kw_only=True):
    """The daemon of a runtime directory, the last one when none is running. `up_for` in seconds."""

    running: bool
    stopping: bool
    pid: int
    started_at: float
    up_for: float
    generation: int
    last_error: str | None
    helpers: dict[str, str]
    workers: list[Worker]


def look(runtime_dir: Path) -> Daemon | None:
    """Read the directory; None when no daemon has written one. Raises StateUnreadable."""
    try:
        state = statefile.read(runtime_dir)
        if state is None:
            return None
        board = _board(runtime_dir / state.scoreboard)
    except (OSError, ValueError) as error:
        raise StateUnreadable(
            f"{runtime_dir}: {error}; expected the files of a daemon of this version; "
            "ask as the user it runs as, or name its directory with --runtime-dir"
        ) from error
    running = board is not None and _runs(board.owner)
    pages = {} if board is None else {view.incarnation: view for view in board.views()}
    return Daemon(
        running=running,
        stopping=running and state.stopping,
        pid=state.pid,
        started_at=state.started_at,
        up_for=max(0.0, clock.wall() - state.started_at),
        generation=state.generation,
        last_error=state.last_error,
        helpers=state.helpers,
        workers=_workers(state, pages) if running else [],
    )


def _board(path: Path) -> Scoreboard | None:
    """Open the scoreboard; a daemon that ended in order has removed it."""
    try:
        return Scoreboard.open(path)
    except FileNotFoundError:
        return None


def _runs(owner: Owner) -> bool:
    return owner.boot_id == host.boot_id() and host.start_ticks(owner.pid) == owner.start_ticks


def _workers(state: State, pages: dict[str, PageView]) -> list[Worker]:
    return [
        _worker(queue, slot, pages.get(slot.incarnation or ""))
        for queue, slots in state.queues.items()
        for slot in slots
    ]


def _worker(queue: str, slot: SlotState, page: PageView | None) -> Worker:
    cells = page.cells if page is not None else ()
    cell = min(cells, key=lambda each: each.started, default=None)
    # The supervisor's word is about the process, the page's about its work: the page is newer.
    phase = page.phase.name.lower() if page and slot.phase == "running" else slot.phase
    return Worker(
        slot=slot.slot,
        queue=queue,
        phase=phase,
        pid=slot.pid,
        incarnation=slot.incarnation,
        restarts=slot.restarts,
        last_exit=slot.last_exit,
        settled=0 if page is None else page.settled,
        job=None if cell is None else cell.job_id,
        task=None if cell is None else cell.task,
        running=len(cells),
        running_for=None if cell is None else max(0.0, clock.mono() - cell.started),
    )
