"""What the page of a dead worker says: whom to charge with its end, and with what.

A page of one that has ended cannot change any more. Called by jobd.keeper.release.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from jobd.broker.commands import Blame
from jobd.keeper.fleet import Dead
from jobd.seams.clock import monotonic
from jobd.seams.hostname import host_name
from jobd.seams.scoreboard import Scoreboard
from jobd.seams.scoreboard_views import CellView

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
# One whose loop stands still is left alone for longer than that (jobd.supervisor.progress.LEAST_HANG).
_TURNED_WITHIN = 8.0


class LastLook(NamedTuple):
    """A dead worker, who is to be charged with its end, the last claim that it began, and its slot;
    nothing where its page is gone."""

    dead: Dead
    accused: Sequence[CellView] = ()
    begun: int | None = None
    slot: str = ""

    @property
    def is_crash_of_several(self) -> bool:
        """Say whether nobody knows which of them did it."""
        return len(self.accused) > 1 and _COUNTER[self.dead.cause] == "crashes"


def last_look(dead: Dead, boards: Callable[[str], Scoreboard | None]) -> LastLook:
    """Read the page of a worker that has ended.

    A crash accuses who ran. Where nobody did, it accuses who had just run and was not settled: what a
    run leaves behind may end its process a moment later, and would for ever if that cost nothing. But of
    a worker that was hung while its loop still turned Redis had no answer for: its runs were over.
    """
    board = boards(dead.board)
    if board is None or dead.page >= len(board.pages):
        return LastLook(dead)
    page = board.pages[dead.page]
    view = page.view()
    if view is None or view.incarnation != dead.incarnation:
        return LastLook(dead)
    accused = view.cells
    if not accused and _COUNTER[dead.cause] == "crashes":
        accused = page.latest()
        if dead.cause == "hung" and monotonic() - view.beat < _TURNED_WITHIN:
            # All of them had ended, and it was not they that held it up.
            dead = msgspec.structs.replace(dead, cause="recycled")
    return LastLook(dead, accused, view.begun, view.slot)


def blame(look: LastLook, now_ms: int) -> list[Blame]:
    """Say what each running job is charged with.

    Neighbours of a timeout or of a cancelled job were interrupted, which costs nothing. Of several
    that ran when a process crashed nobody knows which did it: each is suspected, and the worker that
    claims it next runs it in less company (jobd.worker.record.company).
    """
    where: dict[str, str | int] = {"worker": look.dead.incarnation, "host": host_name()}
    if look.slot:
        where["slot"] = look.slot
    return [_charge(look.dead, cell, len(look.accused), now_ms, where) for cell in look.accused]


def _charge(
    dead: Dead, cell: CellView, among: int, now_ms: int, where: dict[str, str | int]
) -> Blame:
    kind, counter = dead.cause, _COUNTER[dead.cause]
    if kind in ("timeout", "cancelled") and cell.job_id not in dead.charged:
        kind, counter = "interrupted", "interrupted"
    note: dict[str, str | int] = {"kind": kind, "at": now_ms}
    if dead.how:
        note["how"] = dead.how
    note |= where | {"token": cell.claim}
    if counter == "crashes" and among > 1:
        counter = "suspected"
        note["among"] = among
    return Blame(cell.job_id, counter, msgspec.json.encode(note), cell.claim)


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
