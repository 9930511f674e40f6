"""A daemon as its runtime directory shows it, without asking it.

state.json is the slow part, the scoreboard the fast one; both are there while Redis is not, and after
the daemon. So whether it runs is asked of the system: pid, start and boot must fit. While the supervisor
cannot write state.json, what is said of workers is what the scoreboard and the system know: a process of
the file that has ended since is not named. Used by the command line for the daemon of this host, and by
the keeper, who tells others.
"""

from __future__ import annotations

import os
from pathlib import Path

from msgspec.structs import replace

from jobd.core.errors import EX_CONFIG, HostError
from jobd.core.portrait import Daemon, QueueView, Reload, Worker
from jobd.seams import clock, host, statefile
from jobd.seams.hostname import host_name
from jobd.seams.scoreboard import Owner, Scoreboard
from jobd.seams.scoreboard_views import PageView
from jobd.seams.statefile import PoolState, SlotState, State


class StateUnreadable(HostError):
    """The runtime directory's files cannot be read by this user or this version."""

    code = "jobd.state_unreadable"
    exit_code = EX_CONFIG


def look(runtime_dir: Path) -> Daemon | None:
    """Read the directory; None when no daemon has written one. Raises StateUnreadable."""
    try:
        state = statefile.read(runtime_dir)
        if state is None:
            return None
        board = _board(runtime_dir / state.scoreboard, state.pid)
    except (OSError, ValueError) as error:
        raise StateUnreadable(
            f"{runtime_dir}: {error}; expected the files of a daemon of this version; "
            "ask as the user it runs as, or name its directory with --runtime-dir"
        ) from error
    running = board is not None and runs(board.owner)
    pages = {} if board is None else {view.incarnation: view for view in board.views()}
    stale = board.stale_since() if running and board is not None else None
    if stale is not None:
        state = _as_it_is(state, list(pages.values()))
    workers = _workers(state, pages) if running else []
    queues = {name: _queue(pool) for name, pool in state.pools.items()}
    return Daemon(
        running=running,
        stopping=running and state.stopping,
        pid=state.pid,
        started_at=state.started_at,
        up_for=max(0.0, clock.wall() - state.started_at),
        generation=state.generation,
        last_error=state.last_error,
        helpers=state.helpers,
        workers=workers,
        nonce=state.nonce,
        jobd=state.jobd,
        redis=state.redis,
        namespace=state.namespace,
        queues=queues if running else {},
        reload=_reload(state),
        host=host_name(),
        runtime_dir=str(runtime_dir),
        workers_in_all=len(workers),
        stale=None if stale is None else max(0.0, clock.mono() - stale),
    )


def runs(owner: Owner) -> bool:
    """Say whether the supervisor of a scoreboard is alive."""
    return owner.boot_id == host.boot_id() and host.start_ticks(owner.pid) == owner.start_ticks


def _board(path: Path, pid: int) -> Scoreboard | None:
    """Open the scoreboard; a daemon that ended in order has removed it.

    One of another version that was left behind says no more than that.
    """
    try:
        return Scoreboard.open(path)
    except FileNotFoundError:
        return None
    except ValueError:
        if not host.start_ticks(pid):
            return None
        raise


def _queue(pool: PoolState) -> QueueView:
    return QueueView(
        wanted=pool.target,
        least=pool.min,
        most=pool.max,
        asked=pool.asked,
        explain=pool.why,
        gave_up=pool.gave_up,
        useless=pool.useless,
        exits=pool.exits,
        growth=pool.growth,
    )


def _reload(state: State) -> Reload | None:
    if state.reload_at is None:
        return None
    ago = max(0.0, clock.wall() - state.reload_at)
    return Reload(ago=ago, running=state.reloading, error=state.reload_error)


def _workers(state: State, pages: dict[str, PageView]) -> list[Worker]:
    return [
        _worker(queue, slot, pages.get(slot.incarnation or ""))
        for queue, slots in _by_queue(state).items()
        for slot in slots
    ]


def _as_it_is(state: State, pages: list[PageView]) -> State:
    """Put the workers that live in the place of those an old file names."""
    living = {
        view.incarnation: view
        for view in sorted(pages, key=lambda page: page.start_ticks)
        if view.pid and host.start_ticks(view.pid) == view.start_ticks
    }
    leavers = [each for each in state.leavers if each.incarnation in living]
    gone = {each.incarnation for each in leavers}
    filling = {view.slot: view for view in living.values() if view.incarnation not in gone}
    queues = {
        queue: [_filled(slot, filling.pop(slot.slot, None)) for slot in slots]
        for queue, slots in state.queues.items()
    }
    for view in filling.values():
        queues.setdefault(view.queue, []).append(_filled(SlotState(slot=view.slot, phase=""), view))
    return replace(state, queues=queues, leavers=leavers)


def _filled(slot: SlotState, view: PageView | None) -> SlotState:
    if view is None:
        return replace(slot, phase="vacant", incarnation=None, pid=None, memory=None, resident=None)
    if view.incarnation == slot.incarnation:
        return slot
    return replace(
        slot,
        phase="running",
        incarnation=view.incarnation,
        pid=view.pid,
        memory=None,
        resident=None,
    )


def _by_queue(state: State) -> dict[str, list[SlotState]]:
    """Give the slots of each queue, and those who have left one behind it."""
    found = {queue: list(slots) for queue, slots in state.queues.items()}
    for leaver in state.leavers:
        found.setdefault(leaver.slot.rpartition(".")[0], []).append(leaver)
    return found


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
        exits=slot.exits,
        leaving=slot.leaving,
        settled=0 if page is None else page.settled,
        job=None if cell is None else cell.job_id,
        task=None if cell is None else cell.task,
        running=len(cells),
        running_for=None if cell is None else max(0.0, clock.mono() - cell.started),
        up_for=_up_for(page),
        memory=slot.memory,
    )


def _up_for(page: PageView | None) -> float | None:
    if page is None or not page.start_ticks:
        return None
    return max(0.0, clock.since_boot() - page.start_ticks / os.sysconf("SC_CLK_TCK"))
