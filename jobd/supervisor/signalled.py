"""What the signals to a daemon mean. Called by jobd.supervisor.ears."""

from __future__ import annotations

import signal

from jobd.seams.early import HELD
from jobd.supervisor.orders import Observation, ReloadAsked, ScaleAsked, StacksAsked, StopAsked

WATCHED = (*HELD, signal.SIGCHLD)
_MEANING: dict[int, Observation] = {
    signal.SIGTERM: StopAsked(now=False),
    signal.SIGINT: StopAsked(now=False),
    signal.SIGQUIT: StopAsked(now=True),
    signal.SIGHUP: ReloadAsked(),
    signal.SIGTTIN: ScaleAsked(by=1),
    signal.SIGTTOU: ScaleAsked(by=-1),
    signal.SIGUSR1: StacksAsked(),
}


def meaning(number: int) -> Observation | None:
    """Give what somebody wants who sends this signal; None for nothing."""
    return _MEANING.get(number)
