"""Rules that each host looks at for itself, since they are about Redis not being there.

Invariant: works without Redis altogether, and without waiting for it; what fires survives this process in
alerts.json, and its notification is in that file until the outbox has it (I-48). In the main thread.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec.structs import replace

from jobd.core.alert_events import AlertsUnwritten, of_notification
from jobd.core.alerts.delivery import Outbox
from jobd.core.alerts.facts import Facts
from jobd.core.alerts.judge import judge, notification
from jobd.core.alerts.machine import RuleState, Spans, Transition, worth_writing
from jobd.core.config_alerts import RuleConfig
from jobd.core.events import Event
from jobd.core.ids import uuid7
from jobd.seams import alertfile
from jobd.seams.alertfile import LocalAlerts, Outgoing


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
        file = alertfile.read(runtime_dir)
        names = {rule.name for rule in self._rules}
        self.file = replace(
            file, rules={name: state for name, state in file.rules.items() if name in names}
        )
        self._hand_over()

    def look(
        self, unreachable: str | None, now_ms: int, *, mutes: dict[str, int], epoch: str
    ) -> bool:
        """Look at what this host sees of Redis; say whether something is to be delivered.

        `mutes` and `epoch` are what was last heard of Redis, kept for a start without it.
        """
        facts = Facts(at_ms=now_ms, unreachable=unreachable)
        here = alertfile.read_mutes(self._runtime_dir)
        states, outgoing = dict(self.file.rules), []
        for rule in self._rules:
            held = states.get(rule.name, RuleState())
            muted = max(mutes.get(rule.name, 0), here.get(rule.name, 0)) > now_ms
            after, told = judge(rule, held, facts, muted=muted, spans=self._spans)
            if told is not None:
                outgoing.append(self._telling(rule, told, now_ms))
            if told is not None or worth_writing(held, after, now_ms):
                states[rule.name] = replace(after, looked_ms=now_ms)
        file = LocalAlerts(rules=states, outgoing=outgoing, mutes=mutes, epoch=epoch)
        if file != self.file:
            self.file = file
            self._write()
            self._hand_over()
            for each in outgoing:
                self._emit(of_notification(each.note, each.sinks))
        return bool(outgoing)

    def _telling(self, rule: RuleConfig, told: Transition, now_ms: int) -> Outgoing:
        note = notification(
            rule, told, note_id=uuid7(now_ms, secrets.randbits(74)), at_ms=now_ms,
            namespace=self._namespace, host=self._host,
        )  # fmt: skip
        return Outgoing(note=note, sinks=self._sinks if rule.sinks is None else rule.sinks)

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
