"""jobd itself: `jobd run` with a file of its own, and its Python API as the producer."""

import sys
from pathlib import Path

from benchmarks.processes import Command
from benchmarks.servers import RedisServer
from benchmarks.systems.base import Order, Site

CONFIG = """\
app = "{app}"
[redis]
url = "{url}"
[daemon]
runtime_dir = "{directory}/run"
[queues.bench]
processes = {processes}
concurrency = {concurrency}
{retain}{more}"""

KEEP_NOTHING = "retain = { completed = { count = 0 } }\n"


class JobdSystem:
    """jobd with its default retention (results kept), or with another; `retain` is a line of TOML.

    `more` are lines of further tables. `app` declares the tasks that are measured, on the queue `bench`. `package` is a directory that
    holds another jobd, to be used instead of this checkout's.
    """

    def __init__(
        self,
        key: str,
        name: str,
        *,
        retain: str = "",
        package: Path | None = None,
        concurrency: int = 1,
        app: str = "benchmarks.peers.jobd_app:app",
        more: str = "",
    ) -> None:
        self.key = key
        self.name = name
        self.rate = 80_000
        self.concurrency = concurrency
        self._app = app
        self._retain = retain
        self._more = more
        self._package = package

    def missing(self) -> str | None:
        return None

    def _environment(self, site: Site) -> dict[str, str]:
        environment = {**site.environment(), "JOBD_REDIS_URL": site.url}
        if self._package is not None:
            environment["PYTHONPATH"] = f"{self._package}:{environment['PYTHONPATH']}"
        return environment

    def workers(self, site: Site, processes: int) -> list[Command]:
        config = site.directory / "jobd.toml"
        config.write_text(
            CONFIG.format(
                url=site.url,
                directory=site.directory,
                processes=processes,
                concurrency=self.concurrency,
                app=self._app,
                retain=self._retain,
                more=self._more,
            ),
            encoding="utf-8",
        )
        program = [sys.executable, "-m", "jobd", "run", "-c", str(config)]
        return [Command(program, self._environment(site))]

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
