"""BullMQ on Node, from a node_modules of its own."""

from pathlib import Path

from benchmarks.processes import Command
from benchmarks.servers import RedisServer
from benchmarks.systems.base import Order, Site


class BullMQ:
    """BullMQ workers of a concurrency, jobs removed on completion.

    Args:
        modules: the node_modules that has it, or a sentence saying why there is none.
        concurrency: jobs in flight in one Node process.
    """

    def __init__(self, key: str, name: str, modules: Path | str, *, concurrency: int) -> None:
        self.key = key
        self.name = name
        self.rate = 25_000 if concurrency > 1 else 4_000
        self._modules = modules
        self._concurrency = concurrency

    def missing(self) -> str | None:
        return self._modules if isinstance(self._modules, str) else None

    def _program(self, site: Site, script: str, argument: str) -> Command:
        path = site.root / "benchmarks" / "peers" / script
        environment = {**site.environment(), "NODE_PATH": str(self._modules)}
        return Command(["node", str(path), argument], environment)

    def workers(self, site: Site, processes: int) -> list[Command]:
        return [self._program(site, "bullmq_worker.js", str(self._concurrency))] * processes

    def producer(self, site: Site, order: Order) -> Command:
        return self._program(site, "bullmq_producer.js", order.text())

    def unfinished(self, server: RedisServer) -> dict[str, int]:
        return {
            "waiting": server.ask("LLEN", "bull:bench:wait"),
            "active": server.ask("LLEN", "bull:bench:active"),
            "delayed": server.ask("ZCARD", "bull:bench:delayed"),
            "failed": server.ask("ZCARD", "bull:bench:failed"),
        }
