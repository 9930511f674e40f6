"""Descriptors that somebody else's code may close, or have other files behind.

A number says nothing: what is closed is soon open again as something else. So each is known by the
file behind it, and whoever finds another there does not write to it and does not close it.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable

from jobd.core.errors import ConfigError

Identity = tuple[int, int]


def identity(descriptor: int) -> Identity | None:
    """Say what is behind a descriptor; None when nothing is."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino


class Guarded:
    """Descriptors that are ours."""

    def __init__(self, descriptors: Iterable[int]) -> None:
        self._known = {descriptor: identity(descriptor) for descriptor in descriptors}

    def add(self, *descriptors: int) -> None:
        """Guard these too."""
        self._known |= {descriptor: identity(descriptor) for descriptor in descriptors}

    def lost(self) -> list[int]:
        """List those that are not what they were."""
        return [fd for fd, known in self._known.items() if identity(fd) != known]


def require(least: int) -> None:
    """See that this process may have so many descriptors. Raises ConfigError."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < least:
        raise ConfigError(
            f"RLIMIT_NOFILE: {soft} open files; expected {least} at least; raise LimitNOFILE of the "
            "service, or `ulimit -n` in the shell that starts it"
        )


def share_open() -> float:
    """Tell how large a share of the descriptors that this process may have is open."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  once a look, kept bare
    return count / soft
