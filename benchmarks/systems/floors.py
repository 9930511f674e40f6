"""The floors: redis-py and a list, with nothing of a queue around them."""

import json
import sys
from collections.abc import Mapping, Sequence

from benchmarks.processes import Command
from benchmarks.servers import RedisServer
from benchmarks.systems.base import Order, Site

MOST_WORKERS = 8


class Floor:
    """A bare way of taking jobs and a bare way of adding them.

    Args:
        mode: how to take: one of `MODES` in benchmarks/peers/floor_worker.py.
        way: how to add: one of `WAYS` in benchmarks/peers/floor_producer.py.
        shape: for the way ``evalsha``, the lengths of its keys and arguments.
    """

    def __init__(
        self,
        key: str,
        name: str,
        *,
        mode: str = "one-by-one",
        rate: int = 4_000,
        way: str = "variadic",
        shape: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        self.key = key
        self.name = f"floor: {name}"
        self.rate = rate
        self._mode = mode
        self._way = way
        self._shape = shape

    def missing(self) -> str | None:
        return None

    def workers(self, site: Site, processes: int) -> list[Command]:
        program = [sys.executable, "-m", "benchmarks.peers.floor_worker", self._mode]
        return [Command([*program, str(n)], site.environment()) for n in range(processes)]

    def producer(self, site: Site, order: Order) -> Command:
        program = [sys.executable, "-m", "benchmarks.peers.floor_producer", order.text()]
        return Command([*program, self._way, json.dumps(self._shape)], site.environment())

    def unfinished(self, server: RedisServer) -> dict[str, int]:
        taken = sum(server.ask("LLEN", f"bench:taken:{n}") for n in range(MOST_WORKERS))
        return {"waiting": server.ask("LLEN", "bench:jobs"), "taken": taken}


ONE_BY_ONE = Floor("one-by-one", "one by one", mode="one-by-one", rate=4_000)
ONE_TRIP = Floor("one-trip", "one round trip", mode="one-trip", rate=7_000)
BATCHED = Floor("batched", "batched x100", mode="batched", rate=70_000)
LPOP100 = Floor("lpop100", "LPOP COUNT 100", mode="lpop100", rate=250_000)
BLPOP = Floor("blpop", "BLPOP", mode="blpop", rate=7_000)
