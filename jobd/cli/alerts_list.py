"""`jobd alerts list`: every rule, its state, since when, its value and threshold, and who was told when."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from jobd.cli.alerts import Known, is_local, look, place
from jobd.cli.options import config_option, json_option, runtime_option, url_option
from jobd.cli.output import print_json, when
from jobd.cli.table import print_table
from jobd.core.alerts.kinds import threshold
from jobd.core.alerts.loads import disagreement
from jobd.core.alerts.machine import InstanceState, RuleState
from jobd.core.config_alerts import RuleConfig
from jobd.core.durations import words
from jobd.seams.clock import wall_ms

# Rules are written again at least every two minutes; one that was not is looked at by nobody.
_STALE_MS = 300_000
_ORDER = ("firing", "pending", "resolved")


@click.command("list")
@config_option
@url_option
@runtime_option
@json_option
def command(
    config_file: str | None, redis_url: str | None, runtime_dir: str | None, as_json: bool
) -> int:
    """List rules and what they see.

    Rules about Redis itself are those of this host, from its runtime directory; they are shown while
    Redis is away too.
    """
    known = look(place(config_file, redis_url, runtime_dir))
    now = wall_ms()
    if as_json:
        print_json({"rules": [_public(name, known, now) for name in known.rules]})
    elif known.rules:
        heads = ("RULE", "KIND", "STATE", "OF", "SINCE", "VALUE", "THRESHOLD", "TOLD")
        rows = [row for name in known.rules for row in _rows(name, known, now)]
        print_table(
            heads, rows, elastic=("VALUE", "OF"), spare=("THRESHOLD", "KIND"), remark="NOTE"
        )
    else:
        click.echo("no rule; write them into the configuration, as [[alerts.rules]]", err=True)
    if known.unreachable is not None:
        click.echo(f"jobd: {known.unreachable}", err=True)
        return known.unreachable.exit_code
    return 0


def _rows(name: str, known: Known, now: int) -> Iterator[tuple[object, ...]]:
    rule, state = known.rules[name], known.states.get(name)
    limit = threshold(rule) if rule else ""
    kind = rule.kind if rule else (state and state.kind) or "?"
    told = _ago(state.told_ms, now) if state and state.told_ms else ""
    note = _note(name, known, now)
    shown = list(_sorted(state)) if state else []
    if not shown:
        word = _word(name, known)
        yield name, kind, word, "", "", "", limit, told, note
    for of, each in shown:
        yield name, kind, each.phase, of, _ago(each.since_ms, now), each.shown, limit, told, note


def _sorted(state: RuleState) -> list[tuple[str, InstanceState]]:
    return sorted(state.instances.items(), key=lambda each: (_ORDER.index(each[1].phase), each[0]))


def _word(name: str, known: Known) -> str:
    """Say the state of a rule as a whole: that of what is worst."""
    state = known.states.get(name)
    if state is None or (known.unreachable is not None and not is_local(known.rules[name])):
        return "unknown"
    ordered = _sorted(state)
    return ordered[0][1].phase if ordered else "inactive"


def _note(name: str, known: Known, now: int) -> str:
    parts = []
    until, state = known.mutes.get(name, 0), known.states.get(name)
    if until > now:
        parts.append(f"muted until {when(until)}")
    if known.rules[name] is None:
        parts.append("not in this configuration")
    if known.unreachable is not None and not is_local(known.rules[name]):
        parts.append("its state is in Redis, which cannot be asked")
    elif state is None:
        parts.append("no daemon has looked at it yet")
    elif state.looked_ms and now - state.looked_ms > _STALE_MS:
        parts.append(f"not looked at for {words((now - state.looked_ms) / 1000)}")
    if how := disagreement(known.loads.get(name, [])):
        parts.append(f"hosts differ: {how}")
    return ", ".join(parts)


def _ago(at_ms: int, now: int) -> str:
    return f"{words(max(0, now - at_ms) / 1000)} ago"


def _public(name: str, known: Known, now: int) -> dict[str, Any]:
    rule, state = known.rules[name], known.states.get(name, RuleState())
    until = known.mutes.get(name, 0)
    return {
        "name": name,
        **_configured(rule, state),
        "state": _word(name, known),
        "muted_until": until if until > now else None,
        "told_at": state.told_ms or None,
        "looked_at": state.looked_ms or None,
        "differs": disagreement(known.loads.get(name, [])) or None,
        "instances": [
            {
                "of": of, "state": each.phase, "since": each.since_ms, "value": each.value,
                "shown": each.shown,
            }
            for of, each in _sorted(state)
        ],
    }  # fmt: skip


def _configured(rule: RuleConfig | None, state: RuleState) -> dict[str, Any]:
    if rule is None:
        return {"kind": state.kind or None, "configured": False}
    return {
        "kind": rule.kind,
        "configured": True,
        "queue": rule.queue,
        "severity": rule.severity,
        "threshold": rule.above,
        "clear_below": rule.clear_below,
        "for": rule.for_,
        "this_host_only": is_local(rule),
        "sinks": rule.sinks,
    }
