"""Alerts: what each rule watches and sees, whom it tells, and what rules went through."""

from __future__ import annotations

from typing import NamedTuple

from jobd.core.alerts.history import KEPT
from jobd.core.alerts.kinds import KINDS
from jobd.core.alerts.units import YES
from jobd.web.api.alerts import read_history
from jobd.web.api.house import House
from jobd.web.api.rules import Rule, read_rules
from jobd.web.pages.filters import dom_id, span
from jobd.web.pages.page import Ask, Model, Page, watched

RECENT = 25
"""Entries of the history that are shown, until somebody asks for all."""
_ORDER = ("firing", "pending", "unknown")


class Words(NamedTuple):
    """A rule as it is shown. `watches` says what its kind means, None where that is not known; `fires`, where
    it is configured here, when it does. `hint` is what to do.
    """

    id: str
    of: Rule
    watches: str | None
    fires: str
    hint: str


def read(house: House, ask: Ask) -> Model:
    """Read rules and history."""
    found = read_rules(house)
    is_all = ask.query.get("history") == "all"
    past = read_history(house, rule=None, limit=KEPT if is_all else RECENT + 1).changes
    shown = past if is_all else past[:RECENT]
    return {
        "rules": [_words(rule) for rule in sorted(found.rules, key=_rank)],
        "redis_says": found.redis_says,
        "sinks": house.sinks,
        "has_rules": house.runtime_dir is not None,
        "history": shown,
        "has_more": len(past) > len(shown),
        "is_all": is_all,
        "kept": KEPT,
    }


def _rank(rule: Rule) -> int:
    return _ORDER.index(rule.state) if rule.state in _ORDER else len(_ORDER)


def _words(rule: Rule) -> Words:
    kind = KINDS.get(rule.kind or "")
    if kind is None:
        return Words(dom_id("rule", rule.name), rule, None, "", "")
    fires = _fires(rule) if rule.configured else ""
    return Words(dom_id("rule", rule.name), rule, kind.watches, fires, kind.hint)


def _fires(rule: Rule) -> str:
    """Say when it fires, and when that is over."""
    unit = KINDS[rule.kind or ""].unit
    lasting = f" for {span(rule.for_)}" if rule.for_ else ""
    if unit is YES:
        return f"when it is so{lasting}"
    over = "" if rule.clear_below is None else f", is over below {unit.say(rule.clear_below)}"
    return f"above {unit.say(rule.threshold or 0.0)}{lasting}{over}"


PAGE = watched(Page("/alerts", "alerts", "Alerts", "alerts.html", read, "alerts"), "history")
