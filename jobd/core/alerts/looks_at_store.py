"""Readings of rules that look at Redis itself. Called through jobd.core.alerts.kinds."""

from __future__ import annotations

from datetime import UTC, datetime

from jobd.core.alerts.facts import Facts, Reading
from jobd.core.alerts.looks_at_queues import Recent
from jobd.core.config_alerts import RuleConfig
from jobd.core.durations import words
from jobd.core.sizes import size_words


def redis_memory(rule: RuleConfig, facts: Facts, _recent: Recent) -> list[Reading]:
    """Say how full the server is: as a share of what it may have, or in bytes, as the rule asks."""
    store = facts.store
    if store is None:
        return [Reading(of="", value=None)]
    used = size_words(store.used_memory)
    if (rule.above or 0.0) > 1:
        return [Reading(of="", value=store.used_memory, shown=f"Redis uses {used}")]
    whole, whose = store.max_memory, "maxmemory"
    if not whole:
        whole, whose = store.host_memory, "its host's memory"
    if not whole:
        return [Reading(of="", value=None)]
    share = store.used_memory / whole
    shown = f"Redis uses {used}, {share * 100:.3g}% of {whose}"
    return [Reading(of="", value=share, shown=shown)]


def redis_down(_rule: RuleConfig, facts: Facts, _recent: Recent) -> list[Reading]:
    """Say whether this host can use Redis."""
    why = facts.unreachable
    if why is None:
        return [Reading(of="", value=None)]
    return [Reading(of="", value=float(bool(why)), shown=why or "Redis answers")]


def store_unfit(_rule: RuleConfig, facts: Facts, _recent: Recent) -> list[Reading]:
    """Say what makes the server one that may lose jobs."""
    if facts.store is None:
        return [Reading(of="", value=None)]
    wrong = facts.store.unfit
    return [Reading(of="", value=float(len(wrong)), shown="; ".join(wrong)[:500] or "fit")]


def store_reset(rule: RuleConfig, facts: Facts, _recent: Recent) -> list[Reading]:
    """Say whether the store lately became another one, or an older one. Each time is a thing of its own:
    who saw to the first must hear of the next."""
    if facts.store is None:
        return [Reading(of="", value=None)]
    ago = facts.store.reset_ago
    of = "" if ago is None else _instant(facts.at_ms - ago * 1000)
    lately = ago is not None and ago <= (rule.window or 0.0)
    when = f"{words(ago)} ago" if ago is not None and ago >= 1 else "just now"
    shown = f"flushed, replaced or set back {when}" if lately else "the same as before"
    return [Reading(of=of, value=float(lately), shown=shown)]


def _instant(at_ms: float) -> str:
    at = datetime.fromtimestamp(round(at_ms) / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
