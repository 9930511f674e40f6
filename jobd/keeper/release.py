"""Duty: what a dead worker of this host held goes back at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from jobd.broker.commands import Blame
from jobd.broker.store import Store
from jobd.keeper.fleet import Dead
from jobd.seams.scoreboard import CellView, Page, PageView, Scoreboard

# What a running job is charged with, by how its worker ended. A crash accuses the job, and so does
# what it cost in memory or the progress it did not let its worker make; a host that went away may
# have had any reason; a stop is nobody's fault; a fence says it was late elsewhere.
_COUNTER = {
    "crash": "crashes",
    "memory": "crashes",
    "oom": "crashes",
    "hung": "crashes",
    "boot": "interrupted",
    "recycled": "interrupted",
    "timeout": "timeouts",
    "stopped": "interrupted",
    "cancelled": "interrupted",
    "fenced": "lost",
    "lost": "lost",
}


def blame(dead: Dead, cells: list[CellView], now_ms: int) -> list[Blame]:
    """Say what each running job is charged with.

    Neighbours of a timeout or of a cancelled job were interrupted, which costs nothing. Of several
    that ran when a process crashed nobody knows which did it: each is suspected, and the worker that
    claims it next runs it in less company (jobd.worker.record.company).
    """
    return [_charge(dead, cell, len(cells), now_ms) for cell in cells]


def _charge(dead: Dead, cell: CellView, among: int, now_ms: int) -> Blame:
    kind, counter = dead.cause, _COUNTER[dead.cause]
    if kind in ("timeout", "cancelled") and cell.job_id not in dead.charged:
        kind, counter = "interrupted", "interrupted"
    note: dict[str, str | int] = {"kind": kind, "at": now_ms}
    if dead.how:
        note["how"] = dead.how
    note |= {"worker": dead.incarnation, "token": cell.claim}
    if counter == "crashes" and among > 1:
        counter = "suspected"
        note["among"] = among
    return Blame(cell.job_id, counter, msgspec.json.encode(note))


def unrecorded(dead: Dead, page: Page, store: Store) -> list[CellView]:
    """Say what a worker ran last, whose end was not recorded: of one that died between two jobs.

    Whoever ran last is the only one to suspect, of a broken heap or of all files left open. If nobody
    was charged the job would run again, and do the same to the next worker, for ever.
    """
    if _COUNTER[dead.cause] != "crashes":
        return []
    held = set(store.line_of(dead.incarnation))
    return [run for run in page.latest() if (run.job_id.encode(), run.claim) in held]


def last_look(
    dead: Dead, boards: Callable[[str], Scoreboard | None]
) -> tuple[Page, PageView] | None:
    """Read the page as it was when the worker ended: it cannot change any more."""
    board = boards(dead.board)
    if board is None or dead.page >= len(board.pages):
        return None
    page = board.pages[dead.page]
    view = page.view()
    return (page, view) if view is not None and view.incarnation == dead.incarnation else None


def release(
    dead: Dead, *, store: Store, boards: Callable[[str], Scoreboard | None], now_ms: int
) -> None:
    """Close the lease and give back what was held. Repeating it changes nothing."""
    look = last_look(dead, boards)
    if look is None:
        store.release(dead.incarnation)
        return
    page, view = look
    cells = list(view.cells) or unrecorded(dead, page, store)
    store.release(dead.incarnation, blame(dead, cells, now_ms), begun=view.begun)


class Boards:
    """Opens each scoreboard file once. A file that is gone has nothing to tell."""

    def __init__(self) -> None:
        self._open: dict[str, Scoreboard] = {}

    def __call__(self, path: str) -> Scoreboard | None:
        """Give the scoreboard, or None when there is no such file."""
        if path not in self._open:
            try:
                self._open[path] = Scoreboard.open(Path(path))
            except FileNotFoundError:
                return None
        return self._open[path]
