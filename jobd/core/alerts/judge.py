"""One evaluation of one rule: facts in, its next state and what is to be told out. Pure.

Called by jobd.alerter, and all that it knows of kinds.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from jobd.core.alerts.facts import Facts
from jobd.core.alerts.kinds import KINDS, known, threshold
from jobd.core.alerts.loads import digest
from jobd.core.alerts.machine import RuleState, Spans, Transition, advance
from jobd.core.alerts.notification import Instance, Notification
from jobd.core.alerts.trail import follow
from jobd.core.config_alerts import RuleConfig

# Of more instances than this the first are told, and how many there are.
MOST_TOLD = 50
_SHOWN = 3


def judge(
    rule: RuleConfig,
    state: RuleState,
    facts: Facts,
    *,
    sinks: Sequence[str],
    muted: bool,
    spans: Spans,
) -> tuple[RuleState, Transition | None]:
    """Evaluate a rule that `sinks` are told of; where its facts are unknown nothing moves."""
    if not known(rule, facts):
        return state, None
    kind = KINDS[rule.kind]
    state = _of(rule, state)
    recent: dict[str, int] = {}
    if kind.counts is not None:
        window_ms = round((rule.window or 0.0) * 1000)
        trail, recent = follow(state.trail, kind.counts(rule, facts), facts.at_ms, window_ms)
        state = replace(state, trail=trail)
    readings = kind.look(rule, facts, recent)
    return advance(rule, state, readings, facts.at_ms, sinks=sinks, muted=muted, spans=spans)


def _of(rule: RuleConfig, state: RuleState) -> RuleState:
    """Go on by this definition: by another one than before what was being waited for begins anew."""
    this = digest(rule)
    if state.judged_as in ("", this):
        return replace(state, judged_as=this)
    instances = {
        name: each if each.phase == "resolved" else replace(each, seen_ms=0)
        for name, each in state.instances.items()
    }
    # Numbers of another kind are no numbers of this one.
    trail = state.trail if state.kind == rule.kind else None
    return replace(state, judged_as=this, instances=instances, trail=trail)


def notification(
    rule: RuleConfig,
    transition: Transition,
    *,
    note_id: str,
    at_ms: int,
    namespace: str,
    host: str | None = None,
) -> Notification:
    """Write what people are told of a transition."""
    return Notification(
        id=note_id,
        rule=rule.name,
        kind=rule.kind,
        severity=rule.severity,
        status=transition.status,
        at_ms=at_ms,
        summary=_summary(rule, transition, host),
        hint=KINDS[rule.kind].hint,
        instances=transition.instances[:MOST_TOLD],
        host=host,
        namespace=namespace,
    )


def test_notification(*, note_id: str, at_ms: int, namespace: str, host: str) -> Notification:
    """Write what somebody gets who tries whether it arrives."""
    return Notification(
        id=note_id,
        rule="test",
        kind="test",
        severity="warning",
        status="test",
        at_ms=at_ms,
        summary=f"test: jobd on {host} can reach you; nothing is wrong",
        hint="Nothing has to be done.",
        instances=[Instance(of="", value=0.0, shown="a test")],
        host=host,
        namespace=namespace,
    )


def _summary(rule: RuleConfig, transition: Transition, host: str | None) -> str:
    """Say it in one line."""
    word = {"firing": "", "resolved": "resolved: ", "repeated": "still: "}[transition.status]
    parts = [
        f"{each.of}: {each.shown}" if each.of else each.shown
        for each in transition.instances[:_SHOWN]
    ]
    more = len(transition.instances) - len(parts)
    rest = f"; and {more} more" if more else ""
    over = threshold(rule)  # of an end as well: it may be the threshold that has moved
    where = f" (on {host})" if host else ""
    limit = f" (threshold {over})" if over else ""
    return f"{rule.name}: {word}{'; '.join(parts)}{rest}{limit}{where}"
