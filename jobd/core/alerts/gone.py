"""The last words of a rule that is in no configuration any more: its end, to all who think that it fires.

Pure. Invariant: who was told of a firing is told of its end, whatever becomes of the rule; nobody else is.
Said by whoever forgets its state: jobd.alerter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from jobd.core.alerts.judge import MOST_TOLD
from jobd.core.alerts.machine import RuleState, end
from jobd.core.alerts.notification import Notification

_HINT = "See to it that another rule looks at it, if it still matters: this one does no longer."


class Word(NamedTuple):
    """One notification, whom it is for, and the rule's state when it is told."""

    after: RuleState
    note: Notification
    sinks: list[str]


def last_words(
    rule: str,
    state: RuleState,
    *,
    at_ms: int,
    namespace: str,
    host: str | None = None,
    new_id: Callable[[int], str],
) -> list[Word]:
    """Give what is to be told before a rule is forgotten: one word for all who know the same of it.

    `new_id` makes an id at a time, in ms.
    """
    where = f" (on {host})" if host else ""
    words = []
    after, told = end(state, at_ms)
    while told is not None:
        note = Notification(
            id=new_id(at_ms), rule=rule, kind=state.kind or "?", severity=state.severity,
            status="resolved", at_ms=at_ms,
            summary=f"{rule}: resolved: the rule is gone from the configuration{where}",
            hint=_HINT, instances=told.instances[:MOST_TOLD], host=host, namespace=namespace,
        )  # fmt: skip
        words.append(Word(after, note, told.sinks))
        after, told = end(after, at_ms)
    return words
