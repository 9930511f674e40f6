"""What a rule went through, as one entry a change: it fires, it is over, somebody mutes it. Pure.

Invariant: a change is found by comparing the states before and after, so who makes the move makes the entry,
and there is one whatever number of hosts look. An entry is bounded: of many instances a few are named.
Made by jobd.alerter where a rule moves, kept in Redis or, of what one host says for itself, in its file.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec
from msgspec.structs import replace

from jobd.core.alerts.machine import InstanceState, RuleState
from jobd.core.alerts.notification import Instance
from jobd.core.config_alerts import Severity

# So many are kept, the newest; at most about a mebibyte of them.
KEPT = 300
MOST_NAMED = 10
_MOST_SHOWN = 160
_MOST_NAME = 200

What = Literal["firing", "resolved", "muted", "unmuted"]


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry. `instances` are those that changed so together, `more` how many are not named.

    `at_ms` is ms since 1970, by Redis' clock where Redis keeps it. `for_ms`: how long it is muted; `by`: who
    did that, where it is known. `host` is set where one host speaks for itself.
    """

    rule: str
    what: What
    at_ms: int = 0
    kind: str = ""
    severity: Severity = "warning"
    instances: list[Instance] = []
    more: int = 0
    for_ms: int | None = None
    by: str = ""
    host: str = ""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """An entry as people and programs get it, all fields always. `at` is ms since 1970, `muted_until` too."""

    at: int
    rule: str
    what: What
    kind: str | None
    severity: Severity | None
    instances: list[Instance]
    more: int
    muted_until: int | None
    by: str | None
    host: str | None


def changes(
    rule: str, before: RuleState, after: RuleState, *, at_ms: int = 0, host: str = ""
) -> list[Change]:
    """Give what changed for people: what began to fire, and what does no longer."""
    was, fires = _firing(before), _firing(after)
    began = [_instance(name, each) for name, each in fires.items() if name not in was]
    # What is shown of an end is how it stands now.
    over = [
        _instance(name, after.instances.get(name, each))
        for name, each in was.items()
        if name not in fires
    ]
    said = after if after.kind else before
    plain = Change(
        rule=rule, what="firing", at_ms=at_ms, kind=said.kind, severity=said.severity, host=host
    )
    moved: list[tuple[What, list[Instance]]] = [("firing", began), ("resolved", over)]
    return [
        replace(
            plain, what=what, instances=named[:MOST_NAMED], more=max(0, len(named) - MOST_NAMED)
        )
        for what, named in moved
        if named
    ]


def _firing(state: RuleState) -> dict[str, InstanceState]:
    return {name: each for name, each in sorted(state.instances.items()) if each.phase == "firing"}


def _instance(name: str, state: InstanceState) -> Instance:
    return Instance(of=name[:_MOST_NAME], value=state.value, shown=state.shown[:_MOST_SHOWN])


def newest(
    *histories: Iterable[Change], rule: str | None = None, limit: int = KEPT
) -> list[Change]:
    """Put histories into one, the newest first: of one rule, if it is named, and so many."""
    found = [each for history in histories for each in history if rule in (None, each.rule)]
    return sorted(found, key=lambda each: each.at_ms, reverse=True)[:limit]


def shown(change: Change) -> Shown:
    """Give an entry as it is shown."""
    return Shown(
        at=change.at_ms,
        rule=change.rule,
        what=change.what,
        kind=change.kind or None,
        severity=change.severity if change.kind else None,
        instances=change.instances,
        more=change.more,
        muted_until=None if change.for_ms is None else change.at_ms + change.for_ms,
        by=change.by or None,
        host=change.host or None,
    )
