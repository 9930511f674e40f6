"""`python -m jobd.wiring.web EFFECTIVE.json FD SCOREBOARD SOCKET...`: builds the web process."""

from __future__ import annotations

import sys

from setproctitle import setproctitle

from jobd.seams import stacks
from jobd.seams.lines import Lines
from jobd.seams.service import Attendance
from jobd.web.app import make_app
from jobd.web.server import Server


def main(argv: list[str]) -> int:
    """Build the objects and serve."""
    setproctitle("jobd: web")
    stacks.arm()
    attendance = Attendance(Lines.from_fd(int(argv[2])))
    Server(make_app(attendance), attendance, map(int, argv[4:])).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
