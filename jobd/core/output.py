"""Printed bytes, cut into lines and kept within an allowance.

Invariants: how the bytes come in pieces changes nothing; every byte is in a line, dropped and counted,
or still waits for the end of its line; what is let through in any span of time is, with what
stands beside each line in the log, at most `burst` and `rate` times the span, and one line. Used by workers (what Python writes) and by the supervisor (what
else comes from a worker's descriptors).
"""

from __future__ import annotations

import math

RATE = 512 << 10
BURST = 2 << 20
# What a line takes in the log beside its own length: time, slot, job and the like.
RECORD = 128
LONGEST = 16 << 10
# Of what was dropped, so much may still be asked for: the last words of a process.
LAST_WORDS = 4 << 10
# What is above the rate is dropped in stretches: the log then has whole passages, not each tenth line.
_REOPEN = 0.5


class Allowance:
    """How many bytes may go to the log: so many a second, and so many at once after a quiet time."""

    def __init__(self, *, rate: float = RATE, burst: float = BURST) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._at = -math.inf
        self._opens_at = 0.0
        self.dropped = 0
        """What was thrown away and not told yet."""
        self.shut = False
        """It is used up: what comes is dropped until a good part of it is there again."""

    def refill(self, now: float) -> None:
        """Let time pass."""
        if self.shut and now < self._opens_at:
            return  # in a flood this is all that is done for a line
        if now > self._at:
            self._left = min(self._burst, self._left + (now - self._at) * self._rate)
            self._at = now
        self.shut = False

    def spend(self, count: int) -> bool:
        """Use up what a line takes, the last one more than there is. False: nothing is left."""
        self._left -= count
        if self._left <= 0:
            self.shut = True
            self._opens_at = self._at + (self._burst * _REOPEN - self._left) / self._rate
        return not self.shut

    def drop(self, count: int) -> None:
        """Count what is thrown away."""
        self.dropped += count

    def told(self, *, now_or_never: bool = False) -> int:
        """Give how much was dropped, once that is over. Then it counts from nothing again."""
        if self.shut and not now_or_never:
            return 0
        dropped, self.dropped = self.dropped, 0
        return dropped


class Cutter:
    """Cuts one stream of bytes into lines, as far as its allowance goes."""

    def __init__(self, allowance: Allowance, *, longest: int = LONGEST, remembers: int = 0) -> None:
        """`remembers`: of what is dropped, how much is kept for `last_words`."""
        self._allowance = allowance
        self._longest = longest
        self._remembers = remembers
        self._rest = b""
        self._skips = False  # to the end of a line whose beginning was dropped
        self._dropped = b""  # the last of what was, since a line was let through

    def feed(self, data: bytes, now: float) -> list[str]:
        """Take in bytes; give the lines that are whole now, without empty ones."""
        allowance = self._allowance
        allowance.refill(now)
        if self._rest:
            data, self._rest = self._rest + data, b""
        if allowance.shut:
            self._drop(data, 0, len(data))
            return []
        at = self._skip(data) if self._skips else 0
        lines: list[str] = []
        goes_on = True
        while at < len(data):
            if not goes_on:
                self._drop(data, at, len(data))
                break
            end = data.find(b"\n", at, at + self._longest)
            if end < 0 and len(data) - at < self._longest:
                self._rest = _kept(data[at:])
                break
            if end < 0:
                end = past = _whole(data, at, at + self._longest)
            else:
                past = end + 1
            goes_on = allowance.spend(past - at + RECORD)
            self._dropped = b""
            if text := _text(data[at:end]):
                lines.append(text)
            at = past
        return lines

    def end(self) -> list[str]:
        """Give the line that had no end: nothing follows it, or somebody else's does."""
        line, self._rest = self._rest, b""
        self._skips = False
        if self._allowance.shut:
            self._allowance.drop(len(line))
            return []
        self._allowance.spend(len(line) + RECORD)
        text = _text(line)
        return [text] if text else []

    def last_words(self) -> list[str]:
        """Give the last lines, those that were dropped too: nobody writes any more."""
        data = self._dropped + self._rest
        self._allowance.drop(-len(self._dropped))
        # Of the first line only the end may be there.
        begin = data.find(b"\n") + 1 if len(self._dropped) >= self._remembers else 0
        self._allowance.drop(begin)
        self._rest, self._skips = b"", False
        self.forget()
        return [text for line in data[begin:].split(b"\n") if (text := _text(line))]

    def forget(self) -> None:
        """Take what was dropped for gone: it was told."""
        self._dropped = b""

    def _skip(self, data: bytes) -> int:
        end = data.find(b"\n") + 1 or len(data)
        self._drop(data, 0, end)
        return end

    def _drop(self, data: bytes, start: int, end: int) -> None:
        self._allowance.drop(end - start)
        self._skips = not data.endswith(b"\n", start, end)
        if self._remembers:
            last = data[max(start, end - self._remembers) : end]
            self._dropped = (self._dropped + last)[-self._remembers :]


def _kept(rest: bytes) -> bytes:
    """Forget what a progress bar has overwritten; the return may still be one of a line's end."""
    return rest[rest.rfind(b"\r", 0, -1) + 1 :]


def _whole(data: bytes, start: int, end: int) -> int:
    """Move a cut to before the character it would go through."""
    while end > start + 1 and end < len(data) and data[end] & 0xC0 == 0x80:
        end -= 1
    return end


def _text(line: bytes) -> str:
    """Read a line as a terminal shows it: what follows a carriage return replaces what was before."""
    return line.rstrip(b"\r").rpartition(b"\r")[2].decode("utf-8", "replace").rstrip()
