"""One page of the scoreboard, from whichever side: the supervisor's, its worker's, the keeper's.

A page belongs to one worker incarnation from its fork until its release is acknowledged. It has one
writer per field:

    supervisor   the identity (incarnation, queue, slot), when the page is handed out
    worker       pid, phase, beat, asked, claimed, settled, ran, grown, and a cell per running job
    keeper       revoked: "jobs of this claim number or an earlier one are not yours to start";
                 in a cell, the mark of the one run that was cancelled, or is to be killed

A cell's valid byte is cleared first and set last, so a reader never takes half a cell for a whole
one. A *living* worker may still change it between two reads: readers act only on two equal looks,
one tick apart. The cell of a dead worker cannot change any more.

A mark stands for (job id, claim): the keeper writes it for the run it means, whatever runs there by
then, and only that very run finds it to be its own. So nobody needs to clear one.
"""

from __future__ import annotations

import mmap
from typing import Self

from jobd.seams.exits import Reason
from jobd.seams.scoreboard_layout import (
    CANCELLED,
    CELL,
    CELLS_AT,
    CONDEMNED,
    F64,
    GROWN,
    I32,
    IDENTITY,
    NEAR,
    RUN,
    U32,
    U64,
    Layout,
    text,
)
from jobd.seams.scoreboard_views import CellView, PageView, Phase, mark_of

# What each job costs: looked up once.
_write_run, _read_u64 = RUN.pack_into, U64.unpack_from


class Page:
    """One page, from whichever side. Hot-path methods do no checking: the boot did."""

    def __init__(self, memory: mmap.mmap, index: int, layout: Layout) -> None:
        self._memory = memory
        self._at = layout.page_at(index)
        self._near = self._at + CELLS_AT
        self._far = layout.far_at(index)
        self.index = index

    @classmethod
    def alone(cls, cells: int = 1) -> Self:
        """Make a page that only this process sees."""
        layout = Layout(1, cells)
        return cls(mmap.mmap(-1, layout.size), 0, layout)

    # --- the supervisor's side ---

    def hand_out(self, *, incarnation: str, queue: str, slot: str, cells: int = 1) -> None:
        """Give the page to a new incarnation, that runs so many jobs at once. Nothing runs there."""
        at = self._at
        self._memory[at : at + CELLS_AT] = bytes(CELLS_AT)
        for cell in range(cells):
            self.finish(cell)
        U32.pack_into(self._memory, at + 20, cells)
        IDENTITY.pack_into(
            self._memory, at + 48, incarnation.encode(), queue.encode(), slot.encode()
        )
        self._memory[at + 1] = Phase.BOOTING
        self._memory[at] = 1

    def take_back(self) -> None:
        """Make the page free again, after its incarnation's release was acknowledged."""
        self._memory[self._at] = 0

    # --- the worker's side ---

    def adopt(self, *, pid: int, start_ticks: int) -> None:
        """Write who runs here, as the worker's first act."""
        I32.pack_into(self._memory, self._at + 4, pid)
        U64.pack_into(self._memory, self._at + 40, start_ticks)

    def set_phase(self, phase: Phase) -> None:
        self._memory[self._at + 1] = phase

    def set_fenced(self) -> None:
        """Say that this incarnation's lease is closed: it may not act again."""
        self._memory[self._at + 2] = 1

    def set_reason(self, reason: Reason) -> None:
        """Say why this worker ends by itself, before it does."""
        self._memory[self._at + 3] = reason

    def beat(self, now: float) -> None:
        """Say that the worker's loop has turned."""
        F64.pack_into(self._memory, self._at + 8, now)

    def asked(self, now: float) -> None:
        """Say that Redis has answered a claim, or that there was a reason not to ask."""
        F64.pack_into(self._memory, self._at + 400, now)

    @property
    def cells(self) -> int:
        """How many jobs may run here at once."""
        return int(U32.unpack_from(self._memory, self._at + 20)[0])

    def set_claimed(self, count: int) -> None:
        U32.pack_into(self._memory, self._at + 16, count)

    def set_settled(self, count: int) -> None:
        U64.pack_into(self._memory, self._at + 24, count)

    def set_ran(self, count: int) -> None:
        U64.pack_into(self._memory, self._at + 408, count)

    def set_grown(self, task: bytes, size: int, jobs: int) -> None:
        """Say which task made the process grow most, by how many bytes in how many of its jobs."""
        GROWN.pack_into(self._memory, self._at + 416, size, min(jobs, 2**32 - 1), task)

    def start(
        self, cell: int, job_id: bytes, claim: int, task: bytes, started: float, deadline: float
    ) -> int:
        """Write that a job runs, before it does; give what is `revoked` by then, to look at before that."""
        at = (self._near if cell < NEAR else self._far) + cell * CELL
        memory = self._memory
        memory[at] = 0
        _write_run(memory, at + 8, claim, started, deadline, job_id, task)
        memory[at] = 1
        revoked: int = _read_u64(memory, self._at + 32)[0]
        return revoked

    def finish(self, cell: int) -> None:
        """Write that the cell's job no longer runs."""
        self._memory[(self._near if cell < NEAR else self._far) + cell * CELL] = 0

    def is_cancelled(self, cell: int, mark: int) -> bool:
        """Say whether the run with this mark, in this cell, was cancelled."""
        at = (self._near if cell < NEAR else self._far) + cell * CELL
        found: int = _read_u64(self._memory, at + CANCELLED)[0]
        return found == mark

    # --- the keeper's side ---

    def cancel(self, cell: int, mark: int, *, condemn: bool) -> None:
        """Tell the run with this mark that it was cancelled; `condemn` it to end at once."""
        at = self._place(cell)
        U64.pack_into(self._memory, at + CANCELLED, mark)
        if condemn:
            U64.pack_into(self._memory, at + CONDEMNED, mark)

    def revoke(self, claim: int) -> None:
        """Take away every unstarted job of this claim number or an earlier one."""
        U64.pack_into(self._memory, self._at + 32, claim)

    # --- everyone's ---

    def view(self) -> PageView | None:
        """Read the page, or None when nobody owns it."""
        memory, at = self._memory, self._at
        if not memory[at]:
            return None
        incarnation, queue, slot = IDENTITY.unpack_from(memory, at + 48)
        grown, grown_jobs, grown_task = GROWN.unpack_from(memory, at + 416)
        return PageView(
            index=self.index,
            incarnation=text(incarnation),
            queue=text(queue),
            slot=text(slot),
            phase=Phase(memory[at + 1]),
            pid=I32.unpack_from(memory, at + 4)[0],
            start_ticks=U64.unpack_from(memory, at + 40)[0],
            fenced=bool(memory[at + 2]),
            reason=memory[at + 3],
            beat=F64.unpack_from(memory, at + 8)[0],
            claimed=U32.unpack_from(memory, at + 16)[0],
            settled=U64.unpack_from(memory, at + 24)[0],
            revoked=U64.unpack_from(memory, at + 32)[0],
            cells=tuple(c for i in range(self.cells) if (c := self._cell(i)) is not None),
            begun=max(map(self._begun, range(self.cells)), default=0),
            count=self.cells,
            asked=F64.unpack_from(memory, at + 400)[0],
            ran=U64.unpack_from(memory, at + 408)[0],
            grown=grown,
            grown_jobs=grown_jobs,
            grown_task=text(grown_task),
        )

    def latest(self) -> tuple[CellView, ...]:
        """Read the run that each cell saw last, whether it has ended or not.

        Of a process that moves it may be read in the middle of a change: compare two looks.
        """
        runs = (self._read(index) for index in range(self.cells))
        return tuple(run for run in runs if run.claim)

    def _begun(self, index: int) -> int:
        """Read the claim of the last job in a cell, whether it still runs or not."""
        claim: int = U64.unpack_from(self._memory, self._place(index) + 8)[0]
        return claim

    def _cell(self, index: int) -> CellView | None:
        at = self._place(index)
        if not self._memory[at]:
            return None
        run = self._read(index)
        return run if self._memory[at] else None

    def _read(self, index: int) -> CellView:
        at = self._place(index)
        claim, started, deadline, job_id, task = RUN.unpack_from(self._memory, at + 8)
        told, name = U64.unpack_from(self._memory, at + CONDEMNED)[0], text(job_id)
        condemned = bool(told) and told == mark_of(name, claim)
        return CellView(name, claim, text(task), started, deadline, index, condemned)

    def _place(self, cell: int) -> int:
        return (self._near if cell < NEAR else self._far) + cell * CELL
