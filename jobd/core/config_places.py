"""Where in a configuration file a key is: the line, found when there is something to say about it.

The TOML library is the oracle, and nothing here knows the language: a key stands on the line after the
longest beginning of the file that can be read and does not have it. Invariant: what is asked about a
file that could be read has a line, at worst that of the table it should be in, or the first; and when
finding lines has cost what it may, no line, and never a wrong one.
"""

from __future__ import annotations

import bisect
import re
import tomllib
from collections.abc import Mapping
from itertools import chain
from typing import Any

Keys = tuple[str | int, ...]

# Characters that are read again in search of lines, in all. A file of hundreds of lines needs a tenth.
_MOST_READ = 4_000_000
_POSITION = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$")
_KEY = r"""(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')"""
_CLOSINGS = ("\n]", "\n]]")


class _UsedUp(Exception):
    """No more is read in search of lines: see _MOST_READ."""


class Places:
    """The places of one file. Without its text only the file is named."""

    def __init__(
        self,
        file: str,
        text: str = "",
        data: Mapping[str, Any] | None = None,
        *,
        most_read: int = _MOST_READ,
    ) -> None:
        """`most_read`: how many characters may be read again in search of lines, in all."""
        self.file = file
        self._data = data
        self._lines = text.rstrip("\n").split("\n")
        self._left = most_read
        self._read: dict[int, Mapping[str, Any] | None] = {0: {}}
        self._found: dict[Keys, int | None] = {}
        if data is not None:
            self._read[len(self._lines)] = data

    def at(self, path: str, *, near: str = "") -> str:
        """Name a place, as in 'jobd.toml:12: queues.email.timeout'. `near`: whose line it is."""
        line = self.line(near or path)
        return f"{self.file}: {path}" if line is None else f"{self.file}:{line}: {path}"

    def line(self, path: str) -> int | None:
        """Find the line of a key path; of the nearest table around it when there is no such key.

        None without a text, and when looking for lines has cost too much.
        """
        if self._data is None:
            return None
        keys = known_part(self._data, path)
        if not keys:
            return 1
        if keys not in self._found:
            try:
                self._found[keys] = self._search(keys)
            except _UsedUp:
                self._found[keys] = None
        return self._found[keys]

    def has(self, path: str) -> bool:
        """Say whether the file itself has this key, and not only a table around it."""
        return self._data is not None and _has(self._data, path)

    def _search(self, keys: Keys) -> int:
        """Halve the lines: the beginning `low` does not have the key, the beginning `high` has it."""
        low, high = 0, len(self._lines)
        while high - low > 1:
            middle = self._readable(low, (low + high) // 2, high)
            if middle is None:
                break  # one statement over many lines
            if _holds(self._read[middle], keys):
                high = middle
            else:
                low = middle
        return self._inside(low, high, keys)

    def _readable(self, low: int, middle: int, high: int) -> int | None:
        """Find a beginning that can be read, between the two and near the middle."""
        for end in chain(range(middle, low, -1), range(middle + 1, high)):
            if self._beginning(end) is not None:
                return end
        return None

    def _beginning(self, end: int) -> Mapping[str, Any] | None:
        if end not in self._read:
            self._read[end] = self._parsed(self._text(end))
        return self._read[end]

    def _inside(self, low: int, high: int, keys: Keys) -> int:
        """Find the line within a statement of many: an array is cut short there and closed."""
        for end in range(low + 1, high):
            text = self._text(end)
            if any(_holds(self._parsed(text + closing), keys) for closing in _CLOSINGS):
                return end
        return low + 1

    def _text(self, end: int) -> str:
        """Give the first lines. Raises _UsedUp before the work begins: joining them is a part of it."""
        if self._left < 0:
            raise _UsedUp
        return "\n".join(self._lines[:end])

    def _parsed(self, text: str) -> Mapping[str, Any] | None:
        self._left -= len(text)
        if self._left < 0:
            raise _UsedUp
        try:
            return tomllib.loads(text)
        except (ValueError, RecursionError):
            return None


def explained(text: str, error: Exception) -> tuple[int, str]:
    """Say on which line a text stops being TOML, and why."""
    if isinstance(error, RecursionError):
        return _first(text, RecursionError), "nested too deeply"
    if (position := _POSITION.search(said := str(error))) is None:
        # The decoder has no place for what Python itself refuses.
        return _first(text, ValueError), said.partition(";")[0]
    why = said[: position.start()]
    line = text.count("\n") + 1 if position[1] is None else int(position[1])
    return line, why + ("" if position[1] else ", at the end of the file")


def _first(text: str, kind: type[Exception]) -> int:
    """Find the first line with which a text is refused for this reason: then it stays so."""
    lines = text.split("\n")

    def refused(count: int) -> bool:
        try:
            tomllib.loads("\n".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            return False
        except kind:
            return True
        return False

    return bisect.bisect_left(range(len(lines)), True, lo=1, key=refused)


def too_dotted(text: str, most: int) -> tuple[int, str] | None:
    """Give line and text of a key with more than `most` dots, before the decoder sees it.

    That takes the square of the dots: 24 KiB of them are ten seconds.
    """
    dotted = rf"(?:^|[\[{{,])[ \t]*+((?:{_KEY}[ \t]*+\.[ \t]*+){{{most + 1},}})"
    found = re.search(dotted, text, re.MULTILINE)
    return None if found is None else (text.count("\n", 0, found.start(1)) + 1, found[1])


def too_deep(data: Mapping[str, Any], most: int) -> str | None:
    """Give the path of something nested more than `most` levels deep."""
    level: list[tuple[str, Any]] = [("", data)]
    for _ in range(most):
        level = [
            (below, item)
            for path, each in level
            for below, item in _inner(path, each)
            if isinstance(item, dict | list)
        ]
    return level[0][0] if level else None


def _inner(path: str, data: Any) -> list[tuple[str, Any]]:
    if isinstance(data, dict):
        return [(f"{path}.{key}" if path else key, item) for key, item in data.items()]
    return [(f"{path}[{place}]", item) for place, item in enumerate(data)]


def known_part(data: object, path: str) -> Keys:
    """Give the keys of a path as far as the data has them. A key may hold dots itself."""
    return _longest(data, path)[0]


def _has(data: object, path: str) -> bool:
    return _longest(data, path)[1] == len(path)


def _longest(data: object, path: str) -> tuple[Keys, int]:
    """Give the keys, and how many characters of the path they are."""
    best: tuple[Keys, int] = ((), 0)
    for key, width in _first_keys(data, path):
        value = data[key]  # type: ignore[index]
        dot = path[width : width + 1] == "."
        keys, more = _longest(value, path[width + dot :])
        found = ((key, *keys), width + (dot + more if keys else 0))
        best = max(best, found, key=lambda each: each[1])
    return best


def _first_keys(data: object, path: str) -> list[tuple[Any, int]]:
    """Give what the path may begin with, and how many characters that is."""
    if isinstance(data, dict):
        return [
            (key, len(key))
            for key in data
            if path.startswith(key) and path[len(key) : len(key) + 1] in ("", ".", "[", ":")
        ]
    number, closing, _ = path[1:].partition("]") if path[:1] == "[" else ("", "", "")
    if isinstance(data, list) and closing and number in map(str, range(len(data))):
        return [(int(number), len(number) + 2)]
    return []


def _holds(data: object, keys: Keys) -> bool:
    for key in keys:
        if isinstance(data, list):
            if not isinstance(key, int) or key >= len(data):
                return False
        elif not isinstance(data, dict) or key not in data:
            return False
        data = data[key]  # type: ignore[index]
    return data is not None
