"""Hosts that define a rule of one name differently: whose definition is judged. Pure.

Invariant: it is the one that was loaded last, by Redis' clock, of those that a living host has; all hosts
find the same one, so no rule goes to and fro between two. What hosts say of it comes from Redis, and so
from anybody: it is shown, and never judged by. Used by jobd.alerter.charge and whoever shows rules.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from jobd.core.config_alerts import RuleConfig

Said = str | float | bool | list[str] | None

_MOST_SHOWN = 200


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """One definition of a rule: `loaded_ms` is when a host loaded it last, and until `until_ms` one is known
    to have it. `owner` is the daemon that said so last, `host` its host's name; `says`: what is given in it.
    """

    digest: str
    loaded_ms: int
    until_ms: int
    owner: str
    host: str
    says: dict[str, Said]


def given(rule: RuleConfig) -> dict[str, Said]:
    """Give what a rule says, without what is so by default: that grows with versions."""
    fields = msgspec.structs.fields(rule)
    found = {field.encode_name: (getattr(rule, field.name), field.default) for field in fields}
    return {
        name: value for name, (value, usual) in found.items() if name != "name" and value != usual
    }


def digest(rule: RuleConfig) -> str:
    """Give what two definitions have in common only if they are the same."""
    return hashlib.sha256(msgspec.json.encode(given(rule), order="sorted")).hexdigest()[:16]


def newest(loads: Iterable[Load]) -> list[Load]:
    """Put definitions in order: the first is the one that is judged."""
    return sorted(loads, key=lambda load: (load.loaded_ms, load.digest), reverse=True)


def difference(one: Load, other: Load) -> str:
    """Say what one definition has that another has otherwise, for people."""
    names = sorted(
        name for name in {*one.says, *other.says} if one.says.get(name) != other.says.get(name)
    )
    said = ", ".join(
        f"{name} {_said(one.says[name])}" if name in one.says else f"no {name}" for name in names
    )
    return said[:_MOST_SHOWN]


def disagreement(loads: Iterable[Load]) -> str:
    """Say in one line how hosts differ over a rule, and which is judged; '' where they do not."""
    ordered = newest(loads)
    if len(ordered) < 2:
        return ""
    judged, *others = ordered
    said = "; ".join(f"{load.host} has {difference(load, judged)}" for load in others[:5])
    return f"{judged.host} has {difference(judged, others[0])}, which counts, loaded last; {said}"


def _said(value: Said) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(value) + "]"
    return f"{value:.10g}" if isinstance(value, float) else str(value)
