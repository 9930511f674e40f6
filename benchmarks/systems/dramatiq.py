"""dramatiq, from an environment of its own, by its own command."""

from pathlib import Path

from benchmarks.processes import Command
from benchmarks.servers import RedisServer
from benchmarks.systems.base import Order, Site


class Dramatiq:
    """dramatiq with a number of threads a process.

    Args:
        python: the interpreter that has it; None when there is none, and ``why`` says why.
        threads: worker threads a process.
        prefetch: messages fetched ahead; None for its default, twice the threads.
    """

    def __init__(
        self,
        key: str,
        name: str,
        python: Path | str,
        *,
        threads: int,
        prefetch: int | None,
        rate: int,
    ) -> None:
        self.key = key
        self.name = name
        self.rate = rate
        self._python = python
        self._threads = threads
        self._prefetch = prefetch

    def missing(self) -> str | None:
        return self._python if isinstance(self._python, str) else None

    def workers(self, site: Site, processes: int) -> list[Command]:
        environment = site.environment()
        if self._prefetch is not None:
            environment["dramatiq_queue_prefetch"] = str(self._prefetch)
        program = [str(self._python), "-m", "dramatiq", "benchmarks.peers.dramatiq_app"]
        sizes = ["--processes", str(processes), "--threads", str(self._threads)]
        return [Command([*program, *sizes], environment)]

    def producer(self, site: Site, order: Order) -> Command:
        program = [str(self._python), "-m", "benchmarks.peers.dramatiq_producer", order.text()]
        return Command(program, site.environment())

    def unfinished(self, server: RedisServer) -> dict[str, int]:
        return {
            "waiting or taken": server.ask("HLEN", "dramatiq:default.msgs"),
            "dead": server.ask("ZCARD", "dramatiq:default.XQ"),
        }
