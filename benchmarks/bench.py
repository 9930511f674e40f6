"""What a measure is handed: the plan, the server, the systems, and a way to run things.

Invariant: each run has a directory and a stamp file of its own, removed when it went well.
"""

import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from benchmarks.plan import Plan
from benchmarks.processes import Group, run_to_end
from benchmarks.servers import RedisServer
from benchmarks.stamps import Stamps
from benchmarks.systems.base import Order, Site, System, Task
from benchmarks.systems.catalogue import Catalogue

PRODUCE_SECONDS = 300.0
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Bench:
    """One invocation of the suite.

    Attributes:
        scratch: directory of this invocation; a run that failed leaves its own in there.
        say: prints one line of progress.
        only: keys of the systems to run; None for all.
        before: jobd at another commit, where one was named.
    """

    plan: Plan
    scratch: Path
    server: RedisServer
    systems: Catalogue
    say: Callable[[str], None]
    only: frozenset[str] | None = None
    before: System | None = None
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _repeats: Iterator[int] = field(default_factory=itertools.count)

    def wants(self, system: System) -> bool:
        return self.only is None or system.key in self.only

    def may_repeat(self, done: int) -> bool:
        """Whether a run that was taken so many times, in a crowd each time, may be taken again."""
        return done <= self.plan.retries and next(self._repeats) < self.plan.patience

    @contextmanager
    def site(self, server: RedisServer, task: Task = "noop") -> Iterator[Site]:
        """An empty store and a new directory for one run; the directory stays if the run fails."""
        server.wipe()
        directory = self.scratch / f"{next(self._numbers):03d}"
        directory.mkdir()
        yield Site(server.url, directory, directory / "stamps", ROOT, task)
        shutil.rmtree(directory, ignore_errors=True)

    def produce(self, system: System, site: Site, order: Order) -> dict[str, Any]:
        """Carry out an order and return the producer's account.

        Raises:
            RunFailed: the producer failed.
        """
        printed = run_to_end(system.producer(site, order), site.directory, PRODUCE_SECONDS)
        return cast("dict[str, Any]", json.loads(printed.splitlines()[-1]))

    def workers(self, system: System, site: Site, processes: int) -> Group:
        """The worker processes of a run, to be used in a with block."""
        commands = system.workers(site, processes)
        return Group(commands, site.directory / "workers.log", site.directory)

    def stamps(self, site: Site) -> Stamps:
        return Stamps(site.stamps)
