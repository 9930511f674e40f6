"""Printed bytes, cut into lines and kept within an allowance.

Invariants: how the bytes come in pieces changes nothing; every byte is in a line, dropped and counted,
or still waits for the end of its line; what is let through in any span of time is at most `burst` and
`rate` times the span, and one line. Used by workers (what Python writes) and by the supervisor (what
else comes from a worker's descriptors).
"""

from __future__ import annotations

import math

RATE = 256 << 10
BURST = 1 << 20
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
        self.dropped = 0
        """What was thrown away and not told yet."""
        self.shut = False
        """It is used up: what comes is dropped until a good part of it is there again."""

    def refill(self, now: float) -> None:
        """Let time pass."""
        if now > self._at:
            self._left = min(self._burst, self._left + (now - self._at) * self._rate)
            self._at = now
        if self.shut and self._left >= self._burst * _REOPEN:
            self.shut = False

    def spend(self, count: int) -> None:
        """Use up what a line takes. The last one may take more than there is."""
        self._left -= count
        self.shut = self._left <= 0

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

    def __init__(self, allowance: Allowance, *, longest: int = LONGEST) -> None:
        self._allowance = allowance
        self._longest = longest
        self._rest = b""
        self._skips = False  # to the end of a line whose beginning was dropped
        self._dropped = b""  # the last of what was, since a line was let through

    @property
    def waits(self) -> bool:
        """Whether the beginning of a line, shown or dropped, waits for its end."""
        return bool(self._rest) or self._skips

    def feed(self, data: bytes, now: float) -> list[str]:
        """Take in bytes; give the lines that are whole now, without empty ones."""
        allowance = self._allowance
        allowance.refill(now)
        data, self._rest = self._rest + data, b""
        lines: list[str] = []
        at = 0
        if self._skips and not allowance.shut:
            at = self._skip(data)
        while at < len(data):
            if allowance.shut:
                self._drop(data, at)
                break
            end = data.find(b"\n", at, at + self._longest)
            if end < 0 and len(data) - at < self._longest:
                self._rest = _kept(data[at:])
                break
            if end < 0:
                end = _whole(data, at, at + self._longest)
                line, past = data[at:end], end
            else:
                line, past = data[at:end], end + 1
            allowance.spend(past - at)
            self._dropped = b""
            at = past
            if text := _text(line):
                lines.append(text)
        return lines

    def end(self) -> list[str]:
        """Give the line that had no end: nothing follows it, or somebody else's does."""
        line, self._rest = self._rest, b""
        self._skips = False
        if self._allowance.shut:
            self._allowance.drop(len(line))
            return []
        self._allowance.spend(len(line))
        text = _text(line)
        return [text] if text else []

    def last_words(self) -> list[str]:
        """Give the last lines, those that were dropped too: nobody writes any more."""
        data = self._dropped + self._rest
        self._allowance.drop(-len(self._dropped))
        # Of the first line only the end may be there.
        begin = data.find(b"\n") + 1 if len(self._dropped) == LAST_WORDS else 0
        self._allowance.drop(begin)
        self._rest, self._skips = b"", False
        self.forget()
        return [text for line in data[begin:].split(b"\n") if (text := _text(line))]

    def forget(self) -> None:
        """Take what was dropped for gone: it was told."""
        self._dropped = b""

    def _skip(self, data: bytes) -> int:
        end = data.find(b"\n") + 1
        self._skips = end == 0
        return self._throw_away(data, 0, end or len(data))

    def _drop(self, data: bytes, at: int) -> None:
        """Drop whole lines, and at least what does not fit; a beginning may still be let through."""
        end = data.rfind(b"\n", at) + 1
        if end:
            self._skips = False
        if (end or not self._skips) and len(data) - max(end, at) < self._longest:
            self._rest = data[max(end, at) :]
        else:
            self._skips = True
            end = len(data)
        self._throw_away(data, at, max(at, end))

    def _throw_away(self, data: bytes, start: int, end: int) -> int:
        self._allowance.drop(end - start)
        last = data[max(start, end - LAST_WORDS) : end]
        self._dropped = (self._dropped + last)[-LAST_WORDS:]
        return end - start


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
