"""What is left when all is over, read from the folder: the account's only input."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from examples.shop.files import PARTIAL, lines_of
from examples.shop.orders import Order, Orders
from examples.shop.settings import Settings
from examples.shop.show.accident import Accident
from examples.shop.show.runs import Runs
from examples.shop.show.sink import DELIVERIES
from examples.shop.till import ENDINGS, LEDGER

SEEN = "seen.json"


@dataclass(frozen=True, slots=True)
class Added:
    """A job the producer added, from its ledger. `since` is monotonic seconds, before it was added."""

    id: str
    queue: str
    task: str
    args: dict[str, Any]
    options: dict[str, Any]
    since: float

    def __str__(self) -> str:
        return f"{self.task} {self.id}"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ended, by jobd's record of it. `state` is None when there is no record."""

    id: str
    state: str | None
    task: str | None = None
    args: dict[str, Any] = field(default_factory=dict)
    cause: str | None = None
    error: str | None = None
    failed: int = 0
    timeouts: int = 0
    crashes: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that can be held against everything else."""

    here: Settings
    added: list[Added]
    endings: dict[str, Ending]
    runs: Runs
    counts: dict[str, dict[str, int]]
    """Jobs by state, by queue, as `jobd queues list` tells it."""
    accident: Accident | None
    orders: list[Order]
    mails: set[str]
    deliveries: Counter[str]
    partial: list[Path]
    """Temporary files of processes that were killed while writing."""


def note(here: Settings, counts: dict[str, dict[str, int]], accident: Accident | None) -> None:
    """Leave in the folder what only the conductor has seen."""
    seen = {"counts": counts, "accident": asdict(accident) if accident else None}
    (here.folder / SEEN).write_text(json.dumps(seen))


def collect(here: Settings) -> Evidence:
    """Read it all."""
    runs, mail = Runs(), here.folder / "mail"
    runs.add(lines_of(here.effects))
    seen = json.loads((here.folder / SEEN).read_text())
    endings = [Ending(**line) for line in lines_of(here.folder / ENDINGS)]
    return Evidence(
        here=here,
        added=[Added(**line) for line in lines_of(here.folder / LEDGER)],
        endings={ending.id: ending for ending in endings},
        runs=runs,
        counts=seen["counts"],
        accident=Accident(**seen["accident"]) if seen["accident"] else None,
        orders=Orders(here.orders).all(),
        mails={path.stem for path in mail.glob("*.eml")},
        deliveries=Counter((mail / DELIVERIES).read_text().split()),
        partial=sorted(here.folder.rglob(f"*{PARTIAL}")),
    )
