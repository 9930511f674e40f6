"""Duty: what a dead worker of this host held goes back at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from jobd.broker.commands import Blame
from jobd.broker.store import Store
from jobd.core.errors import BrokerError, BrokerUnavailable
from jobd.core.events import Event
from jobd.core.store_events import ReleaseRefused, WorkerReleased
from jobd.keeper.fleet import Dead
from jobd.seams.clock import monotonic
from jobd.seams.hostname import host_name
from jobd.seams.scoreboard import CellView, Scoreboard

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


def blame(dead: Dead, cells: list[CellView], now_ms: int, slot: str = "") -> list[Blame]:
    """Say what each running job is charged with.

    Neighbours of a timeout or of a cancelled job were interrupted, which costs nothing. Of several
    that ran when a process crashed nobody knows which did it: each is suspected, and the worker that
    claims it next runs it in less company (jobd.worker.record.company).
    """
    where: dict[str, str | int] = {"worker": dead.incarnation, "host": host_name()}
    if slot:
        where["slot"] = slot
    return [_charge(dead, cell, len(cells), now_ms, where) for cell in cells]


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


class LastLook(NamedTuple):
    """Who is to be charged, the last claim that was begun, and the worker's slot; nothing where its page
    is gone. `excused`: all of them had ended, and it was not they that held it up."""

    cells: list[CellView]
    begun: int | None
    slot: str
    excused: bool = False


_NOTHING = LastLook([], None, "")


def last_look(dead: Dead, boards: Callable[[str], Scoreboard | None]) -> LastLook:
    """Read the page of a worker that has ended: it cannot change any more.

    A crash accuses who ran. Where nobody did, it accuses who had just run and was not settled: what a
    run leaves behind may end its process a moment later, and would for ever if that cost nothing. But of
    a worker that was hung while its loop still turned Redis had no answer for: its runs were over.
    """
    board = boards(dead.board)
    if board is None or dead.page >= len(board.pages):
        return _NOTHING
    page = board.pages[dead.page]
    view = page.view()
    if view is None or view.incarnation != dead.incarnation:
        return _NOTHING
    accused, excused = view.cells, False
    if not accused and _COUNTER[dead.cause] == "crashes":
        accused = page.latest()
        excused = dead.cause == "hung" and monotonic() - view.beat < _TURNED_WITHIN
    return LastLook(list(accused), view.begun, view.slot, excused)


def release(
    dead: Dead, *, store: Store, boards: Callable[[str], Scoreboard | None], now_ms: int
) -> None:
    """Close the lease and give back what was held. Repeating it changes nothing."""
    cells, begun, slot, excused = last_look(dead, boards)
    if excused:
        dead = msgspec.structs.replace(dead, cause="recycled")
    if len(cells) > 1 and _COUNTER[dead.cause] == "crashes":
        # Settled jobs stay in their cells; counted in, they made one that ran alone one of several.
        held = set(store.line_of(dead.incarnation))
        cells = [cell for cell in cells if (cell.job_id.encode(), cell.claim) in held]
    store.release(dead.incarnation, blame(dead, cells, now_ms, slot), begun=begun)


class Releaser:
    """Releases each dead worker once; `released` holds those the supervisor still has to hear of."""

    def __init__(self, *, store: Callable[[str], Store], emit: Callable[[Event], None]) -> None:
        self.released: set[str] = set()
        self._store = store
        self._emit = emit
        self._boards = Boards()
        self._refused: set[str] = set()

    def work(self, dead: Iterable[Dead], now_ms: int) -> None:
        """Release who is not released yet. Raises BrokerUnavailable.

        One that Redis refuses, whose queue's keys are of a wrong type say, holds up no other.
        """
        for each in dead:
            if each.incarnation in self.released:
                continue
            try:
                release(each, store=self._store(each.queue), boards=self._boards, now_ms=now_ms)
            except BrokerUnavailable:
                raise
            except BrokerError as refused:
                self._say_refused(each, str(refused))
            else:
                self.released.add(each.incarnation)
                self._emit(_released(each))

    def _say_refused(self, dead: Dead, why: str) -> None:
        if dead.incarnation not in self._refused:
            self._refused.add(dead.incarnation)
            self._emit(ReleaseRefused(incarnation=dead.incarnation, queue=dead.queue, why=why))


def _released(dead: Dead) -> WorkerReleased:
    return WorkerReleased(incarnation=dead.incarnation, queue=dead.queue, cause=dead.cause)


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
