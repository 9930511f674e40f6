"""What this process knows of the daemon and of Redis, put together for an answer.

Invariant: an answer waits for nothing. It is made of what threads have found and of what the supervisor
has said, and takes microseconds while Redis hangs.
"""

from __future__ import annotations

import asyncio

from jobd.core.health import Facts, Health, liveness, readiness
from jobd.seams.clock import mono
from jobd.seams.log import Emit
from jobd.seams.service import Attendance
from jobd.web import watch_host, watch_redis
from jobd.web.watch import Watch
from jobd.web.watch_host import HostWatch
from jobd.web.watch_redis import RedisWatch

_STEP = 0.01


class Knowledge:
    """What is known, brought up to date by two threads once started."""

    def __init__(
        self,
        attendance: Attendance,
        redis: RedisWatch,
        host: HostWatch,
        *,
        lease: float,
        emit: Emit,
    ) -> None:
        """`lease`: that of the daemon's workers, in seconds."""
        self._lease = lease
        self._attendance = attendance
        self._redis = redis
        self._host = host
        self._watches = [
            Watch("look at redis", redis.look, every=watch_redis.EVERY, emit=emit),
            Watch("look at the runtime directory", host.look, every=watch_host.EVERY, emit=emit),
        ]

    def start(self) -> None:
        """Begin to look."""
        for watch in self._watches:
            watch.start()

    def stop(self) -> None:
        """Look no more."""
        for watch in self._watches:
            watch.stop()

    async def first(self, *, within: float) -> None:
        """Wait for the first looks and the supervisor's first word, for so many seconds at most.

        Who is asked before that would have to call a daemon that is well a starting one.
        """
        until = mono() + within
        while mono() < until and not self._is_whole():
            await asyncio.sleep(_STEP)

    def _is_whole(self) -> bool:
        looked = all(watch.has_looked.is_set() for watch in self._watches)
        return looked and self._attendance.has_heard

    def liveness(self) -> Health:
        """Judge whether the daemon itself works."""
        return liveness(self._facts(), mono())

    def readiness(self) -> Health:
        """Judge whether it can take work."""
        return readiness(self._facts(), mono())

    def _facts(self) -> Facts:
        # What lies in the channel counts: this process may have been slower than the supervisor.
        self._attendance.hear()
        daemon = self._attendance.daemon
        return Facts(
            heard_at=self._attendance.heard_at,
            ready=daemon.ready,
            stopping=daemon.stopping,
            lease=self._lease,
            redis=self._redis.seen,
            host=self._host.seen,
        )
