"""The sign of life: an address that hears from this host while all is well, so that silence tells.

Invariant: it is given only while the daemon is ready and Redis answers. Who does not hear it learns
of what no alert can tell: that the host, the network or the alerter itself is gone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from jobd import __version__
from jobd.alerter.address import Resolver
from jobd.alerter.sinks.post import Post
from jobd.alerter.transfer import carry
from jobd.core.alerts.sending import Sent
from jobd.core.config_alerts import HeartbeatConfig
from jobd.core.delivery_events import HeartbeatBack, HeartbeatHeld, HeartbeatMissed
from jobd.core.events import Event
from jobd.seams.clock import mono
from jobd.seams.service import Attendance

# The supervisor says each second how the daemon is. One that has said nothing for so long may be gone.
HEARD_WITHIN = 10.0

_TIMEOUT = 10.0
_LOOK_EVERY = 1.0
# After one that did not arrive the next comes sooner: a lost packet is no outage.
_SOONER = 10.0


def daemon_is_well(attendance: Attendance) -> bool:
    """Say whether this host's daemon is up: heard of lately, ready, and not about to stop."""
    daemon = attendance.daemon
    is_heard = mono() - attendance.heard_at <= HEARD_WITHIN
    return is_heard and daemon.ready and not daemon.stopping


class Heartbeat(threading.Thread):
    """Asks for the address (GET) every `every` seconds while `is_well`; `start` it, `check` and `stop` it."""

    def __init__(
        self,
        config: HeartbeatConfig,
        *,
        is_well: Callable[[], bool],
        emit: Callable[[Event], None],
        resolver: Resolver | None = None,
        timeout: float = _TIMEOUT,
        look_every: float = _LOOK_EVERY,
    ) -> None:
        """`is_well` is asked in this object's own thread. `look_every` is how often, in seconds."""
        super().__init__(name="heartbeat", daemon=True)
        self._config = config
        self._post = Post(
            url=config.url, method="GET", headers=(("user-agent", f"jobd/{__version__}"),)
        )
        self._is_well = is_well
        self._emit = emit
        self._resolver = resolver or Resolver()
        self._timeout = timeout
        self._look_every = look_every
        self._stopping = threading.Event()
        self._state = "new"
        self.error: BaseException | None = None

    def run(self) -> None:
        """Go on until stopped."""
        try:
            pause = 0.0
            while not self._stopping.wait(pause):
                pause = self._turn()
        except BaseException as error:  # noqa: BLE001 - `check` raises it again, in the main thread
            self.error = error

    def check(self) -> None:
        """Raise what ended the thread that should not have ended."""
        if self.error is not None:
            raise self.error

    def stop(self, within: float = 1.0) -> None:
        """End; wait for `within` seconds at most."""
        self._stopping.set()
        self.join(within)

    def _turn(self) -> float:
        """Give one sign, if all is well; answer when to come again, in seconds."""
        if not self._is_well():
            # A daemon that is just starting has given none yet: nothing is held back.
            if self._state in ("well", "missed"):
                self._state = "held"
                self._emit(HeartbeatHeld(to=self._post.to))
            return min(self._look_every, self._config.every)
        outcome = carry(
            [self._post], resolver=self._resolver, allow_private=self._config.allow_private,
            timeout=self._timeout,
        )  # fmt: skip
        if isinstance(outcome, Sent):
            if self._state != "well":
                self._state = "well"
                self._emit(HeartbeatBack(to=self._post.to))
            return self._config.every
        if self._state != "missed":
            self._state = "missed"
            self._emit(HeartbeatMissed(to=self._post.to, why=outcome.why))
        return min(_SOONER, self._config.every)
