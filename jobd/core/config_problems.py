"""Everything that is wrong in a configuration file, found in one reading.

Invariant: reading goes on after a problem, so one run shows them all; each names file, line, key path,
value, what was expected, and the nearest right name. No message holds a secret, or a character that a
terminal obeys. Used by jobd.core.config and what reads its parts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from jobd.core.config_drawn import NOWHERE, Outside, drawn, plain, unquoted, unusable
from jobd.core.config_places import Places
from jobd.core.errors import Absent, OptionError
from jobd.core.suggest import nearest, one_of

# What goes before the place of a server: a password may be in it, whatever the key.
_CREDENTIALS = re.compile(r"(\w://)[^\s'\"]*@|(password=)[^\s&'\"]+", re.IGNORECASE)
# More problems are counted, and not told: nobody reads them, and each takes time to place.
_MOST_TOLD = 200
_LONGEST = 700
_KEPT = 330


class Findings:
    """Reads the values of one file and collects what is wrong with them."""

    def __init__(self, file: str, places: Places | None = None, outside: Outside = NOWHERE) -> None:
        self._places = places or Places(file)
        self._outside = outside
        self._lines: list[float] = []
        self.problems: list[str] = []
        # Where what is not here was wanted, that may be where the daemon runs.
        self.absent: list[str] = []
        # Keys that name a file, and where it was found.
        self.files: dict[str, str] = {}

    def problem(self, path: str, text: str, *, near: str = "") -> None:
        """Note one. `text` may begin with the key's own name, as the messages of options do.

        `near`: the path whose line it is, when that is not the one that is named.
        """
        key = path.rpartition(".")[2]
        rest = text.removeprefix(key)
        if rest == text or rest[:1] not in (":", "."):
            rest = f": {text}"
        where = near or path + rest
        if len(self.problems) >= _MOST_TOLD:
            self.problems.append(_shown(path + rest))
            return
        line = self._places.line(where)
        self._lines.append(math.inf if line is None else line)
        self.problems.append(_shown(self._places.at(path + rest, near=where)))

    def told(self) -> list[str]:
        """Give the problems in the order of the file's lines; of very many the first, and a count."""
        order = sorted(range(len(self._lines)), key=self._lines.__getitem__)
        told = [self.problems[place] for place in order]
        if more := len(self.problems) - len(told):
            file = self._places.file
            told.append(f"{file}: {more} more problems; correct these first, and check again")
        return told

    def table(self, value: object, path: str) -> Mapping[str, Any]:
        """Take a table; an absent one is empty, anything else a problem."""
        if isinstance(value, dict):
            return value
        if value is not None and not self._unusable(value, path):
            # A text may be a secret, or a URL that holds one.
            shown = "a text" if isinstance(value, str) else repr(value)
            self.problem(path, f"{shown}; expected a table, as in [{path}]")
        return {}

    def known(
        self,
        table: Mapping[str, Any],
        path: str,
        known: tuple[str, ...],
        refused: Mapping[str, str] = {},
    ) -> None:
        """Note every key that is not one of `known`. `refused`: keys with an answer of their own."""
        for name in table:
            if name in known:
                continue
            where = f"{path}.{name}" if path else name
            if name in refused:
                self.problem(where, refused[name])
            else:
                expected = one_of(known)
                self.problem(where, f"unknown key; expected {expected}{nearest(name, known)}")

    def read(
        self, table: Mapping[str, Any], path: str, name: str, reader: Callable[[object], Any]
    ) -> Any:
        """Read one value; UNSET when it is absent or wrong."""
        if name not in table:
            return msgspec.UNSET
        where = f"{path}.{name}" if path else name
        if self._unusable(table[name], where):
            return msgspec.UNSET
        try:
            return plain(reader(table[name]))
        except OptionError as error:
            if isinstance(error, Absent):
                self.absent.append(where)
            self.problem(where, unquoted(str(error), table[name]))
            return msgspec.UNSET

    def secret(
        self, table: Mapping[str, Any], path: str, name: str, reader: Callable[[object], Any]
    ) -> Any:
        """Read a value that may stand in a file of its own, which `<name>_file` names then."""
        by_file = f"{name}_file"
        if by_file not in table:
            return self.read(table, path, name, reader)
        where = f"{path}.{by_file}" if path else by_file
        if name in table:
            self.problem(where, f"both {name} and {by_file}; expected one of the two; drop one")
            return msgspec.UNSET
        return self.read(table, path, by_file, lambda value: reader(self._held(value, where)))

    def _held(self, value: object, where: str) -> object:
        """Read the file that a value names."""
        if not isinstance(value, str) or not value or not value.isprintable():
            raise OptionError(f"{value!r}; expected the name of a file")
        found = self._outside.secret(str(value))
        self.files[where] = found.place
        return drawn(found.text, f"what is in {found.place}")

    def _unusable(self, value: object, path: str) -> bool:
        """Note what stands in for a value that cannot be had; say whether there is any."""
        found = list(unusable(value))
        for below, each in found:
            if each.absent:
                self.absent.append(path + below)
            self.problem(path + below, each.why)
        return bool(found)


def said(**values: Any) -> dict[str, Any]:
    """Keep what the file says; the rest has defaults."""
    return {name: value for name, value in values.items() if value is not msgspec.UNSET}


def without_passwords(text: str) -> str:
    """Give a text with what stands before the server in its URLs, and passwords in options, masked."""
    return _CREDENTIALS.sub(lambda found: f"{found[1]}***@" if found[1] else f"{found[2]}***", text)


def _shown(text: str) -> str:
    """Make a message fit to be shown: no credentials, no control characters, no endless values."""
    text = without_passwords(text)
    if len(text) > _LONGEST:
        text = f"{text[:_KEPT]} ... {text[-_KEPT:]}"
    return printable(text)


def printable(text: str) -> str:
    """Write what a terminal obeys as it is written in Python."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
