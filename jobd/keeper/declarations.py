"""What this host says of schedules: its jobd.toml, and what the code of its applications declares."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from jobd.core.schedule import Declared, Schedule
from jobd.seams import declared


class Saying(NamedTuple):
    """A schedule, and when (monotonic seconds) the file or code was loaded that says so."""

    queue: str
    schedule: Schedule
    loaded_at: float


class Declarations:
    """Reads the sayings of one host. For the same name on the same queue the file goes before code."""

    def __init__(
        self, runtime_dir: Path, owner: str, *, in_file: Iterable[Declared], read_at: float
    ) -> None:
        """`in_file` is what jobd.toml says, and `read_at` when (monotonic) the daemon read it."""
        self._runtime_dir = runtime_dir
        self._owner = owner
        self._in_file = [Saying(each.queue, each.schedule, read_at) for each in in_file]

    def stamp(self) -> object:
        """Give what changes when another word is heard."""
        return declared.stamp(self._runtime_dir)

    def read(self) -> list[Saying]:
        """Read all, each name of a queue once."""
        said = [
            Saying(each.queue, each.schedule, app.loaded_at)
            for app in declared.read(self._runtime_dir, self._owner)
            for each in app.schedules
        ]
        by_name = {(s.queue, s.schedule.name): s for s in (*said, *self._in_file)}
        return list(by_name.values())
