"""What memory a process takes: a cheap look that bounds it, and a dear one that tells its own share.

    resident   /proc/PID/statm          ~10 us, whatever the size. Counts what is shared with others too.
    held       /proc/PID/smaps_rollup   ~0.2 ms, and 10 ms for each GB: it visits every page.

Workers share the preloaded application with its preloader, copy on write, so what is resident says
nothing of what one worker costs. *Own* is what its end would give back and the kernel cannot drop
meanwhile: private pages that were written to, and its part of the swap. Clean pages of files (a mapped
model, a library) are not counted: they go when memory is short, and nobody is killed for reading them.

psutil reads the same file, where the kernel has it, and adds up clean pages and leaves out the swap. It
would take 1.6 MB and 25 ms of a supervisor of 17 MB, so it is not imported here.

Only for processes that cannot vanish under another's number: this one, and children not yet waited for.
"""

from __future__ import annotations

import os

import msgspec

PAGE = os.sysconf("SC_PAGE_SIZE")
_KIB = 1024
_ENOUGH = 1 << 16


class Held(msgspec.Struct, frozen=True):
    """Bytes a process holds: its own, and what it shares with those it was forked from or forked."""

    private: int
    shared: int


def resident(pid: int | str = "self") -> int:
    """Give the bytes in memory, shared ones included; 0 when there is no such process."""
    return _statm(pid)[0]


def held(pid: int | str = "self", *, rollup: str = "smaps_rollup") -> Held | None:
    """Tell what a process holds; None when there is no such process, or it has ended."""
    for name, whole in ((rollup, True), ("smaps", False)):
        try:
            text = _read(f"/proc/{pid}/{name}", whole=whole)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            # A kernel before 4.14 has no rollup, and a task may have made itself unreadable.
            continue
        if text:
            return _sum(text)
    inside, files = _statm(pid)
    # All that is not of a file bounds its own from above: what it still shares is counted in.
    return Held(inside - files, 0) if inside else None


def _statm(pid: int | str) -> tuple[int, int]:
    try:
        fields = _read(f"/proc/{pid}/statm", whole=True).split()
    except (FileNotFoundError, ProcessLookupError):
        return 0, 0
    return int(fields[1]) * PAGE, int(fields[2]) * PAGE


def _read(path: str, *, whole: bool) -> bytes:
    """Read one of the kernel's texts; `whole`: it is known to come in one piece."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = part = os.read(descriptor, _ENOUGH)
        while part and not whole:
            part = os.read(descriptor, _ENOUGH)
            text += part
        return text
    finally:
        os.close(descriptor)


def _sum(text: bytes) -> Held:
    own = shared = 0
    for line in text.splitlines():
        # Of mappings the names may hold anything; these words begin no such line.
        if line.startswith((b"Private_Dirty:", b"SwapPss:")):
            own += int(line.split()[1])
        elif line.startswith(b"Shared_Dirty:"):
            shared += int(line.split()[1])
    return Held(own * _KIB, shared * _KIB)
