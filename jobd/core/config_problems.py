"""Everything that is wrong in a configuration file, found in one reading.

Invariant: reading goes on after a problem, so one run shows them all; each names file, key path,
value, what was expected, and the nearest right name. Used by jobd.core.config alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from jobd.core.errors import OptionError
from jobd.core.suggest import nearest, one_of


class Findings:
    """Reads the values of one file and collects what is wrong with them."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.problems: list[str] = []

    def problem(self, path: str, text: str) -> None:
        """Note one. `text` may begin with the key's own name, as the messages of options do."""
        key = path.rpartition(".")[2]
        rest = text.removeprefix(key)
        if rest == text or rest[:1] not in (":", "."):
            rest = f": {text}"
        self.problems.append(f"{self._file}: {path}{rest}")

    def table(self, value: object, path: str) -> Mapping[str, Any]:
        """Take a table; an absent one is empty, anything else a problem."""
        if isinstance(value, dict):
            return value
        if value is not None:
            self.problem(path, f"{value!r}; expected a table, as in [{path}]")
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
        try:
            return reader(table[name])
        except OptionError as error:
            self.problem(f"{path}.{name}" if path else name, str(error))
            return msgspec.UNSET


def said(**values: Any) -> dict[str, Any]:
    """Keep what the file says; the rest has defaults."""
    return {name: value for name, value in values.items() if value is not msgspec.UNSET}
