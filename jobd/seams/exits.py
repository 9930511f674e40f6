"""How a process ended, as a value: what `waitid` tells, without the numbers of `wait`.

Made by jobd.seams.host, judged by jobd.supervisor. Exactly one of the fields is set; both are None
when the system could not tell any more.
"""

from __future__ import annotations

import signal

import msgspec

# What a worker ends with after it has marked its page as fenced.
FENCED = 75


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
