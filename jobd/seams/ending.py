"""Whether the server that runs this process has been told to end: for what is mounted in somebody's application.

Mounted applications hear of no end, and servers wait for answers that are under way, as streams are, some
of them for ever. uvicorn keeps in an object whether it is to end; its handlers of signals are methods of that.
Of other servers nothing is known here, and they end streams by themselves. Used by jobd.web.mounted.
"""

from __future__ import annotations

import signal


def is_ending() -> bool:
    """Say whether the process is about to end; False where that cannot be known."""
    for number in (signal.SIGTERM, signal.SIGINT):
        server = getattr(signal.getsignal(number), "__self__", None)
        if getattr(server, "should_exit", False) is True:
            return True
    return False
