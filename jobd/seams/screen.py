"""A terminal as a screen: drawn as a whole, keys read one by one, and left as it was found.

    with Screen() as screen:
        screen.draw(lines)
        key = screen.key(within=1.0)      # "q", "up", "ctrl-c", ...; "" when none came, or it was resized

Invariants: the terminal is given back whatever happens, also when it is ended by TERM or HUP; a frame
is one write, without clearing first, so nothing flickers; no line is longer than the screen is wide.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Any, Self

from jobd.seams import clock

# Alternate screen, cursor and line wrap off; and all of it back.
_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[H\x1b[2J"
_LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
# Between these two a terminal that knows them shows nothing new, others ignore them.
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
_KEYS = {
    "\x03": "ctrl-c", "\x1a": "ctrl-z", "\x0c": "ctrl-l", "\x1b": "esc", "\r": "enter", "\n": "enter",
    "\x1b[A": "up", "\x1b[B": "down", "\x1b[5~": "page-up", "\x1b[6~": "page-down",
    "\x1b[H": "home", "\x1b[F": "end", "\x1bOA": "up", "\x1bOB": "down", "\x1bOH": "home",
    "\x1bOF": "end", "\x1b[1~": "home", "\x1b[4~": "end",
}  # fmt: skip
_ENDING = (signal.SIGTERM, signal.SIGHUP)


class Ended(Exception):
    """Somebody has sent TERM or HUP."""


class Screen:
    """The screen of standard output, and the keys of standard input. Both must be terminals."""

    def __init__(self) -> None:
        self._in = sys.stdin.fileno()
        self._out = sys.stdout.fileno()
        self._before: Any = None
        self._handlers: dict[int, Any] = {}
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._ended = False

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self._in)
        for number in (signal.SIGWINCH, signal.SIGCONT, *_ENDING):
            self._handlers[number] = signal.signal(number, self._heard)
        self._take()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._give_back()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        os.close(self._reader)
        os.close(self._writer)

    def size(self) -> tuple[int, int]:
        """Give columns and rows."""
        try:
            found = os.get_terminal_size(self._out)
        except OSError:
            found = shutil.get_terminal_size()
        return max(1, found.columns), max(1, found.lines)

    def draw(self, lines: Sequence[str]) -> None:
        """Show these lines, each already as wide as fits, and nothing else."""
        rows = self.size()[1]
        shown = "\x1b[K\r\n".join(lines[:rows])
        self._write(f"{_BEGIN}\x1b[H{shown}\x1b[K\x1b[J{_END}")

    def key(self, within: float) -> str:
        """Wait for a key. Gives "" when the time is up or the size has changed. Raises Ended."""
        ready, _, _ = select.select([self._in, self._reader], [], [], max(0.0, within))
        if self._reader in ready:
            os.read(self._reader, 4096)
        if self._ended:
            raise Ended
        if self._in not in ready:
            return ""
        raw = os.read(self._in, 64)
        if not raw:
            raise Ended  # the terminal is gone
        text = raw.decode("utf-8", "replace")
        return _KEYS.get(text, text[0] if text[0] != "\x1b" else "")

    def suspend(self) -> None:
        """Stop this process as Ctrl-Z does, and take the terminal again afterwards."""
        self._give_back()
        signal.raise_signal(signal.SIGSTOP)
        self._take()

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        if number in _ENDING:
            self._ended = True
        os.write(self._writer, b"x")

    def _take(self) -> None:
        tty.setraw(self._in)
        self._write(_ENTER)

    def _give_back(self) -> None:
        self._write(_LEAVE)
        with contextlib.suppress(termios.error):  # it is gone
            termios.tcsetattr(self._in, termios.TCSADRAIN, self._before)

    def _write(self, text: str) -> None:
        left = text.encode("utf-8", "replace")
        while left:
            try:
                left = left[os.write(self._out, left) :]
            except BlockingIOError:
                clock.pause(0.01)  # somebody made the terminal non-blocking, and it is slow
            except OSError:
                return  # it is gone: the next key says so


def is_terminal() -> bool:
    """Say whether there is a screen and a keyboard."""
    return sys.stdin.isatty() and sys.stdout.isatty()
