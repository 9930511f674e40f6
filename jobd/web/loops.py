"""Threads for an application that may be served by several event loops, as tests do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar
from weakref import WeakKeyDictionary

from jobd.web.threads import Threads

T = TypeVar("T")


class LoopThreads(Threads):
    """So many at once, and so many in line, for each loop that asks. Goes with its loop."""

    def __init__(self, *, name: str = "blocking") -> None:
        super().__init__(name=name)
        self._lock = threading.Lock()
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Threads] = WeakKeyDictionary()

    async def run(self, work: Callable[[], T]) -> T:
        """Give what the work gives. Raises what it raises, Crowded, TooLate."""
        loop = asyncio.get_running_loop()
        with self._lock:
            threads = self._loops.get(loop)
            if threads is None:
                threads = self._loops[loop] = Threads(name=self._name)
        return await threads.run(work)
