"""How a process ended, as a value: what `waitid` tells, without the numbers of `wait`.

Made by jobd.seams.host, judged by jobd.supervisor. Exactly one of the fields is set; both are None
when the system could not tell any more.
"""

from __future__ import annotations

import signal
from enum import IntEnum

import msgspec

# What a worker ends with after it has marked its page as fenced.
FENCED = 75

# So does one whose supervisor is gone, or has given it up: it has done nothing.
NOT_ADOPTED = FENCED
# What a worker ends with that wants a fresh one in its place: nothing is to be charged for it. Why,
# its page says.
RECYCLED = 76


class Reason(IntEnum):
    """Why a worker ends with RECYCLED. The names are for people and programs; the numbers, for pages."""

    NONE = 0
    DESCRIPTORS = 1  # one of its own was closed or replaced
    FILES = 2  # so many are open that soon none can be opened
    LIMITS = 3  # a limit was lowered for good
    CREDENTIALS = 4  # it is another user, or in other groups
    PROCESSES = 5  # processes of an ended job were ended, which its code still holds
    SURROUNDINGS = 6  # anything else that cannot be put back
    MAX_JOBS = 7  # it has run as many jobs as it may

    @property
    def word(self) -> str:
        """Say it in one word."""
        return self.name.lower()


class Exit(msgspec.Struct, frozen=True, kw_only=True):
    """One process' end: an exit code, or the number of the signal that ended it."""

    code: int | None = None
    signal: int | None = None

    def words(self) -> str:
        """Say it for people: 'exit 1', 'SIGSEGV', 'unknown'."""
        if self.signal is not None:
            try:
                return signal.Signals(self.signal).name
            except ValueError:
                return f"signal {self.signal}"
        return "unknown" if self.code is None else f"exit {self.code}"
