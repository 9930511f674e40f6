"""`python -m jobd.wiring.web EFFECTIVE.json FD SCOREBOARD SOCKET...`: builds the web process."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
from setproctitle import setproctitle
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from jobd.broker import alerts
from jobd.broker.browse import Browser
from jobd.broker.connection import connect
from jobd.core.config import Config
from jobd.core.masking import Masking
from jobd.seams import alertfile, stacks
from jobd.seams.host import Signals
from jobd.seams.lines import Lines
from jobd.seams.log import Emit, Log, for_threads
from jobd.seams.logstream import of_process
from jobd.seams.place import key_of
from jobd.seams.scoreboard import Scoreboard
from jobd.seams.service import Attendance
from jobd.web.api.house import House
from jobd.web.api.operations import Operations
from jobd.web.api.routes import api_routes
from jobd.web.app import make_app
from jobd.web.auth.make import make_auth
from jobd.web.health import Knowledge
from jobd.web.metrics import Metrics
from jobd.web.pages.routes import Pages
from jobd.web.server import Server
from jobd.web.sparing import Sparing
from jobd.web.threads import Threads
from jobd.web.watch_host import HostWatch
from jobd.web.watch_redis import PATIENCE, RedisWatch


def main(argv: list[str]) -> int:
    """Build the objects and serve."""
    setproctitle("jobd: web")
    stacks.arm()
    signals = Signals([signal.SIGTERM, signal.SIGINT])
    config = msgspec.json.decode(Path(argv[1]).read_bytes(), type=Config)
    said = config.daemon.log
    log = for_threads(Log(style=said.format, level=said.level, role="web", fd=of_process()))
    emit = Sparing(log)
    attendance = Attendance(Lines.from_fd(int(argv[2])))
    redis = RedisWatch(
        connect(config.redis.url, timeout=PATIENCE),
        namespace=config.redis.namespace,
        keeps_nothing=config.redis.keeps_nothing,
    )
    board = Scoreboard.open(Path(argv[3]))
    lease, runtime_dir = config.daemon.lease, board.path.parent
    knowledge = Knowledge(attendance, redis, HostWatch(board), lease=lease, emit=emit)
    managing = _managing(config, runtime_dir, emit)
    app = make_app(
        knowledge, emit=emit, metrics=_metrics(config, runtime_dir).answer, more=managing.routes,
        nowhere=managing.nowhere,
    )  # fmt: skip
    Server(
        app, knowledge, attendance, map(int, argv[4:]),
        signals=signals, emit=emit, ends=managing.close,
    ).run()  # fmt: skip
    return 0


class _Managing(NamedTuple):
    """What people and programs look and act by; `nowhere` answers browsers that ask for something else,
    `close` ends the streams."""

    routes: list[BaseRoute]
    nowhere: ASGIApp | None
    close: Callable[[], None]


def _metrics(config: Config, runtime_dir: Path) -> Metrics:
    # A client of its own: looks go on while a scrape waits.
    client, namespace = connect(config.redis.url, timeout=PATIENCE), config.redis.namespace
    return Metrics(
        client,
        namespace,
        runtime_dir,
        firing=lambda: alerts.firing(client, namespace),
        firing_here=lambda: alertfile.firing(runtime_dir),
    )


def _managing(config: Config, runtime_dir: Path, emit: Emit) -> _Managing:
    """Make it; nothing where no [web.dashboard] says who may."""
    client, namespace = connect(config.redis.url, timeout=PATIENCE), config.redis.namespace
    threads = Threads(name="web")
    made = make_auth(config.web, client, namespace, emit=emit, threads=threads)
    if made is None or config.web.dashboard is None:
        return _Managing([], None, lambda: None)
    house = House(
        client,
        namespace,
        Browser(client, namespace),
        runtime_dir,
        config.alerts.rules,
        Operations(client, namespace, host=key_of(runtime_dir), emit=emit),
        Masking(config.web.dashboard.mask),
        [sink.name for sink in config.alerts.sinks],
    )
    pages = Pages(house, made.auth, threads=threads, emit=emit)
    routes = [
        *made.login.routes(),
        *api_routes(house, made.auth, threads=threads, emit=emit),
        *pages.routes(),
    ]
    return _Managing(routes, pages.nowhere(), pages.hub.close)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
