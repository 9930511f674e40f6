"""What is left when all is over, read from the folder and from jobd: the account's only input."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.shop.effects import Reader
from examples.shop.files import PARTIAL
from examples.shop.orders import Order, Orders
from examples.shop.producer import ENDINGS, LEDGER
from examples.shop.settings import Settings
from examples.shop.show.runs import Runs
from examples.shop.show.sink import DELIVERIES


@dataclass(frozen=True, slots=True)
class Added:
    """A job the producer added, from its ledger."""

    id: str
    queue: str
    task: str
    args: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ended, by jobd's record of it. `state` is None when there is no record."""

    id: str
    state: str | None
    cause: str | None = None
    error: str | None = None
    failed: int = 0
    timeouts: int = 0
    crashes: int = 0
    lost: int = 0
    interrupted: int = 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that can be held against everything else."""

    here: Settings
    added: list[Added]
    endings: dict[str, Ending]
    runs: Runs
    counts: dict[str, dict[str, int]]
    """Jobs by state, by queue, as `jobd queues list` tells it."""
    orders: list[Order]
    mails: set[str]
    deliveries: Counter[str]
    partial: list[Path]
    """Temporary files of processes that were killed while writing."""


def collect(here: Settings, runs: Runs, counts: list[dict[str, Any]]) -> Evidence:
    """Read it all."""
    mail = here.folder / "mail"
    endings = [Ending(**line) for line in _lines(here.folder / ENDINGS)]
    return Evidence(
        here=here,
        added=[Added(**line) for line in _lines(here.folder / LEDGER)],
        endings={ending.id: ending for ending in endings},
        runs=runs,
        counts={str(row["queue"]): row["jobs"] for row in counts},
        orders=Orders(here.orders).all(),
        mails={path.stem for path in mail.glob("*.eml")},
        deliveries=Counter((mail / DELIVERIES).read_text().split()),
        partial=sorted(here.folder.rglob(f"*{PARTIAL}")),
    )


def read_effects(here: Settings) -> Runs:
    """Read the whole effects file."""
    runs, reader = Runs(), Reader(here.effects)
    runs.add(reader.new())
    reader.close()
    return runs


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
