"""`python -m jobd.seams.tied PARENT_PID PROGRAM ARGUMENT...`: a program that dies with its parent.

It becomes the program, so the pid its parent knows stays right. The tie is to the thread that
started it: start it from the main thread.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from jobd.seams.host import die_with_parent

EX_OSERR = 71


def main(argv: list[str]) -> NoReturn:
    """Tie this process to its parent, then become `argv[2:]`."""
    if not die_with_parent(int(argv[1])):
        sys.exit(EX_OSERR)
    os.execv(argv[2], argv[2:])  # noqa: S606 - no shell on purpose


if __name__ == "__main__":
    main(sys.argv)
