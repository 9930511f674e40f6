"""Where what lies in the scoreboard's file.

Little endian. What is always used comes first, in one piece: the file system gives it room at once, and
takes it back at once when the file goes. What nobody touches of the rest takes no memory.

    header   one unit (4096 bytes): magic 8s, pages u32, cells u32, nonce 16s, supervisor pid i32, start u64,
             boot id 36s · 128 since when state.json is stale f64 (0 = it is not)
    page     a unit for each: 0 used u8 · 1 phase u8 · 2 fenced u8 · 3 reason u8 · 4 pid i32 · 8 beat f64 ·
             16 claimed u32 · 20 cells u32 · 24 settled u64 · 32 revoked u64 · 40 start u64 ·
             48 incarnation 64s · 112 queue 128s · 240 slot 160s · 400 asked f64 · 408 ran u64 ·
             416 grown i64 · 424 grown jobs u32 · 428 grown task 72s · 512 its first cells
    rest     some units for each page: its other cells
    cell     320 bytes: 0 valid u8 · 8 claim u64 · 16 started f64 · 24 deadline f64 (0 = none) ·
             32 job id 128s · 160 task 128s · 288 cancelled u64 · 296 condemned u64, both marks
"""

from __future__ import annotations

import struct
from typing import NamedTuple

UNIT = 4096  # a page of memory: what is touched of the file comes in these
MAGIC = b"jobd-sb4"
HEADER = struct.Struct("<8sII16si4xQ36s")
STALE_AT = 128

CELLS_AT = 512
IDENTITY = struct.Struct("<64s128s160s")
GROWN = struct.Struct("<qI72s")
U64 = struct.Struct("<Q")
F64 = struct.Struct("<d")
U32 = struct.Struct("<I")
I32 = struct.Struct("<i")

CELL = 320
NEAR = (UNIT - CELLS_AT) // CELL
"""So many cells lie in the page itself."""
RUN = struct.Struct("<Qdd128s128s")
CANCELLED, CONDEMNED = 288, 296


class Layout(NamedTuple):
    """A file of so many pages, for up to so many running jobs each. All are offsets and sizes in bytes."""

    pages: int
    cells: int

    @property
    def always_used(self) -> int:
        """Give the size of what comes first."""
        return UNIT * (1 + self.pages)

    @property
    def size(self) -> int:
        """Give the size of the whole file."""
        return self.always_used + self.pages * self._rest

    def page_at(self, index: int) -> int:
        """Say where a page begins."""
        return UNIT * (1 + index)

    def far_at(self, index: int) -> int:
        """Say where a page's first cell would be if all lay where those beyond NEAR do."""
        return self.always_used + index * self._rest - NEAR * CELL

    @property
    def _rest(self) -> int:
        return -(-max(0, self.cells - NEAR) * CELL // UNIT) * UNIT


def text(raw: bytes) -> str:
    """Read a name."""
    return raw.rstrip(b"\0").decode("utf-8", "replace")
