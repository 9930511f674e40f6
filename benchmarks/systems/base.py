"""What a measure needs to know of a system. Implemented by the other files of this package.

Invariant: an adapter starts the system the way its own users do, by its command and its public
API; only `unfinished` looks at the system's keys, to prove that nothing was left behind.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from benchmarks.processes import Command
from benchmarks.servers import RedisServer

Kind = Literal["fill", "single", "bulk", "paced", "mixed"]
Task = Literal["noop", "nap", "timed", "mixed"]


@dataclass(frozen=True, slots=True)
class Order:
    """What a producer is told; see benchmarks/peers/produce.py."""

    kind: Kind
    task: Task
    count: int
    warm: int = 0
    extra: Mapping[str, float] = field(default_factory=dict)
    interval_ms: int = 0

    def text(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class Site:
    """Where one run happens: the store, a directory of its own, the file for marks, the task.

    Attributes:
        root: the top of the checkout, from which benchmarks.peers is imported.
    """

    url: str
    directory: Path
    stamps: Path
    root: Path
    task: Task

    def environment(self) -> dict[str, str]:
        """What every program of benchmarks/peers finds in its environment."""
        return {
            "BENCH_REDIS_URL": self.url,
            "BENCH_STAMPS": str(self.stamps),
            "BENCH_TASK": self.task,
            "PYTHONPATH": str(self.root),
        }


class System(Protocol):
    """One row of the tables.

    Attributes:
        key: the name on the command line; unique.
        name: the name in the tables.
        rate: roughly its no-op jobs/s with one worker; only sizes the backlog.
    """

    key: str
    name: str
    rate: int

    def missing(self) -> str | None:
        """Why it cannot be measured here; None when it can."""

    def workers(self, site: Site, processes: int) -> list[Command]:
        """The commands that serve the queue with that many worker processes."""

    def producer(self, site: Site, order: Order) -> Command:
        """The command that carries out an order."""

    def unfinished(self, server: RedisServer) -> dict[str, int]:
        """How many jobs are in each state but finished well; all 0 after a good run."""
