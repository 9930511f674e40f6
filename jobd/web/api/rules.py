"""Alert rules as they stand: those of this host's configuration and those that others look at.

Rules about Redis itself are those of this host, from its runtime directory; they are shown while Redis is
away too.
"""

from __future__ import annotations

import msgspec

from jobd.core.alerts.kinds import KINDS
from jobd.core.alerts.machine import RuleState
from jobd.core.config_alerts import RuleConfig
from jobd.core.errors import BrokerError
from jobd.seams.clock import wall_ms
from jobd.web.api.house import House

_WORST = ("firing", "pending", "resolved")


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a rule looks at: `of` a queue, a schedule, a host, or '' for the whole."""

    of: str
    state: str
    since: int
    value: float
    shown: str


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule. `state` is that of what is worst of its instances; unknown: nobody has looked, or cannot.

    Times are ms since 1970, `for` is seconds; `threshold` and `clear_below` are in the unit of the kind. One
    that is not `configured` here is of another host's configuration: its kind and severity are as that host
    has said, and the rest is not known.
    """

    name: str
    configured: bool
    kind: str | None = None
    queue: str | None = None
    severity: str | None = None
    threshold: float | None = None
    clear_below: float | None = None
    for_: float | None = msgspec.field(name="for", default=None)
    this_host_only: bool = False
    sinks: list[str] | None = None
    state: str
    muted_until: int | None
    told_at: int | None
    looked_at: int | None
    instances: list[Seen]


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """All rules. `redis_says` is why those that all hosts share are unknown now; None where they are known."""

    rules: list[Rule]
    redis_says: str | None


def read_rules(house: House) -> Rules:
    """Read all of it; of a Redis that is away, what this host has."""
    configured = {rule.name: rule for rule in house.rules}
    own = house.own_alerts()
    states, mutes, away = dict(own.rules), dict(own.mutes), None
    try:
        held = house.alerts().states()
        mutes = house.alerts().mutes()
        states |= {name: each.state for name, each in held.items()}
    except BrokerError as error:
        away = error
    for name, until in house.own_mutes().items():
        mutes[name] = max(mutes.get(name, 0), until)
    found = [
        _rule(name, configured.get(name), states.get(name), mutes.get(name, 0), away)
        for name in [*configured, *sorted(states.keys() - configured.keys())]
    ]
    return Rules(rules=found, redis_says=None if away is None else str(away))


def is_local(rule: RuleConfig | None) -> bool:
    """Whether each host looks at it for itself."""
    return rule is not None and KINDS[rule.kind].local


def _rule(
    name: str,
    config: RuleConfig | None,
    state: RuleState | None,
    muted_until: int,
    away: BrokerError | None,
) -> Rule:
    seen = [] if state is None else _seen(state)
    word = seen[0].state if seen else "inactive"
    if state is None or (away is not None and not is_local(config)):
        word = "unknown"
    said = state or RuleState()
    rule = Rule(
        name=name, configured=config is not None, state=word, instances=seen,
        muted_until=muted_until if muted_until > wall_ms() else None,
        told_at=said.told_ms or None, looked_at=said.looked_ms or None,
    )  # fmt: skip
    if config is None and not said.kind:
        return rule
    if config is None:
        return msgspec.structs.replace(rule, kind=said.kind, severity=said.severity)
    return msgspec.structs.replace(
        rule, kind=config.kind, queue=config.queue, severity=config.severity, threshold=config.above,
        clear_below=config.clear_below, for_=config.for_, this_host_only=is_local(config),
        sinks=config.sinks,
    )  # fmt: skip


def _seen(state: RuleState) -> list[Seen]:
    """Give the instances, the worst first."""
    ordered = sorted(state.instances.items(), key=lambda each: (_rank(each[1].phase), each[0]))
    return [
        Seen(of=of, state=each.phase, since=each.since_ms, value=each.value, shown=each.shown)
        for of, each in ordered
    ]


def _rank(phase: str) -> int:
    return _WORST.index(phase) if phase in _WORST else len(_WORST)
