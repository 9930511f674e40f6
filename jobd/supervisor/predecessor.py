"""What a daemon that ended without cleaning up has left in the runtime directory.

Invariant: a page is reported only after its process is proven gone (pid, start and boot; killed
when it is still ours), so its jobs never run twice at once. Called once, before the first worker.
"""

from __future__ import annotations

from pathlib import Path

from jobd.core import events
from jobd.seams import host, statefile
from jobd.seams.log import Emit
from jobd.seams.mark import Mark
from jobd.seams.scoreboard import Owner, Scoreboard
from jobd.seams.scoreboard_views import PageView
from jobd.seams.sweep import sweep
from jobd.supervisor.fleet import Dead

PREFIX = "scoreboard."
# A killed process needs its last system call to end; one in state D may take longer than this.
_KILL_WITHIN = 5.0


def board_path(runtime_dir: Path, nonce: str) -> Path:
    """Name the scoreboard of the daemon with this nonce."""
    return runtime_dir / f"{PREFIX}{nonce}"


def inherit(runtime_dir: Path, *, emit: Emit) -> list[Dead]:
    """Give what all predecessors' workers may still hold; remove the files that hold nothing."""
    found: list[Dead] = []
    for path in sorted(runtime_dir.glob(f"{PREFIX}*")):
        try:
            found += _read(path, emit)
        except (ValueError, OSError) as unusable:
            emit(events.PredecessorUnusable(board=str(path), why=str(unusable)))
    return found


def exits_before(runtime_dir: Path) -> dict[str, dict[str, int]]:
    """Give how workers ended under the daemons before this one, by queue and cause: counters go on."""
    try:
        state = statefile.read(runtime_dir)
    except (OSError, ValueError):
        return {}  # of another version, or unreadable: they begin anew
    pools = {} if state is None else state.pools
    return {name: pool.exits for name, pool in pools.items() if pool.exits}


def _read(path: Path, emit: Emit) -> list[Dead]:
    board = Scoreboard.open(path)
    here = host.boot_id()
    if board.owner.boot_id == here:
        # Its sweeper has done so, unless both were killed at once.
        sweep(Mark(board.owner.nonce), patience=_KILL_WITHIN)
    views = board.views()
    if not views:
        path.unlink()
        return []
    emit(events.PredecessorFound(board=str(path), workers=len(views)))
    found = []
    for view in views:
        if _gone(view, board.owner, here):
            found.append(_dead(view, path))
        else:
            why = f"process {view.pid} does not end; its jobs wait until its lease has run out"
            emit(events.PredecessorUnusable(board=str(path), why=why))
    return found


def _gone(view: PageView, owner: Owner, here: str) -> bool:
    if owner.boot_id != here:
        return True
    return host.end_for_certain(view.pid, view.start_ticks, within=_KILL_WITHIN)


def _dead(view: PageView, path: Path) -> Dead:
    return Dead(
        incarnation=view.incarnation,
        queue=view.queue,
        page=view.index,
        board=str(path),
        cause="lost",
    )
