"""What `ps` and `top` call a process of the daemon: "jobd: worker email.2".

Written where the kernel shows a program's arguments from, through /proc/self/mem: a wrong address
there is an OSError, not a crash. The library for this imports `logging`, which costs the supervisor
a tenth of its memory.

Linux only. A title is a help for people; where it cannot be set, nothing else is lost.
"""

from __future__ import annotations

import os
from pathlib import Path

_ARG_START, _ARG_END = 47, 48  # fields 48 and 49 of proc(5)'s /proc/PID/stat, counted from 0
_COMM = 15


def set_title(title: str) -> None:
    """Show `title`, cut to the room that this process' own arguments took."""
    raw = title.encode("utf-8", "replace")
    try:
        Path("/proc/self/comm").write_bytes(raw[:_COMM])
        start, end = _arguments()
        # The last byte stays 0: another would tell the kernel to read on in the environment.
        shown = raw[: max(0, end - start - 1)].ljust(end - start, b"\0")
        memory = os.open("/proc/self/mem", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.pwrite(memory, shown, start)
        finally:
            os.close(memory)
    except OSError:
        return  # a kernel or a sandbox that forbids it: the title stays as it was


def _arguments() -> tuple[int, int]:
    """Where the arguments lie in memory; (0, 0) when the kernel does not tell."""
    raw = Path("/proc/self/stat").read_bytes()
    # The name in parentheses may hold anything, also spaces and parentheses.
    fields = [b"", b"", *raw[raw.rindex(b")") + 2 :].split()]
    return int(fields[_ARG_START]), int(fields[_ARG_END])
