"""Whether this supervisor does its work: asked before systemd's watchdog is fed, after each whole turn.

    look at the scoreboard ─► step ─► carry out ─► publish ─► does it work? ─► WATCHDOG=1

A loop that hangs anywhere on that way feeds nobody. One that turns and yet does not supervise - it cannot
see its workers, or nothing is heard of its keeper and no new one has come - is as good as hung, and a
fresh process is what is left to try: so it says why, and goes hungry until it works again or is ended.

Redis that is away, an application that fails and queues that are given up are no such reasons: another
supervisor would find the same. Called by the loop.
"""

from __future__ import annotations

from jobd.core.events import DaemonUnwell
from jobd.seams.log import Emit
from jobd.seams.systemd import Notifier
from jobd.supervisor.fleet import NEVER, Fleet, Stop

# Longer than a shortage that passes; ending the daemon costs what its jobs have done so far.
BLIND_FOR = 60.0
# Well above the time in which a keeper that hangs is found out, killed and replaced, several times.
DEAF_FOR = 180.0
# What is so for this long was not just the first look after a sleep of the whole machine.
_SURE_AFTER = 2.0


def ailment(fleet: Fleet, now: float) -> str:
    """Say what is wrong with the supervision of this fleet; '' when nothing is."""
    blind = now - fleet.looked_at
    if blind > BLIND_FOR:
        return f"it could not look at its workers for {blind:.0f} s"
    # Before a keeper has come up, or once they are told to end, others see to how long it takes.
    known = fleet.store.heard_at > -NEVER and fleet.stop is Stop.NO
    deaf = now - fleet.store.heard_at
    if known and fleet.policy.hang_after and deaf > DEAF_FOR:
        return f"nothing was heard of a keeper for {deaf:.0f} s"
    return ""


class Pulse:
    """Feeds the watchdog while all is well."""

    def __init__(self, notifier: Notifier, emit: Emit) -> None:
        self._notifier = notifier
        self._emit = emit
        self._due = 0.0
        self._ill_since = NEVER
        self._told = False

    def turned(self, fleet: Fleet, now: float) -> None:
        """Take in that the loop has turned once, and as often as it looks at workers, judge."""
        if now < self._due:
            return
        self._due = now + fleet.policy.look_every
        why = ailment(fleet, now)
        self._ill_since = min(self._ill_since, now) if why else NEVER
        if now - self._ill_since < _SURE_AFTER:
            self._told = False
            self._notifier.alive()
        elif not self._told:
            self._told = True
            self._emit(DaemonUnwell(why=why))
