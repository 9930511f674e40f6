"""How often a queue whose children end without having run a job is given new ones.

Invariant: at most ten forks in the first minute of a crash loop for a queue of up to eight processes,
at most two a minute after; one job run to its end, or a child that simply lasts, ends the thrift, and
nothing counts while a living child of the queue has run a job.
So a loop costs the host next to nothing, other queues nothing at all, and mends itself when its cause
has gone. It counts per queue, since the cause lies in its code or its jobs; slots that only crash
now and then are held back by jobd.supervisor.backoff alone. Pure; called by absorb and settle.
"""

from __future__ import annotations

import zlib

from msgspec.structs import replace

from jobd.supervisor.fleet import Queue

# The waits after the first useless ends in a row.
_WAITS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
# With so many the queue is given up: a few jobs that end their process, each as often as it may, are
# got over. Where more processes begin and end together, fewer are left for that.
_PATIENCE, _LEAST = 9, 5
# The first probe soon: all of a pool may have been killed at once, by a person or for want of memory.
_FIRST_PROBE = 5.0
_PROBE_EVERY = 50.0
_PROBE_SPREAD = 10.0
# A child that has lasted this long without a job to run has come up well.
LASTED = 30.0


def probe_every(queue: str) -> float:
    """Give the seconds from one probe of a queue that was given up to the next."""
    return _PROBE_EVERY + _PROBE_SPREAD * zlib.crc32(queue.encode()) / 0xFFFF_FFFF


def after_useless_end(queue: Queue, now: float) -> Queue:
    """Take in that a child ended without having run a job."""
    useless = queue.useless + 1
    if useless >= max(_LEAST, _PATIENCE - queue.target):
        fork_at = queue.fork_at if queue.gave_up else max(queue.fork_at, now + _FIRST_PROBE)
        return replace(queue, useless=useless, gave_up=True, fork_at=fork_at)
    return replace(queue, useless=useless, fork_at=now + _WAITS[useless - 1])


def after_use(queue: Queue) -> Queue:
    """Take in that a child ran a job to its end, or has lasted."""
    if not queue.useless and not queue.gave_up:
        return queue
    return replace(queue, useless=0, gave_up=False, fork_at=0.0)


def after_fork(queue: Queue, now: float) -> Queue:
    """Take in that a child was ordered: a probe holds the next one off."""
    if not queue.gave_up:
        return queue
    return replace(queue, fork_at=now + probe_every(queue.name))
