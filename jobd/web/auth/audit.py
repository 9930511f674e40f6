"""The audit log: an event for every action over HTTP, and for what was refused.

Invariant: each action is told; refusals, which anybody can cause, are told so many at a time, and then
how many were not. No value is longer than a line, and no password or token is among them.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from jobd.core.web_events import WebAudit
from jobd.seams.clock import mono
from jobd.seams.log import Emit

_LONGEST = 200
_REFUSALS = 20
_ONE_MORE_EVERY = 3.0


class Audit:
    """Tells of actions. Used from any thread."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._lock = threading.Lock()
        self._used = 0.0
        self._used_at = mono()
        self._unsaid = 0

    def done(
        self, who: str, via: str, address: str, what: str, on: Mapping[str, str], outcome: str
    ) -> None:
        """Tell of what somebody did who may, however it went."""
        self._tell(who, via, address, what, on, outcome, None, 0)

    def refused(self, who: str, via: str, address: str, what: str, code: str, why: str) -> None:
        """Tell of what was not allowed."""
        with self._lock:
            now = mono()
            self._used = max(0.0, self._used - (now - self._used_at) / _ONE_MORE_EVERY)
            self._used_at = now
            if self._used > _REFUSALS - 1:
                self._unsaid += 1
                return
            self._used += 1
            unsaid, self._unsaid = self._unsaid, 0
        self._tell(who, via, address, what, {}, code, why, unsaid)

    def _tell(
        self, who: str, via: str, address: str, what: str, on: Mapping[str, str],
        outcome: str, why: str | None, unsaid: int,
    ) -> None:  # fmt: skip
        self._emit(
            WebAudit(
                who=who[:_LONGEST],
                via=via,
                address=address[:_LONGEST],
                what=what[:_LONGEST],
                on={name[:_LONGEST]: value[:_LONGEST] for name, value in on.items()},
                outcome=outcome,
                why=why,
                unsaid=unsaid or None,
            )
        )
