"""Bare redis-py producers. ``ORDER HOW [SHAPE]``, where HOW is one of `WAYS`.

``evalsha`` runs a trivial script with arguments of the sizes that SHAPE lists (JSON: the lengths of
keys and of arguments), which are those of jobd's own adding: see benchmarks/measures/adding.py.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

import redis

from benchmarks.peers import produce

QUEUE = "bench:jobs"
TRIVIAL = """
redis.call('HSET', KEYS[1], 'data', ARGV[1])
redis.call('ZADD', KEYS[#KEYS], 1, ARGV[#ARGV])
return 'enqueued'
"""

Client = Any  # redis-py types every reply as "or awaitable"; here every call is a plain one
Ways = tuple[produce.AddOne, produce.AddMany | None]


def _encode(jobs: Iterable[produce.Args]) -> list[str]:
    return [json.dumps(job, separators=(",", ":")) for job in jobs]


def pipelined(client: Client) -> Ways:
    """RPUSH; in bulk, a thousand of them in one pipeline."""

    def one(_: str, job: produce.Args) -> None:
        client.rpush(QUEUE, *_encode([job]))

    def many(_: str, jobs: list[produce.Args]) -> None:
        pipe = client.pipeline(transaction=False)
        for payload in _encode(jobs):
            pipe.rpush(QUEUE, payload)
        pipe.execute()

    return one, many


def variadic(client: Client) -> Ways:
    """RPUSH; in bulk, one command with a thousand values."""

    def one(_: str, job: produce.Args) -> None:
        client.rpush(QUEUE, *_encode([job]))

    def many(_: str, jobs: list[produce.Args]) -> None:
        client.rpush(QUEUE, *_encode(jobs))

    return one, many


def evalsha(client: Client) -> Ways:
    """A script of one HSET and one ZADD; ids differ, sizes do not."""
    shape = json.loads(sys.argv[3])
    sha = client.script_load(TRIVIAL)
    numbers = count()
    keys = ["k" * length for length in shape["keys"]]
    args = ["a" * length for length in shape["args"]]

    def one(_: str, __: produce.Args) -> None:
        serial = f"{next(numbers):08d}"
        keys[0] = keys[0][:-8] + serial
        args[-1] = args[-1][:-8] + serial
        client.evalsha(sha, len(keys), *keys, *args)

    return one, None


WAYS: dict[str, Callable[[Client], Ways]] = {
    "pipelined": pipelined,
    "variadic": variadic,
    "evalsha": evalsha,
}


def main() -> None:
    client = redis.Redis.from_url(os.environ["BENCH_REDIS_URL"])
    produce.main(*WAYS[sys.argv[2]](client))


if __name__ == "__main__":
    main()
