"""`python -m jobd.wiring.preloader EFFECTIVE.json FD [APP [forks-only]]`: builds a preloader.

Started by the supervisor. Exit codes: 0 when the supervisor closed the channel, 78 when the
application does not load.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import setproctitle

from jobd.client.app import Jobd
from jobd.core.config import Config
from jobd.seams.lines import Lines
from jobd.seams.log import Log
from jobd.seams.scoreboard import Page
from jobd.wiring.worker import Workshop
from jobd.worker.preload import Order, Preloader, Run

FORKS_ONLY = "forks-only"


def main(argv: list[str]) -> int:
    """Serve fork orders on the descriptor `argv[2]`."""
    path = Path(argv[1])
    config = msgspec.json.decode(path.read_bytes(), type=Config)
    reference = argv[3] if len(argv) > 3 else config.app or ""
    setproctitle.setproctitle(f"jobd: preloader {reference}")
    log = config.daemon.log

    def prepare(app: Jobd) -> Run:
        workshop = Workshop(config, app)

        def run(order: Order, page: Page) -> int:
            setproctitle.setproctitle(f"jobd: worker {order.slot}")
            return workshop.run(order, page)

        return run

    preloader = Preloader(
        channel=Lines.from_fd(int(argv[2])),
        reference=reference,
        preload=FORKS_ONLY not in argv[4:],
        runtime_dir=path.parent,
        prepare=prepare,
        emit=Log(style=log.format, level=log.level, role="preloader"),
    )
    return preloader.serve()


if __name__ == "__main__":
    sys.exit(main(sys.argv))
