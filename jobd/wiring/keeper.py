"""The keeper process: `python -m jobd.wiring.keeper <effective.json> <fd> <scoreboard>`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import msgspec
from setproctitle import setproctitle

from jobd.broker.connection import connect
from jobd.broker.schedules import ScheduleStore
from jobd.broker.store import register_queues
from jobd.core.config import Config
from jobd.core.options import Policy, read_run_options, resolve
from jobd.keeper.declarations import Declarations
from jobd.keeper.hosts import Speaker
from jobd.keeper.loop import Keeper
from jobd.keeper.orders import Orderly
from jobd.keeper.renew import renew_timeout
from jobd.keeper.schedules import Scheduler
from jobd.seams import declared, stacks
from jobd.seams.clock import mono
from jobd.seams.host import Signals, running_for
from jobd.seams.lines import Lines
from jobd.seams.log import Log
from jobd.seams.logstream import of_process
from jobd.seams.scoreboard import Scoreboard


def main(argv: list[str]) -> int:
    """Build the keeper's objects and run it."""
    setproctitle("jobd: keeper")
    stacks.arm()
    Signals([signal.SIGTERM, signal.SIGINT])  # it ends when the supervisor says so
    path = Path(argv[1])
    config = msgspec.json.decode(path.read_bytes(), type=Config)
    said = config.daemon.log
    log = Log(style=said.format, level=said.level, role="keeper", fd=of_process())

    def retention(queue: str) -> Policy:
        settings = config.queues.get(queue)
        return resolve(read_run_options(settings.options if settings else {}, what=queue))

    client, namespace = connect(config.redis.url), config.redis.namespace
    # The file was read just before the supervisor began.
    read_at = mono() - running_for(os.getppid())
    scheduler = Scheduler(
        store=lambda queue, floor_of: ScheduleStore(client, namespace, queue, floor_of=floor_of),
        register=lambda queues: register_queues(client, namespace, queues),
        declarations=Declarations(
            path.parent, declared.owner(), in_file=config.schedules, read_at=read_at
        ),
        emit=log,
    )
    keeper = Keeper(
        client=client,
        renewing=connect(config.redis.url, timeout=renew_timeout(config.daemon.lease)),
        namespace=namespace,
        lease=config.daemon.lease,
        keeps_nothing=config.redis.keeps_nothing,
        queues=config.queues,
        elastic=[name for name, said in config.queues.items() if not said.processes.fixed],
        retention=retention,
        channel=Lines.from_fd(int(argv[2])),
        board=Scoreboard.open(Path(argv[3])),
        scheduler=scheduler,
        orderly=Orderly(client, namespace, path.parent, log),
        speaker=Speaker(client, namespace, path.parent),
        emit=log,
    )
    keeper.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
