"""jobd itself: `jobd run` with a file of its own, and its Python API as the producer."""

import sys
from pathlib import Path

from benchmarks.processes import Command
from benchmarks.servers import RedisServer
from benchmarks.systems.base import Order, Site

CONFIG = """\
app = "benchmarks.peers.jobd_app:app"
[redis]
url = "{url}"
[daemon]
runtime_dir = "{directory}/run"
[queues.bench]
processes = {processes}
concurrency = 1
{retain}"""

KEEP_NOTHING = "retain = { completed = { count = 0 } }\n"


class JobdSystem:
    """jobd with its default retention (results kept), or with another; `retain` is a line of TOML."""

    def __init__(self, key: str, name: str, *, retain: str = "") -> None:
        self.key = key
        self.name = name
        self.rate = 80_000
        self._retain = retain
        self._command = Path(sys.executable).parent / "jobd"

    def missing(self) -> str | None:
        return None if self._command.exists() else f"{self._command} does not exist"

    def _environment(self, site: Site) -> dict[str, str]:
        return {**site.environment(), "JOBD_REDIS_URL": site.url}

    def workers(self, site: Site, processes: int) -> list[Command]:
        config = site.directory / "jobd.toml"
        config.write_text(
            CONFIG.format(
                url=site.url,
                directory=site.directory,
                processes=processes,
                retain=self._retain,
            ),
            encoding="utf-8",
        )
        return [Command([str(self._command), "run", "-c", str(config)], self._environment(site))]

    def producer(self, site: Site, order: Order) -> Command:
        program = [sys.executable, "-m", "benchmarks.peers.jobd_producer", order.text()]
        return Command(program, self._environment(site))

    def unfinished(self, server: RedisServer) -> dict[str, int]:
        held = server.client.keys("jobd:{bench}:held:*")
        return {
            "waiting": server.ask("ZCARD", "jobd:{bench}:waiting"),
            "delayed": server.ask("ZCARD", "jobd:{bench}:delayed"),
            "active": sum(server.ask("HLEN", key.decode()) for key in held),
            "dead": server.ask("ZCARD", "jobd:{bench}:dead"),
        }
