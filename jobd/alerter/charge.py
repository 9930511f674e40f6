"""Which rules this host may judge: those it defines as the host does that has loaded them last.

Invariant: of hosts that define a rule differently those with the newest load judge it, for as long as one
of them lives, and the others leave it alone: nothing goes to and fro. What was heard of a newer load holds
for its time also where a store has lost it, or its clock was set. In the thread of the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from jobd.broker.alert_loads import Heard, LoadStore
from jobd.core.alert_events import AlertAgrees, AlertDiffers
from jobd.core.alerts.loads import Load, digest, disagreement, newest
from jobd.core.config_alerts import RuleConfig
from jobd.core.events import Event
from jobd.seams.clock import mono

# Of what is remembered; a store may say anything.
_LONGEST = 600.0
# Times of one load, as heard in two replies, may lie so far apart; in seconds.
_SLOW = 3.0
# Nothing holds for longer than a day, as alert_load.lua has it.
_DAY_MS = 86_400_000


class Identity(NamedTuple):
    """Who says it: `owner` is one daemon's in all its lives, in hexadecimal; `age` is for how long what it
    runs with was loaded when this process began, in seconds."""

    owner: str
    host: str
    age: float


class _Newer(NamedTuple):
    """A load newer than ours: when that was and until when it holds, monotonic."""

    born: float
    ends: float


class Charge:
    """Of one host. `for_ms`: so long is a host taken for alive that says nothing. `clock` is monotonic."""

    def __init__(
        self,
        rules: Sequence[RuleConfig],
        store: LoadStore,
        me: Identity,
        *,
        for_ms: int,
        emit: Callable[[Event], None],
        clock: Callable[[], float] = mono,
    ) -> None:
        self._clock = clock
        self._rules = list(rules)
        self._digests = {rule.name: digest(rule) for rule in rules}
        self._store = store
        self._me = me
        self._for_ms = min(for_ms, _DAY_MS)
        self._emit = emit
        self._born = clock() - me.age
        self._newer: dict[str, _Newer] = {}
        self._said: dict[str, tuple[str, ...]] = {}

    def ours(self) -> list[str]:
        """Say how we define our rules, and give those that are ours to judge. Raises BrokerError."""
        if not self._rules:
            return []
        age_ms = round((self._clock() - self._born) * 1000)
        heard = self._store.say(
            self._rules, age_ms=age_ms, for_ms=self._for_ms, owner=self._me.owner, host=self._me.host
        )  # fmt: skip
        for rule in self._digests:
            self._tell(rule, heard.loads.get(rule, []))
        return [rule for rule in self._digests if self._is_ours(rule, heard)]

    def _is_ours(self, rule: str, heard: Heard) -> bool:
        now, known = self._clock(), self._newer.get(rule)
        loads = newest(heard.loads.get(rule, []))
        born = now - (heard.at_ms - loads[0].loaded_ms) / 1000 if loads else self._born
        # It is lost, or only an older load of it is left.
        if known is not None and now < known.ends and known.born > born + _SLOW:
            return False
        if not loads or loads[0].digest == self._digests[rule]:
            self._newer.pop(rule, None)
            return True
        holds = min(_LONGEST, (loads[0].until_ms - heard.at_ms) / 1000)
        self._newer[rule] = _Newer(born, now + holds)
        return False

    def _tell(self, rule: str, loads: list[Load]) -> None:
        """Say once that others define it differently, and once that they do no longer."""
        mine = self._digests[rule]
        # What this very daemon ran with before, or tries out, is no other host's.
        others = [each for each in loads if each.digest == mine or each.owner != self._me.owner]
        words = disagreement(others)
        ordered = tuple(load.digest for load in newest(others)) if words else ()
        if ordered == self._said.get(rule, ()):
            return
        self._said[rule] = ordered
        self._emit(AlertDiffers(rule=rule, why=words) if words else AlertAgrees(rule=rule))
