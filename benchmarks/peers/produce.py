"""What every Python producer does: reads an order, adds jobs, prints what it took.

The order is one JSON object as the only argument (benchmarks/systems/base.py, `Order`). The five
kinds: ``fill`` a backlog with its marks; ``single`` and ``bulk``, timed; ``paced``, a job each
interval; ``mixed``, a burst of short jobs each interval and some long ones. bullmq_producer.js is the
same in JavaScript: change both.
"""

import gc
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.peers.recorder import EMAIL, FIRST, LAST, LONG

Args = dict[str, Any]
AddOne = Callable[[str, Args], None]
AddMany = Callable[[str, list[Args]], None]

CHUNK = 1000
BURSTS_BETWEEN_LONG = 5


def main(add_one: AddOne, add_many: AddMany | None = None) -> None:
    """Carry out the order in argv with the two ways a system can add; prints the account."""
    order = json.loads(sys.argv[1])
    kinds: dict[str, Callable[[Args, AddOne, AddMany | None], Args]] = {
        "fill": _fill,
        "single": _single,
        "bulk": _bulk,
        "paced": _paced,
        "mixed": _mixed,
    }
    print(json.dumps(kinds[order["kind"]](order, add_one, add_many)))


def _jobs(order: Args) -> Iterator[Args]:
    """The arguments of all jobs, warm ones first, the first and the last timed one marked."""
    warm, count, extra = order["warm"], order["count"], order["extra"]
    for number in range(warm + count):
        user_id = FIRST if number == warm else number
        if number == warm + count - 1:
            user_id = LAST
        yield {"user_id": user_id, "email": EMAIL, **extra}


def _chunks(jobs: list[Args]) -> list[list[Args]]:
    return [jobs[at : at + CHUNK] for at in range(0, len(jobs), CHUNK)]


def _fill(order: Args, add_one: AddOne, add_many: AddMany | None) -> Args:
    jobs = list(_jobs(order))
    if add_many is None:
        for job in jobs:
            add_one(order["task"], job)
    else:
        for chunk in _chunks(jobs):
            add_many(order["task"], chunk)
    return {"jobs": len(jobs)}


def _single(order: Args, add_one: AddOne, _: AddMany | None) -> Args:
    task, warm, jobs = order["task"], order["warm"], list(_jobs(order))
    for job in jobs[:warm]:
        add_one(task, job)
    gc.freeze()  # the list is ours: nobody's garbage collection should walk it
    begun, cpu = time.monotonic(), time.process_time()
    for job in jobs[warm:]:
        add_one(task, job)
    return _account(len(jobs) - warm, begun, cpu)


def _bulk(order: Args, _: AddOne, add_many: AddMany | None) -> Args:
    assert add_many is not None, "this system adds one by one only"
    task, warm, jobs = order["task"], order["warm"], list(_jobs(order))
    for chunk in _chunks(jobs[:warm]):
        add_many(task, chunk)
    timed = _chunks(jobs[warm:])
    gc.freeze()  # as above
    begun, cpu = time.monotonic(), time.process_time()
    for chunk in timed:
        add_many(task, chunk)
    return _account(len(jobs) - warm, begun, cpu)


def _account(jobs: int, begun: float, cpu: float) -> Args:
    seconds, used = time.monotonic() - begun, time.process_time() - cpu
    return {"jobs": jobs, "seconds": seconds, "cpu_seconds": used}


def _paced(order: Args, add_one: AddOne, _: AddMany | None) -> Args:
    """A job each interval on an absolute beat; each carries the instant before its adding began."""
    interval = order["interval_ms"] / 1000
    begun = time.monotonic()
    total = order["warm"] + order["count"]
    for number in range(total):
        time.sleep(max(0.0, begun + number * interval - time.monotonic()))
        add_one(order["task"], {"user_id": number, "email": EMAIL, "sent": time.monotonic()})
    return {"jobs": total}


def _mixed(order: Args, add_one: AddOne, _: AddMany | None) -> Args:
    """Short jobs in bursts; a long one before some of the first bursts, each alone."""
    task, extra, interval = order["task"], order["extra"], order["interval_ms"] / 1000
    begun = time.monotonic()

    def add(user_id: int, seconds: float) -> None:
        job = {"user_id": user_id, "email": EMAIL, "seconds": seconds, "sent": time.monotonic()}
        add_one(task, job)

    for number in range(order["count"]):
        time.sleep(max(0.0, begun + number * interval - time.monotonic()))
        turn, rest = divmod(number, BURSTS_BETWEEN_LONG)
        if rest == 1 and turn < extra["long_jobs"]:
            add(LONG, extra["long"])
        for at in range(extra["burst"]):
            add(number * extra["burst"] + at, extra["short"])
    return {"jobs": order["count"] * extra["burst"] + extra["long_jobs"]}
