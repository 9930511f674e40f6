"""The sleeping task of the suite as an async function. Loaded by `jobd run`."""

import asyncio
import time

from benchmarks.peers.recorder import FIRST, LAST, stamp
from jobd import Jobd

app = Jobd()
bench = app.queue("bench")


@bench.task("nap")
async def nap(user_id: int, email: str, seconds: float) -> None:  # noqa: ARG001  part of the payload
    """Sleeps; a negative user_id is a mark."""
    begun = time.monotonic()
    await asyncio.sleep(seconds)
    if user_id == FIRST:
        stamp(user_id, begun, 0.0)
    elif user_id == LAST:
        stamp(user_id, time.monotonic(), 0.0)
