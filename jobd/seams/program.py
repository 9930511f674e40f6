"""How a program of our own is started: the one place that spells it."""

from __future__ import annotations

import sys


def python_module(name: str) -> list[str]:
    """Give the command that runs a module of ours.

    With -P: the directory it is started in, which is the application's, is no place for our imports. A
    file `queue.py` or `email.py` there would be taken for Python's own. Whoever loads the application
    adds the directory by himself (jobd.worker.app).
    """
    return [sys.executable, "-P", "-m", name]
