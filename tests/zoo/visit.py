"""Visiting one animal after another in its cage, and writing down what was seen."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.daemons import gone
from support.servers import PATIENCE

from jobd import Jobd, JobHandle, Queue
from zoo.outcomes import TABLE

APP = (Path(__file__).parent / "animals.py").read_text()
ENDED = ("completed", "dead", "cancelled")


@dataclass
class Seen:
    """What became of one animal's job, of its worker, and how the next job found its process."""

    animal: str
    state: str
    cause: str | None
    error: str
    worker: str  # same or new
    late: float | None  # seconds from the hard timeout until the process was gone
    differs: dict[str, Any]


@dataclass
class Neighbour:
    """Jobs of another queue, all the while."""

    queue: Queue
    pids: set[int] = field(default_factory=set)
    slowest: float = 0.0
    count: int = 0
    failed: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self._over.wait(0.02):
            begun = time.monotonic()
            try:
                self.pids.add(self.queue.add("pid").result("60s"))
            except Exception as error:
                self.failed.append(repr(error))
            self.count += 1
            self.slowest = max(self.slowest, time.monotonic() - begun)

    def __enter__(self) -> Neighbour:
        self._thread = threading.Thread(target=self.run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


class Visitor:
    """One who goes from animal to animal in one cage."""

    def __init__(self, url: str, cage: str, diary: Path, hard: float) -> None:
        self._queue = Jobd(url).queue(cage)
        self._diary = diary
        self._hard = hard

    def visit(self, animals: Iterable[str], into: dict[str, Seen]) -> None:
        """See each animal; look at its process before and after."""
        fresh = self._ask("look")
        for animal in animals:
            into[animal] = self._see(animal, fresh)

    def _see(self, animal: str, fresh: dict[str, Any]) -> Seen:
        worker = self._ask("pid")
        handle = self._queue.add(animal)
        expected = next(row for row in TABLE if row.animal == animal)
        late = self._lateness(animal, worker) if expected.worker == "killed" else None
        info = self._ended(handle)
        now = self._ask("look")
        return Seen(
            animal=animal,
            state=info.state,
            cause=info.cause,
            error=info.error or "",
            worker="same" if self._ask("pid") == worker else "new",
            late=late,
            differs={k: (fresh[k], now[k]) for k in fresh if _known(fresh[k]) != _known(now[k])},
        )

    def _ask(self, what: str) -> Any:
        return self._queue.add(what).result("60s")

    def _ended(self, handle: JobHandle[Any]) -> Any:
        until = time.monotonic() + PATIENCE
        while handle.state() not in ENDED:
            if time.monotonic() > until:
                raise AssertionError(f"{handle.id}: still {handle.state()} after {PATIENCE:g} s")
            time.sleep(0.01)
        return handle.info()

    def _lateness(self, animal: str, worker: int) -> float:
        """Wait until the process is gone; say how long after the hard timeout that was."""
        until = time.monotonic() + PATIENCE
        while (began := self._began(animal, worker)) is None or not gone(worker):
            if time.monotonic() > until:
                raise AssertionError(
                    f"{animal}: process {worker} is still there after {PATIENCE:g} s"
                )
            time.sleep(0.005)
        return time.monotonic() - began - self._hard

    def _began(self, animal: str, worker: int) -> float | None:
        for line in lines(self._diary):
            if line[0] == animal and int(line[1]) == worker:
                return float(line[2])
        return None


def _known(value: Any) -> Any:
    """A pipe has another number in each process."""
    return [each.partition(":[")[0] for each in value] if _is_paths(value) else value


def _is_paths(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def lines(diary: Path) -> list[list[str]]:
    """Read what the animals have left, whole lines only."""
    if not diary.exists():
        return []
    return [line.split() for line in diary.read_text().splitlines() if len(line.split()) == 3]


def strays(diary: Path) -> list[int]:
    """Name the processes that jobs have left running."""
    return [int(line[1]) for line in lines(diary) if line[0] == "stray"]
