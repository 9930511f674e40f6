"""A text stream that gives all that is written to it to somebody, at once. Made by jobd.worker.output.

It is Python's own TextIOWrapper, over a buffer that keeps nothing: what programs do with `sys.stdout`
works here, `buffer`, `reconfigure` and `fileno` too. Closing it closes nothing, so one task cannot take it
from the next.
"""

from __future__ import annotations

import io
from typing import Any, Protocol

from jobd.core.output_events import Stream

_DESCRIPTORS: dict[Stream, int] = {"stdout": 1, "stderr": 2}


class Taker(Protocol):
    """Who gets what is written."""

    def write(self, stream: Stream, data: bytes) -> None: ...
    def flush(self) -> None: ...


class _Raw(io.BufferedIOBase):
    """The `buffer` of such a stream."""

    mode = "wb"

    def __init__(self, taker: Taker, stream: Stream) -> None:
        self._taker = taker
        self._stream = stream
        self.name = f"<{stream}>"

    def write(self, data: Any, /) -> int:
        whole = bytes(data)
        self._taker.write(self._stream, whole)
        return len(whole)

    def flush(self) -> None:
        self._taker.flush()

    def fileno(self) -> int:
        return _DESCRIPTORS[self._stream]

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def close(self) -> None:
        """Stay open: the next job prints too."""


class LineStream(io.TextIOWrapper):
    """A stream that lives as long as its process, whatever a task does with it."""

    mode = "w"

    def __init__(self, taker: Taker, stream: Stream) -> None:
        # What has no UTF-8, such as half a surrogate pair, is written as an escape.
        super().__init__(
            _Raw(taker, stream), encoding="utf-8", errors="backslashreplace", write_through=True
        )

    def reconfigure(self, **options: Any) -> None:
        """Change what may be changed: nothing is kept here, whatever is wished."""
        super().reconfigure(**options | {"write_through": True})

    def detach(self) -> Any:
        """Give the buffer, and go on using it."""
        return self.buffer

    def close(self) -> None:
        """Stay open: the next job prints too."""
