"""Descriptors 1 and 2 of a worker: a pipe to the supervisor, so that the last words of a crash are kept.

Called in a worker as its first act, with the end that came with its fork order.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

_LINE_BUFFERED = 1


def redirect(fd: int) -> None:
    """Make a descriptor standard output and error, of this process and of what it starts."""
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    os.close(fd)


def by_line() -> None:
    """Have the C library write standard output line by line.

    It would keep some KiB of what is not for a terminal, a crash or `os._exit` would lose that, and a
    fork would write it twice. A C library without such a thing is left as it is.
    """
    with suppress(ValueError, AttributeError, OSError):
        library = ctypes.CDLL(None)
        stdout = ctypes.c_void_p.in_dll(library, "stdout")
        library.setvbuf(stdout, None, _LINE_BUFFERED, ctypes.c_size_t(0))
