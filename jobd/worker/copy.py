"""A child that a task has forked and let return: it must not go on as a second worker.

It would read and write the same connection and the same page as the worker it was copied from.
Called by the executor, in the child, as soon as the task's function has ended there.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import NoReturn


def end_copy(error: BaseException | None) -> NoReturn:
    """End this process as a Python program ends: with what was raised, if anything was."""
    code = 0
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    elif error is not None:
        code = 1
    try:
        if code and not isinstance(error, SystemExit):
            traceback.print_exception(error)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)
