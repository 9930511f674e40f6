"""The command `jobd`, and `python -m jobd`: signals first, then everything else.

Invariant: `jobd run` loses no signal and none ends it with a traceback, from its first statement on: it
becomes the supervisor, which hears what has come by then. So what takes its time to import is imported
when they are held.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from importlib import import_module

from jobd.seams.early import held_signals


def main() -> int:
    """Run the command line; give the exit code."""
    with held_signals() if sys.argv[1:2] == ["run"] else nullcontext():
        code: int = import_module("jobd.cli.main").main()
    return code


if __name__ == "__main__":
    sys.exit(main())
