"""Alerts: the rules and what fires; mute, unmute, on all hosts."""

from __future__ import annotations

from typing import Annotated

import msgspec

from jobd.core.alerts.history import KEPT, Change, Shown, newest, shown
from jobd.core.alerts.mutes import mute_ms
from jobd.core.errors import BrokerError
from jobd.core.suggest import nearest, one_of
from jobd.seams import alertfile
from jobd.seams.clock import wall_ms
from jobd.web.api.endpoint import Body, Call, Endpoint
from jobd.web.api.house import House
from jobd.web.api.kinds import Span
from jobd.web.api.problems import NotThere
from jobd.web.api.reading import bare
from jobd.web.api.rules import Rules, is_local, read_rules


class NoSuchRule(NotThere):
    """No rule of that name is known."""

    code = "jobd.no_such_rule"


class Mute(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule, and for how long it tells nobody: `2h`, or seconds; a minute at least, and 90 days at most."""

    rule: str
    for_: Span = msgspec.field(name="for")


class Unmute(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule."""

    rule: str


class Past(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of one rule, or of all; so many entries."""

    rule: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=KEPT)] = 100


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What rules went through, the newest first. `redis_says` is why only this host's own is known now."""

    changes: list[Shown]
    redis_says: str | None


class Muted(msgspec.Struct, frozen=True, kw_only=True):
    """Until when it is muted (ms since 1970; None: it is not), and whether it was before."""

    rule: str
    muted_until: int | None
    was_muted: bool


def _list(house: House, _call: Call) -> Rules:
    return read_rules(house)


def read_history(house: House, *, rule: str | None, limit: int) -> History:
    """Read what rules went through; of a Redis that is away, what this host has."""
    shared: list[Change] = []
    away = None
    try:
        shared = house.alerts().history()
    except BrokerError as error:
        away = str(error)
    own = house.own_alerts().history
    found = newest(shared, own, rule=rule, limit=limit)
    return History(changes=[shown(each) for each in found], redis_says=away)


def _history(house: House, call: Call) -> History:
    return read_history(house, rule=call.query.rule, limit=call.query.limit)


def _mute(house: House, call: Call) -> Muted:
    """Mute a rule; one about Redis itself on this host alone, while Redis is away."""
    rule, for_ms = call.body.rule, mute_ms(bare(call.body.for_), what="for")
    place = house.runtime_dir
    try:
        _known(house, rule)
        was_muted = rule in house.alerts().mutes()
        return Muted(
            rule=rule,
            muted_until=house.alerts().mute(rule, for_ms, by=call.person),
            was_muted=was_muted,
        )
    except BrokerError:
        if place is None or rule not in _local(house):
            raise
    until, before = wall_ms() + for_ms, alertfile.read_mutes(place)
    alertfile.write_mute(place, rule, until)
    return Muted(rule=rule, muted_until=until, was_muted=before.get(rule, 0) > wall_ms())


def _unmute(house: House, call: Call) -> Muted:
    rule = call.body.rule
    here = rule in house.own_mutes()
    if here and house.runtime_dir is not None:
        alertfile.write_mute(house.runtime_dir, rule, 0)
    try:
        _known(house, rule)
        was_muted = house.alerts().unmute(rule, by=call.person) or here
    except BrokerError:
        if not (here and rule in _local(house)):
            raise
        was_muted = True
    return Muted(rule=rule, muted_until=None, was_muted=was_muted)


def _local(house: House) -> list[str]:
    """Name the rules that each host looks at for itself."""
    return [rule.name for rule in house.rules if is_local(rule)]


def _known(house: House, rule: str) -> None:
    names = {each.name for each in house.rules}
    if rule not in names and rule not in (names := names | house.alerts().states().keys()):
        there = f"one of {one_of(names)}{nearest(rule, names)}" if names else "one: there is none"
        raise NoSuchRule(f"rule {rule!r:.200}: not known; expected {there}")


ENDPOINTS = [
    Endpoint(
        "GET", "/alerts", "list_alerts", "alerts",
        "List the rules, what each sees, and whether it is muted.",
        _list, Rules,
    ),
    Endpoint(
        "GET", "/alerts/history", "list_alert_history", "alerts",
        "List what rules went through, the newest first: fired, resolved, muted and unmuted.",
        _history, History, query=Past,
    ),
    Endpoint(
        "POST", "/alerts/mute", "mute_alert", "alerts",
        "Let a rule tell nobody for a while, on all hosts. It goes through its states all the same.",
        _mute, Muted, body=Mute,
    ),
    Endpoint(
        "POST", "/alerts/unmute", "unmute_alert", "alerts",
        "Let a muted rule tell again. What fires is told at once.",
        _unmute, Muted, body=Unmute,
    ),
]  # fmt: skip
