"""Which Python files below a directory have changed, by looking at them now and then.

Looking needs no library and works on every file system; a large tree is looked at less often, so
that it costs a twentieth of one processor at most.
"""

from __future__ import annotations

import os
from pathlib import Path

from jobd.seams import clock

_SKIPPED = ("__pycache__", "node_modules")
_OFTEN = 0.5
_SHARE = 20

Stamps = dict[str, tuple[int, int]]


class Changes:
    """Remembers how the files were at the last look. `every`: seconds until the next one."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self.every = _OFTEN
        self._stamps = self._look()

    def look(self) -> str | None:
        """Name a file that was changed, made or removed since the last look; None when none was."""
        before, self._stamps = self._stamps, self._look()
        return min((name for name, _ in before.items() ^ self._stamps.items()), default=None)

    def _look(self) -> Stamps:
        started = clock.mono()
        stamps: Stamps = {}
        for folder, below, names in os.walk(self._top):
            below[:] = [] if "pyvenv.cfg" in names else [name for name in below if _is_source(name)]
            for name in names:
                if name.endswith(".py"):
                    path = Path(folder, name)
                    _stamp(path, stamps)
        self.every = max(_OFTEN, _SHARE * (clock.mono() - started))
        return stamps


def _is_source(name: str) -> bool:
    return not name.startswith(".") and name not in _SKIPPED


def _stamp(path: Path, stamps: Stamps) -> None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return  # an editor replaces files: the next look sees the new one
    stamps[str(path)] = (found.st_mtime_ns, found.st_size)
