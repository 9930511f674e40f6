"""How a rule goes from quiet to firing and back, by one reading after another. Pure.

    inactive ──above──> pending ──above for `for`──> firing ──clear for a while──> resolved ──> inactive
                           └──not above──> inactive      (above again: pending)

An instance is one thing a rule looks at; inactive ones have no state. Invariants: the state is all there
is, so it does not matter who evaluates, or since when; what is unknown moves nothing; one evaluation
tells at most one transition, and what it leaves untold the next one tells. `told_to` is what each receiver
believes: whatever happens in a mute, and whoever comes to be told of the rule or is told no more, firing
and resolved of an instance reach it in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import msgspec
from msgspec.structs import replace

from jobd.core.alerts.facts import Reading
from jobd.core.alerts.notification import Instance
from jobd.core.alerts.trail import Trail
from jobd.core.config_alerts import RuleConfig, Severity

Phase = Literal["pending", "firing", "resolved"]
# How long one that has resolved is still shown.
KEPT_MS = 3_600_000
# The value and words of what goes on firing are refreshed so often: they are for people who ask.
REFRESH_MS = 30_000
# A rule with nothing to say shows so often that somebody still has it.
QUIET_MS = 120_000
# The log is told of everything, like a sink: no sink has this name.
LOG = ""


class InstanceState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One instance. Times are ms; `since_ms` is when its phase began, `clear_ms` since when a firing one has
    been clear, `seen_ms` when it was last read. `told_to`: the sinks, and LOG, that last heard that it fires."""

    phase: Phase
    since_ms: int
    seen_ms: int
    value: float
    shown: str
    told_to: tuple[str, ...] = ()
    clear_ms: int | None = None


class RuleState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All of a rule. `told_ms`: when receivers last heard of it; `muted`: whether it was at the last look;
    `looked_ms`: when it was last written; `kind` and `severity` are for the last word on a rule that is gone;
    `judged_as`: a digest of the rule's definition then."""

    instances: dict[str, InstanceState] = {}
    told_ms: int = 0
    muted: bool = False
    looked_ms: int = 0
    trail: Trail | None = None
    kind: str = ""
    severity: Severity = "warning"
    judged_as: str = ""


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be told: all instances that changed so in one evaluation, for the same `sinks`."""

    status: Literal["firing", "resolved", "repeated"]
    instances: list[Instance]
    sinks: list[str] = []


class Spans(msgspec.Struct, frozen=True, kw_only=True):
    """How patient the machine is, in ms. `clear_for`: how long clear before it is resolved; after a `gap`
    without a reading what was being waited for begins anew."""

    clear_for: int = 10_000
    gap: int = 30_000


def advance(
    rule: RuleConfig,
    state: RuleState,
    readings: list[Reading],
    now: int,
    *,
    sinks: Iterable[str],
    muted: bool,
    spans: Spans,
) -> tuple[RuleState, Transition | None]:
    """Take in one evaluation's readings. What is in no reading is there no more, and so clear.

    `sinks` are those that are told of the rule from now on.
    """
    by_name = {reading.of: reading for reading in readings}
    instances = {}
    for name in {**state.instances, **by_name}:
        before = state.instances.get(name)
        reading = by_name.get(name, Reading(of=name, value=0.0, shown="no longer there"))
        if name not in by_name and before is not None and before.phase == "resolved":
            reading = replace(reading, shown=before.shown)
        after = before if reading.value is None else _step(rule, before, reading, now, spans)
        if after is not None:
            instances[name] = after
    moved = replace(state, instances=instances, muted=muted, kind=rule.kind, severity=rule.severity)
    return (moved, None) if muted else _tell(rule, state, moved, sinks, now)


def end(state: RuleState, now: int) -> tuple[RuleState, Transition | None]:
    """Let a rule that is gone tell who thinks that it fires. To be called until there is nothing to tell."""
    over = {name: replace(each, phase="resolved") for name, each in state.instances.items()}
    return _tell_ends(replace(state, instances=over), now)


def worth_writing(before: RuleState, after: RuleState, now: int) -> bool:
    """Say whether a state must be kept: all but what a firing instance's value just is."""
    if now - before.looked_ms >= (REFRESH_MS if after.instances else QUIET_MS):
        return True
    return _essence(before) != _essence(after)


def _essence(state: RuleState) -> tuple[object, ...]:
    steady = {
        name: replace(each, value=0.0, shown="", seen_ms=0) if _is_steady(each) else each
        for name, each in state.instances.items()
    }
    return steady, state.told_ms, state.muted, state.trail, state.judged_as


def _is_steady(each: InstanceState) -> bool:
    """Whether time alone makes nothing of it: nobody waits for its `for` or its being clear."""
    return each.phase == "resolved" or (each.phase == "firing" and each.clear_ms is None)


def _step(
    rule: RuleConfig, before: InstanceState | None, reading: Reading, now: int, spans: Spans
) -> InstanceState | None:
    value = reading.value or 0.0
    fresh = InstanceState(
        phase="pending", since_ms=now, seen_ms=now, value=value, shown=reading.shown,
        told_to=before.told_to if before else (),
    )  # fmt: skip
    is_above = value > (rule.above or 0.0)
    if before is not None and before.phase == "firing":
        return _go_on_firing(rule, before, fresh, now, spans)
    if is_above:
        if before is not None and before.phase == "pending" and now - before.seen_ms <= spans.gap:
            fresh = replace(fresh, since_ms=min(before.since_ms, now))
        if now - fresh.since_ms >= rule.for_ * 1000:
            return replace(fresh, phase="firing", since_ms=now)
        return fresh
    if before is None or (before.phase == "pending" and not before.told_to):
        return None
    if before.phase == "pending":  # receivers think that it still fires
        return replace(fresh, phase="resolved")
    if not before.told_to and now - before.since_ms > KEPT_MS:
        return None
    return replace(fresh, phase="resolved", since_ms=before.since_ms, seen_ms=before.seen_ms)


def _go_on_firing(
    rule: RuleConfig, before: InstanceState, fresh: InstanceState, now: int, spans: Spans
) -> InstanceState:
    fresh = replace(fresh, phase="firing", since_ms=before.since_ms)
    if not _is_clear(rule, fresh.value):
        return fresh
    has_gap = before.clear_ms is None or now - before.seen_ms > spans.gap
    since = now if before.clear_ms is None or has_gap else min(before.clear_ms, now)
    if now - since >= spans.clear_for:
        return replace(fresh, phase="resolved", since_ms=now)
    return replace(fresh, clear_ms=since)


def _is_clear(rule: RuleConfig, value: float) -> bool:
    if rule.clear_below is not None:
        return value < rule.clear_below
    return value <= (rule.above or 0.0)


def _tell(
    rule: RuleConfig, before: RuleState, state: RuleState, sinks: Iterable[str], now: int
) -> tuple[RuleState, Transition | None]:
    """Find what receivers do not know yet: first what fires, then what has resolved, then the rest."""
    audience = {LOG, *sinks}
    lacks = {name: audience - {*each.told_to} for name, each in state.instances.items()}
    firing = _named(state, lambda each: each.phase == "firing" and not audience <= {*each.told_to})
    if firing:
        # What others lack is for the next evaluation: nobody hears twice what he knows.
        names = [name for name in firing if lacks[name] == lacks[firing[0]]]
        return _told(state, names, now, lacks[firing[0]]), _transition(
            "firing", state, names, lacks[firing[0]]
        )
    moved, over = _tell_ends(state, now)
    if over is not None:
        return moved, over
    known = _named(state, lambda each: each.phase == "firing")
    is_time = rule.repeat > 0 and now - state.told_ms >= rule.repeat * 1000
    if known and (before.muted or is_time):
        return replace(state, told_ms=now), _transition("repeated", state, known, audience)
    return state, None


def _tell_ends(state: RuleState, now: int) -> tuple[RuleState, Transition | None]:
    """Tell those who think that something fires, and it does not: whoever they are by now."""
    over = _named(state, lambda each: each.phase != "firing" and bool(each.told_to))
    if not over:
        return state, None
    who = state.instances[over[0]].told_to
    names = [name for name in over if state.instances[name].told_to == who]
    return _told(state, names, now, None), _transition("resolved", state, names, who)


def _named(state: RuleState, are: Callable[[InstanceState], bool]) -> list[str]:
    return sorted(name for name, each in state.instances.items() if are(each))


def _told(state: RuleState, names: list[str], now: int, more: set[str] | None) -> RuleState:
    """Note who knows: `more` than before that they fire, or (None) all that they do not."""
    changed = {}
    for name in names:
        each = state.instances[name]
        told = () if more is None else tuple(sorted({*each.told_to, *more}))
        changed[name] = replace(each, told_to=told)
    # Of an end others that fire on are not to hear sooner.
    told_ms = state.told_ms if more is None else now
    return replace(state, instances=state.instances | changed, told_ms=told_ms)


def _transition(
    status: Literal["firing", "resolved", "repeated"],
    state: RuleState,
    names: list[str],
    who: Iterable[str],
) -> Transition:
    found = {name: state.instances[name] for name in names}
    return Transition(
        status=status,
        instances=[
            Instance(of=name, value=each.value, shown=each.shown) for name, each in found.items()
        ],
        sinks=sorted({*who} - {LOG}),
    )
