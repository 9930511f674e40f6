"""Rules that each host looks at for itself, since they are about Redis not being there.

Invariant: works without Redis altogether, and without waiting for it; what fires survives this process in
alerts.json, and its notification is in that file until the outbox has it (I-48); who was told of it is told
of its end, also when the rule is gone. In the main thread.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec.structs import replace

from jobd.core.alert_events import AlertsUnwritten, of_notification
from jobd.core.alerts.delivery import Outbox
from jobd.core.alerts.facts import Facts
from jobd.core.alerts.gone import last_words
from jobd.core.alerts.history import Change, changes
from jobd.core.alerts.judge import judge, notification
from jobd.core.alerts.machine import RuleState, Spans, Transition, worth_writing
from jobd.core.config_alerts import RuleConfig
from jobd.core.events import Event
from jobd.core.ids import uuid7
from jobd.seams import alertfile
from jobd.seams.alertfile import LocalAlerts, Outgoing

# Of what rules went through so much is kept, the newest.
_KEPT = 100


class LocalWatch:
    """Looks at them whenever it is asked to."""

    def __init__(
        self,
        rules: Sequence[RuleConfig],
        runtime_dir: Path,
        *,
        outbox: Outbox,
        namespace: str,
        host: str,
        sinks: Sequence[str],
        spans: Spans,
        emit: Callable[[Event], None],
    ) -> None:
        self._rules = list(rules)
        self._runtime_dir = runtime_dir
        self._outbox = outbox
        self._namespace = namespace
        self._host = host
        self._sinks = list(sinks)
        self._spans = spans
        self._emit = emit
        self._unwritten = False
        self.file = alertfile.read(runtime_dir)
        self._hand_over()

    def look(
        self, unreachable: str | None, now_ms: int, *, mutes: dict[str, int], epoch: str
    ) -> bool:
        """Look at what this host sees of Redis; say whether something is to be delivered.

        `mutes` and `epoch` are what was last heard of Redis, kept for a start without it.
        """
        facts = Facts(at_ms=now_ms, unreachable=unreachable)
        here = alertfile.read_mutes(self._runtime_dir)
        states, outgoing, history = dict(self.file.rules), [], self.file.history
        until = {name: max(mutes.get(name, 0), here.get(name, 0)) for name in {*mutes, *here}}
        for rule in self._rules:
            held = states.get(rule.name, RuleState())
            sinks = self._sinks if rule.sinks is None else rule.sinks
            muted = until.get(rule.name, 0) > now_ms
            after, told = judge(rule, held, facts, sinks=sinks, muted=muted, spans=self._spans)
            if told is not None:
                outgoing.append(self._telling(rule, told, now_ms))
            if told is not None or worth_writing(held, after, now_ms):
                history = self._changed(rule.name, held, after, now_ms) + history
                states[rule.name] = replace(after, looked_ms=now_ms)
        for name in states.keys() - {rule.name for rule in self._rules}:
            if until.get(name, 0) <= now_ms:
                history = self._changed(name, states[name], RuleState(), now_ms) + history
                outgoing += self._last_words(name, states.pop(name), now_ms)
        file = LocalAlerts(
            rules=states, outgoing=outgoing, mutes=mutes, epoch=epoch, history=history[:_KEPT]
        )
        if file != self.file or self._unwritten:
            self.file = file
            self._write()
            self._hand_over()
            for each in outgoing:
                self._emit(of_notification(each.note, each.sinks))
        return bool(outgoing)

    def _changed(self, rule: str, before: RuleState, after: RuleState, now_ms: int) -> list[Change]:
        return changes(rule, before, after, at_ms=now_ms, host=self._host)

    def _telling(self, rule: RuleConfig, told: Transition, now_ms: int) -> Outgoing:
        note = notification(
            rule, told, note_id=_new_id(now_ms), at_ms=now_ms, namespace=self._namespace,
            host=self._host,
        )  # fmt: skip
        return Outgoing(note=note, sinks=self._there(told.sinks))

    def _last_words(self, name: str, state: RuleState, now_ms: int) -> list[Outgoing]:
        """Give what a rule tells that this host does not have any more."""
        words = last_words(
            name, state, at_ms=now_ms, namespace=self._namespace, host=self._host, new_id=_new_id
        )
        return [Outgoing(note=word.note, sinks=self._there(word.sinks)) for word in words]

    def _there(self, sinks: Sequence[str]) -> list[str]:
        """Leave out sinks that are gone: nobody else could tell them what this host has to say."""
        return [sink for sink in sinks if sink in self._sinks]

    def _hand_over(self) -> None:
        """Put what is on its way into the outbox, which knows by the id what it has."""
        if not self.file.outgoing:
            return
        for each in self.file.outgoing:
            self._outbox.add(each.note, each.sinks)
        self.file = replace(self.file, outgoing=[])
        self._write()

    def _write(self) -> None:
        try:
            alertfile.write(self._runtime_dir, self.file)
        except OSError as error:
            if not self._unwritten:
                self._emit(AlertsUnwritten(why=f"{self._runtime_dir}: {error.strerror or error}"))
            self._unwritten = True
        else:
            self._unwritten = False


def _new_id(now_ms: int) -> str:
    return uuid7(now_ms, secrets.randbits(74))
