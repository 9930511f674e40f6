"""`python -m jobd.wiring.alerter EFFECTIVE.json FD SCOREBOARD`: builds the alerter process."""

from __future__ import annotations

import select
import signal
import sys

from setproctitle import setproctitle

from jobd.seams import stacks
from jobd.seams.host import Signals
from jobd.seams.lines import Lines
from jobd.seams.service import BEAT_EVERY, Attendance


def main(argv: list[str]) -> int:
    """Build the objects and run them."""
    setproctitle("jobd: alerter")
    stacks.arm()
    signals = Signals([signal.SIGTERM, signal.SIGINT])
    attendance = Attendance(Lines.from_fd(int(argv[2])))
    while not attendance.closed and not signals.take():
        attendance.beat()
        select.select([attendance.fileno(), signals.fileno()], [], [], BEAT_EVERY)
        attendance.hear()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
