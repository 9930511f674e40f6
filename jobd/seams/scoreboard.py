"""The scoreboard: one mmap'd file in the runtime directory that says what every worker is doing.

It works while Redis is down and survives its writer: after a crash it says exactly which job was
*running*, and so which of the claimed ones were not. Writing costs about a microsecond a job.

A page belongs to one worker incarnation from its fork until its release is acknowledged. It has one
writer per field:

    supervisor   the identity (incarnation, queue, slot), when the page is handed out
    worker       pid, phase, beat, asked, claimed, settled, ran, grown, and a cell per running job
    keeper       revoked: "jobs of this claim number or an earlier one are not yours to start";
                 in a cell, the mark of the one run that was cancelled, or is to be killed

A cell's valid byte is cleared first and set last, so a reader never takes half a cell for a whole
one. A *living* worker may still change it between two reads: readers act only on two equal looks,
one tick apart. The cell of a dead worker cannot change any more.

Layout, little endian; the header page first, of 4096 bytes. Pages follow, large enough for the queue
that runs most jobs at once in a process; each says itself how many cells of it are used. What nobody
touches of the file takes no memory.

    header   magic 8s, pages u32, cells u32, nonce 16s, supervisor pid i32, start u64, boot id 36s ·
             128 since when state.json is stale f64 (0 = it is not)
    page     0 used u8 · 1 phase u8 · 2 fenced u8 · 3 reason u8 · 4 pid i32 · 8 beat f64 · 16 claimed u32 ·
             20 cells u32 · 24 settled u64 · 32 revoked u64 · 40 start u64 · 48 incarnation 64s ·
             112 queue 128s · 240 slot 160s · 400 asked f64 · 408 ran u64 · 416 grown i64 ·
             424 grown jobs u32 · 428 grown task 72s · 512 cells, 320 bytes each
    cell     0 valid u8 · 8 claim u64 · 16 started f64 · 24 deadline f64 (0 = none) ·
             32 job id 128s · 160 task 128s · 288 cancelled u64 · 296 condemned u64, both marks

A mark stands for (job id, claim): the keeper writes it for the run it means, whatever runs there by
then, and only that very run finds it to be its own. So nobody needs to clear one.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import struct
from enum import IntEnum
from pathlib import Path
from typing import Self

import msgspec

from jobd.core.options import MOST_CONCURRENCY
from jobd.seams.exits import Reason

_UNIT = 4096  # a page of memory: what is touched of the file comes in these
CELL = 320
_CELLS_AT = 512
_MAGIC = b"jobd-sb3"
_HEADER = struct.Struct("<8sII16si4xQ36s")
_STALE_AT = 128
_IDENTITY = struct.Struct("<64s128s160s")
_CELL = struct.Struct("<Qdd128s128s")
_CANCELLED, _CONDEMNED = 288, 296
_ACK = struct.Struct("<Q")
_PID = struct.Struct("<i")
_BEAT = struct.Struct("<d")
_GROWN = struct.Struct("<qI72s")
_COUNT = struct.Struct("<I")


class Phase(IntEnum):
    """Where a worker is in its life."""

    VACANT = 0
    BOOTING = 1  # forked; not yet joined
    IDLE = 2  # joined, waiting for work
    BUSY = 3  # joined, has claimed jobs
    DRAINING = 4  # told to stop: finishes what runs, claims no more


class CellView(msgspec.Struct, frozen=True):
    """One running job. Times are on CLOCK_MONOTONIC; `deadline` 0.0 means none."""

    job_id: str
    claim: int
    task: str
    started: float
    deadline: float
    index: int = 0
    condemned: bool = False
    """Somebody wants its process to end, whatever it does."""


def mark_of(job_id: str, claim: int) -> int:
    """Give the number that stands for one run."""
    digest = hashlib.blake2b(job_id.encode(), digest_size=8, salt=claim.to_bytes(16))
    return int.from_bytes(digest.digest())


class PageView(msgspec.Struct, frozen=True):
    """One worker, at one look. `claimed` counts jobs claimed, the running ones included; `ran` those
    that were run to an end, and not just judged; `begun` is the last claim of which a job was begun, 0
    for none; `grown` bytes of memory were added by `grown_jobs` jobs of `grown_task`."""

    index: int
    incarnation: str
    queue: str
    slot: str
    phase: Phase
    pid: int
    start_ticks: int
    fenced: bool
    beat: float
    claimed: int
    settled: int
    revoked: int
    cells: tuple[CellView, ...]
    begun: int = 0
    asked: float = 0.0
    ran: int = 0
    grown: int = 0
    grown_jobs: int = 0
    grown_task: str = ""
    count: int = 1
    """How many cells it has, in use or not."""
    reason: int = 0
    """One of jobd.seams.exits.Reason; a number, since a later version may know more of them."""


class Owner(msgspec.Struct, frozen=True):
    """The supervisor a scoreboard belongs to, for proving it gone."""

    nonce: str
    pid: int
    start_ticks: int
    boot_id: str


class Page:
    """One page, from whichever side. Hot-path methods do no checking: the boot did."""

    def __init__(self, memory: mmap.mmap, index: int, size: int) -> None:
        self._memory = memory
        self._at = _UNIT + size * index
        self._cells_at = self._at + _CELLS_AT
        self.index = index

    @classmethod
    def alone(cls, cells: int = 1) -> Self:
        """Make a page that only this process sees."""
        size = _page_size(cells)
        return cls(mmap.mmap(-1, _UNIT + size), 0, size)

    # --- the supervisor's side ---

    def hand_out(self, *, incarnation: str, queue: str, slot: str, cells: int = 1) -> None:
        """Give the page to a new incarnation, that runs so many jobs at once. Nothing runs there."""
        at = self._at
        self._memory[at : at + _CELLS_AT] = bytes(_CELLS_AT)
        for cell in range(cells):
            self.finish(cell)
        _COUNT.pack_into(self._memory, at + 20, cells)
        _IDENTITY.pack_into(
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
        _PID.pack_into(self._memory, self._at + 4, pid)
        _ACK.pack_into(self._memory, self._at + 40, start_ticks)

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
        _BEAT.pack_into(self._memory, self._at + 8, now)

    def asked(self, now: float) -> None:
        """Say that Redis has answered a claim, or that there was a reason not to ask."""
        _BEAT.pack_into(self._memory, self._at + 400, now)

    @property
    def cells(self) -> int:
        """How many jobs may run here at once."""
        return int(_COUNT.unpack_from(self._memory, self._at + 20)[0])

    def set_claimed(self, count: int) -> None:
        _COUNT.pack_into(self._memory, self._at + 16, count)

    def set_settled(self, count: int) -> None:
        _ACK.pack_into(self._memory, self._at + 24, count)

    def set_ran(self, count: int) -> None:
        _ACK.pack_into(self._memory, self._at + 408, count)

    def set_grown(self, task: bytes, size: int, jobs: int) -> None:
        """Say which task made the process grow most, by how many bytes in how many of its jobs."""
        _GROWN.pack_into(self._memory, self._at + 416, size, min(jobs, 2**32 - 1), task)

    def start(
        self, cell: int, job_id: bytes, claim: int, task: bytes, started: float, deadline: float
    ) -> int:
        """Write that a job runs, before it does; give what is `revoked` by then, to look at before that."""
        at = self._cells_at + cell * CELL
        memory = self._memory
        memory[at] = 0
        _CELL.pack_into(memory, at + 8, claim, started, deadline, job_id, task)
        memory[at] = 1
        revoked: int = _ACK.unpack_from(memory, self._at + 32)[0]  # once a job: no call for that
        return revoked

    def finish(self, cell: int) -> None:
        """Write that the cell's job no longer runs."""
        self._memory[self._cells_at + cell * CELL] = 0

    def is_cancelled(self, cell: int, mark: int) -> bool:
        """Say whether the run with this mark, in this cell, was cancelled."""
        return self._mark(cell, _CANCELLED) == mark

    # --- the keeper's side ---

    def cancel(self, cell: int, mark: int, *, condemn: bool) -> None:
        """Tell the run with this mark that it was cancelled; `condemn` it to end at once."""
        at = self._cells_at + cell * CELL
        _ACK.pack_into(self._memory, at + _CANCELLED, mark)
        if condemn:
            _ACK.pack_into(self._memory, at + _CONDEMNED, mark)

    def revoke(self, claim: int) -> None:
        """Take away every unstarted job of this claim number or an earlier one."""
        _ACK.pack_into(self._memory, self._at + 32, claim)

    # --- everyone's ---

    def view(self) -> PageView | None:
        """Read the page, or None when nobody owns it."""
        memory, at = self._memory, self._at
        if not memory[at]:
            return None
        incarnation, queue, slot = _IDENTITY.unpack_from(memory, at + 48)
        grown, grown_jobs, grown_task = _GROWN.unpack_from(memory, at + 416)
        return PageView(
            index=self.index,
            incarnation=_text(incarnation),
            queue=_text(queue),
            slot=_text(slot),
            phase=Phase(memory[at + 1]),
            pid=_PID.unpack_from(memory, at + 4)[0],
            start_ticks=_ACK.unpack_from(memory, at + 40)[0],
            fenced=bool(memory[at + 2]),
            reason=memory[at + 3],
            beat=_BEAT.unpack_from(memory, at + 8)[0],
            claimed=_COUNT.unpack_from(memory, at + 16)[0],
            settled=_ACK.unpack_from(memory, at + 24)[0],
            revoked=_ACK.unpack_from(memory, at + 32)[0],
            cells=tuple(c for i in range(self.cells) if (c := self._cell(i)) is not None),
            begun=max(map(self._begun, range(self.cells)), default=0),
            count=self.cells,
            asked=_BEAT.unpack_from(memory, at + 400)[0],
            ran=_ACK.unpack_from(memory, at + 408)[0],
            grown=grown,
            grown_jobs=grown_jobs,
            grown_task=_text(grown_task),
        )

    def latest(self) -> tuple[CellView, ...]:
        """Read the run that each cell saw last, whether it has ended or not.

        Of a process that moves it may be read in the middle of a change: compare two looks.
        """
        runs = (self._read(index) for index in range(self.cells))
        return tuple(run for run in runs if run.claim)

    def _begun(self, index: int) -> int:
        """Read the claim of the last job in a cell, whether it still runs or not."""
        claim: int = _ACK.unpack_from(self._memory, self._cells_at + index * CELL + 8)[0]
        return claim

    def _cell(self, index: int) -> CellView | None:
        at = self._cells_at + index * CELL
        if not self._memory[at]:
            return None
        run = self._read(index)
        return run if self._memory[at] else None

    def _read(self, index: int) -> CellView:
        at = self._cells_at + index * CELL
        claim, started, deadline, job_id, task = _CELL.unpack_from(self._memory, at + 8)
        told, name = self._mark(index, _CONDEMNED), _text(job_id)
        condemned = bool(told) and told == mark_of(name, claim)
        return CellView(name, claim, _text(task), started, deadline, index, condemned)

    def _mark(self, cell: int, which: int) -> int:
        at = self._cells_at + cell * CELL + which
        mark: int = _ACK.unpack_from(self._memory, at)[0]
        return mark


class Scoreboard:
    """The whole file. Make one with `create` (supervisor) or `open` (everyone else)."""

    def __init__(self, path: Path, memory: mmap.mmap) -> None:
        self.path = path
        self._memory = memory
        magic, pages, cells, nonce, pid, start, boot = _HEADER.unpack_from(memory, 0)
        if magic != _MAGIC:
            raise ValueError(f"{path}: not a scoreboard of this version of jobd; delete the file")
        self.owner = Owner(_text(nonce), pid, start, _text(boot))
        size = _page_size(cells)
        self.pages = [Page(memory, index, size) for index in range(pages)]

    @classmethod
    def create(cls, path: Path, *, owner: Owner, pages: int, cells: int = 1) -> Self:
        """Make the file with `pages` free pages, each for up to `cells` running jobs.

        Raises OSError, also when the disk has no room for what of it is always used: found out later
        that would be SIGBUS, in whatever process comes first.
        """
        if not 1 <= cells <= MOST_CONCURRENCY:
            raise ValueError(f"cells: {cells}; expected 1 to {MOST_CONCURRENCY}")
        header = _HEADER.pack(
            _MAGIC, pages, cells, owner.nonce.encode(), owner.pid, owner.start_ticks,
            owner.boot_id.encode(),
        )  # fmt: skip
        size = _page_size(cells)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.truncate(descriptor, _UNIT + size * pages)
            for at in (0, *range(_UNIT, _UNIT + size * pages, size)):
                os.posix_fallocate(descriptor, at, _UNIT)
            os.pwrite(descriptor, header, 0)
        except OSError:
            path.unlink()
            raise
        finally:
            os.close(descriptor)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Map an existing file for reading and writing. Raises ValueError, OSError."""
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            spare = os.dup(descriptor)
            os.close(spare)
            memory = mmap.mmap(descriptor, 0)
            _seal(path, spare, descriptor)
        finally:
            os.close(descriptor)
        return cls(path, memory)

    def set_stale(self, since: float | None) -> None:
        """Say since when (monotonic) state.json is old. There is room for it here on a full disk."""
        _BEAT.pack_into(self._memory, _STALE_AT, since or 0.0)

    def stale_since(self) -> float | None:
        """Tell since when state.json is older than what it tells of; None when it is not."""
        return float(_BEAT.unpack_from(self._memory, _STALE_AT)[0]) or None

    def views(self) -> list[PageView]:
        """Read every page that somebody owns."""
        return [view for page in self.pages if (view := page.view()) is not None]


def _seal(path: Path, kept: int, descriptor: int) -> None:
    """Make the descriptor that a mapping keeps one that cannot be written to.

    It is a duplicate, and so has the lowest number that was free. A task that writes into descriptors
    which are not its own, as some wrong program does some day, would write over the head of the file.
    """
    try:
        is_it = os.path.sameopenfile(kept, descriptor)
    except OSError:
        return  # another thread took the number in between: the mapping has another
    if is_it:
        reading = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        os.dup2(reading, kept, inheritable=False)
        os.close(reading)


def _page_size(cells: int) -> int:
    return -(-(_CELLS_AT + cells * CELL) // _UNIT) * _UNIT


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode("utf-8", "replace")
