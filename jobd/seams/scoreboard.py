"""The scoreboard: one mmap'd file in the runtime directory that says what every worker is doing.

It works while Redis is down and survives its writer: after a crash it says exactly which job was
*running*, and so which of the claimed ones were not. Writing costs about a microsecond a job.

Who may write what says `scoreboard_page`; where it lies, `scoreboard_layout`.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Self

import msgspec

from jobd.core.options import MOST_CONCURRENCY
from jobd.seams.scoreboard_layout import F64, HEADER, MAGIC, STALE_AT, Layout, text
from jobd.seams.scoreboard_page import Page
from jobd.seams.scoreboard_views import PageView


class Owner(msgspec.Struct, frozen=True):
    """The supervisor a scoreboard belongs to, for proving it gone."""

    nonce: str
    pid: int
    start_ticks: int
    boot_id: str


class Scoreboard:
    """The whole file. Make one with `create` (supervisor) or `open` (everyone else)."""

    def __init__(self, path: Path, memory: mmap.mmap) -> None:
        self.path = path
        self._memory = memory
        magic, pages, cells, nonce, pid, start, boot = HEADER.unpack_from(memory, 0)
        if magic != MAGIC:
            raise ValueError(f"{path}: not a scoreboard of this version of jobd; delete the file")
        self.owner = Owner(text(nonce), pid, start, text(boot))
        layout = Layout(pages, cells)
        self.pages = [Page(memory, index, layout) for index in range(pages)]

    @classmethod
    def create(cls, path: Path, *, owner: Owner, pages: int, cells: int = 1) -> Self:
        """Make the file with `pages` free pages, each for up to `cells` running jobs.

        Raises OSError, also when the disk has no room for what of it is always used: found out later
        that would be SIGBUS, in whatever process comes first.
        """
        if not 1 <= cells <= MOST_CONCURRENCY:
            raise ValueError(f"cells: {cells}; expected 1 to {MOST_CONCURRENCY}")
        header = HEADER.pack(
            MAGIC, pages, cells, owner.nonce.encode(), owner.pid, owner.start_ticks,
            owner.boot_id.encode(),
        )  # fmt: skip
        layout = Layout(pages, cells)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.truncate(descriptor, layout.size)
            os.posix_fallocate(descriptor, 0, layout.always_used)
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
        F64.pack_into(self._memory, STALE_AT, since or 0.0)

    def stale_since(self) -> float | None:
        """Tell since when state.json is older than what it tells of; None when it is not."""
        return float(F64.unpack_from(self._memory, STALE_AT)[0]) or None

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
