"""What this process last saw of rules, and of that what receivers have surely heard.

Needed where a store has lost both at once, states and outbox, or was set back: what was still to be told is lost with it,
so each sink believes what it was told last, and not what the state says. Invariant: a sink counts as
knowing what no notification was waiting for any more when it was looked at; where nothing is known of a
sink it has heard of nothing, so none hears of an end before it heard of the firing. A sink that another
host told right before the loss, since our last look, may hear the same once more.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from msgspec.structs import replace

from jobd.core.alerts.machine import LOG, InstanceState, RuleState


class Memory:
    """Of one process. `sent` is called by the sinks' threads, the rest by that of the rules."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: dict[str, RuleState] = {}
        # By rule and sink: of which things it believes that they fire.
        self._heard: dict[tuple[str, str], frozenset[str]] = {}
        # By notification and sink: what it believes of the rule as soon as it has this.
        self._under_way: dict[tuple[str, str], tuple[str, frozenset[str]]] = {}

    def saw(self, rule: str, state: RuleState, waiting: Iterable[str]) -> None:
        """Keep a state as it stands in the store; the sinks in `waiting` were not told all of it yet."""
        with self._lock:
            self._last[rule] = state
            known = {sink for of, sink in self._heard if of == rule}
            told = {sink for each in state.instances.values() for sink in each.told_to}
            settled = (known | told) - {*waiting}
            for sink in settled:
                self._heard[rule, sink] = _believed(state, sink)
            self._under_way = {
                key: each for key, each in self._under_way.items()
                if each[0] != rule or key[1] not in settled
            }  # fmt: skip

    def moved(self, rule: str, state: RuleState, note_id: str, sinks: Iterable[str]) -> None:
        """Keep a state that this process made, and what of it is on its way to whom."""
        with self._lock:
            self._last[rule] = state
            self._heard[rule, LOG] = _believed(state, LOG)
            for sink in sinks:
                self._under_way[note_id, sink] = rule, _believed(state, sink)

    def sent(self, note_id: str, sink: str) -> None:
        """A sink has been told by this process."""
        with self._lock:
            if known := self._under_way.pop((note_id, sink), None):
                rule, believed = known
                self._heard[rule, sink] = believed

    def looked_ms(self, rule: str) -> int:
        """Give when the state that is remembered was written; 0 for a rule never seen."""
        with self._lock:
            return self._last[rule].looked_ms if rule in self._last else 0

    def lost(self, rule: str) -> RuleState:
        """Give the state to go on from where the store has none; an empty one for a rule never seen."""
        with self._lock:
            state = self._last.get(rule, RuleState())
            heard = {sink: believed for (of, sink), believed in self._heard.items() if of == rule}
        gone = InstanceState(
            phase="resolved", since_ms=0, seen_ms=0, value=0.0, shown="no longer there"
        )
        instances = {}
        for of in state.instances.keys() | frozenset().union(*heard.values()):
            told_to = tuple(sorted(sink for sink, believed in heard.items() if of in believed))
            instances[of] = replace(state.instances.get(of, gone), told_to=told_to)
        return replace(state, instances=instances)


def _believed(state: RuleState, sink: str) -> frozenset[str]:
    return frozenset(of for of, each in state.instances.items() if sink in each.told_to)
