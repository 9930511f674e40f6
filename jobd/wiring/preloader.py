"""`python -m jobd.wiring.preloader EFFECTIVE.json FD [APP [forks-only]]`: builds a preloader.

Started by the supervisor. Exit codes: 0 when the supervisor closed the channel, 78 when the
application does not load.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import setproctitle

from jobd.client.app import Jobd
from jobd.core.config import Config
from jobd.core.schedule import Declared
from jobd.core.schedule_events import SchedulesUnwritten
from jobd.seams import declared, logstream, stacks, stdio
from jobd.seams.clock import mono
from jobd.seams.lines import Lines
from jobd.seams.log import Emit, Log
from jobd.seams.scoreboard_page import Page
from jobd.wiring.worker import Workshop
from jobd.worker.output import Output
from jobd.worker.preload import Order, Preloader, Run

FORKS_ONLY = "forks-only"


def main(argv: list[str]) -> int:
    """Serve fork orders on the descriptor `argv[2]`."""
    stacks.arm()
    path = Path(argv[1])
    config = msgspec.json.decode(path.read_bytes(), type=Config)
    reference = argv[3] if len(argv) > 3 else config.app or ""
    setproctitle.setproctitle(f"jobd: preloader {reference}")
    log = config.daemon.log

    log_fd = logstream.of_process()
    emit = Log(style=log.format, level=log.level, role="preloader", fd=log_fd)
    # Before the application is imported: what it keeps of sys.stderr is what its tasks will print to.
    output = Output(reference, emit)
    output.install()
    stdio.by_line()

    def prepare(app: Jobd) -> Run:
        workshop = Workshop(config, app, output=output, log_fd=log_fd)
        _declare(path.parent, reference, app, emit)

        def run(order: Order, page: Page, is_ours: Callable[[], bool]) -> int:
            setproctitle.setproctitle(f"jobd: worker {order.slot}")
            return workshop.run(order, page, is_ours)

        return run

    preloader = Preloader(
        channel=Lines.from_fd(int(argv[2]), takes_fds=True),
        reference=reference,
        preload=FORKS_ONLY not in argv[4:],
        runtime_dir=path.parent,
        prepare=prepare,
        emit=emit,
    )
    return preloader.serve()


def _declare(runtime_dir: Path, reference: str, app: Jobd, emit: Emit) -> None:
    """Leave for the keeper what the code says of schedules."""
    schedules = [
        Declared(name, schedule)
        for name, queue in app.queues.items()
        for schedule in queue.declared.values()
    ]
    said = declared.Declarations(owner=declared.owner(), loaded_at=mono(), schedules=schedules)
    try:
        declared.write(runtime_dir, reference, said)
    except OSError as error:
        emit(SchedulesUnwritten(app=reference, why=str(error)))


if __name__ == "__main__":
    sys.exit(main(sys.argv))
