"""Bare redis-py workers: what any queue on a Redis list can hope for. ``MODE NUMBER``.

The jobs are JSON in one list, all for the task that BENCH_TASK names; each mode is one way to take
them. All but ``lpop100`` and ``blpop`` keep a taken job in a list of the worker until it is done,
as a queue that loses nothing must.
"""

import json
import os
import sys
from collections.abc import Callable
from typing import Any, cast

import redis

from benchmarks.peers.recorder import TASKS

QUEUE = "bench:jobs"
BATCH = 100
WAIT_SECONDS = 1

Client = Any  # redis-py types every reply as "or awaitable"; here every call is a plain one
Handle = Callable[[bytes], None]


def one_by_one(client: Client, mine: str, handle: Handle) -> None:
    """LMOVE, handle, LREM: two round trips a job."""
    while True:
        raw = client.lmove(QUEUE, mine, "LEFT", "RIGHT")
        if raw is None:
            raw = client.blmove(QUEUE, mine, WAIT_SECONDS, "LEFT", "RIGHT")
        if raw is not None:
            handle(raw)
            client.lrem(mine, 1, raw)


def one_trip(client: Client, mine: str, handle: Handle) -> None:
    """LREM of the last job and BLMOVE of the next in one round trip."""
    done: bytes | None = None
    while True:
        pipe = client.pipeline(transaction=False)
        if done is not None:
            pipe.lrem(mine, 1, done)
        pipe.blmove(QUEUE, mine, WAIT_SECONDS, "LEFT", "RIGHT")
        done = pipe.execute()[-1]
        if done is not None:
            handle(done)


def batched(client: Client, mine: str, handle: Handle) -> None:
    """A hundred LREM and a hundred LMOVE in one round trip."""
    done: list[bytes] = []
    while True:
        pipe = client.pipeline(transaction=False)
        for raw in done:
            pipe.lrem(mine, 1, raw)
        for _ in range(BATCH):
            pipe.lmove(QUEUE, mine, "LEFT", "RIGHT")
        taken = [raw for raw in pipe.execute()[len(done) :] if raw is not None]
        if not taken:
            raw = client.blmove(QUEUE, mine, WAIT_SECONDS, "LEFT", "RIGHT")
            taken = [] if raw is None else [raw]
        for raw in taken:
            handle(raw)
        done = taken


def lpop100(client: Client, _: str, handle: Handle) -> None:
    """LPOP COUNT 100: what is taken is gone, so a crash loses up to a hundred jobs."""
    while True:
        taken = client.lpop(QUEUE, BATCH)
        if taken is None:
            popped = client.blpop(QUEUE, WAIT_SECONDS)
            taken = [] if popped is None else [popped[1]]
        for raw in taken:
            handle(raw)


def blpop(client: Client, _: str, handle: Handle) -> None:
    """BLPOP one at a time: the shortest way from one process to another."""
    while True:
        popped = client.blpop(QUEUE, WAIT_SECONDS)
        if popped is not None:
            handle(popped[1])


MODES = {
    "one-by-one": one_by_one,
    "one-trip": one_trip,
    "batched": batched,
    "lpop100": lpop100,
    "blpop": blpop,
}


def main() -> None:
    mode, number = sys.argv[1:]
    task = cast("Callable[..., None]", TASKS[os.environ["BENCH_TASK"]])
    client = redis.Redis.from_url(os.environ["BENCH_REDIS_URL"])
    MODES[mode](client, f"bench:taken:{number}", lambda raw: task(**json.loads(raw)))


if __name__ == "__main__":
    main()
