"""The keeper process: `python -m jobd.wiring.keeper <effective.json> <fd> <scoreboard>`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import msgspec
from setproctitle import setproctitle

from jobd.broker.connection import connect
from jobd.core.config import Config
from jobd.core.options import Policy, read_run_options, resolve
from jobd.keeper.loop import Keeper
from jobd.keeper.renew import renew_timeout
from jobd.seams.host import Signals
from jobd.seams.lines import Lines
from jobd.seams.log import Log
from jobd.seams.scoreboard import Scoreboard


def main(argv: list[str]) -> int:
    """Build the keeper's objects and run it."""
    setproctitle("jobd: keeper")
    Signals([signal.SIGTERM, signal.SIGINT])  # it ends when the supervisor says so
    config = msgspec.json.decode(Path(argv[1]).read_bytes(), type=Config)
    log = Log(style=config.daemon.log.format, level=config.daemon.log.level, role="keeper")

    def retention(queue: str) -> Policy:
        settings = config.queues.get(queue)
        return resolve(read_run_options(settings.options if settings else {}, what=queue))

    keeper = Keeper(
        client=connect(config.redis.url),
        renewing=connect(config.redis.url, timeout=renew_timeout(config.daemon.lease)),
        namespace=config.redis.namespace,
        lease=config.daemon.lease,
        keeps_nothing=config.redis.keeps_nothing,
        queues=config.queues,
        retention=retention,
        channel=Lines.from_fd(int(argv[2])),
        board=Scoreboard.open(Path(argv[3])),
        emit=log,
    )
    keeper.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
