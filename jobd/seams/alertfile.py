"""alerts.json: the alerts that one host has for itself, since they are about Redis not being there.

Invariant: a reader sees the old file or the new one; it survives any end of the process, so what fires
goes on firing and is told once. Written by the alerter of this runtime directory alone, read by the
command line and by metrics. alert_mutes.json beside it is written by the command line.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from jobd.core.alerts.history import Change
from jobd.core.alerts.machine import RuleState
from jobd.core.alerts.notification import Notification
from jobd.core.unreadable import UNREADABLE_JSON

NAME = "alerts.json"
MUTES = "alert_mutes.json"


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A notification on its way into the outbox: written with the state that it comes of."""

    note: Notification
    sinks: list[str]


class LocalAlerts(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file. `mutes` are those of Redis, as they were last heard; `epoch` is the life of the store
    that this host knew last; `history` is what rules went through, the newest first."""

    version: int = 1
    rules: dict[str, RuleState] = {}
    outgoing: list[Outgoing] = []
    mutes: dict[str, int] = {}
    epoch: str = ""
    history: list[Change] = []


def read(runtime_dir: Path) -> LocalAlerts:
    """Read the file; what cannot be read is nothing, for it must not keep an alerter from its work."""
    try:
        return msgspec.json.decode((runtime_dir / NAME).read_bytes(), type=LocalAlerts)
    except (OSError, *UNREADABLE_JSON):
        return LocalAlerts()


def write(runtime_dir: Path, alerts: LocalAlerts) -> None:
    """Replace the file. Raises OSError."""
    _replace(runtime_dir / NAME, msgspec.json.encode(alerts))


def firing(runtime_dir: Path) -> dict[str, int]:
    """Count what fires of each rule that this host looks at for itself."""
    return {
        rule: sum(each.phase == "firing" for each in state.instances.values())
        for rule, state in read(runtime_dir).rules.items()
    }


def read_mutes(runtime_dir: Path) -> dict[str, int]:
    """Read until when rules are muted on this host alone, ms since 1970."""
    try:
        return msgspec.json.decode((runtime_dir / MUTES).read_bytes(), type=dict[str, int])
    except (OSError, *UNREADABLE_JSON):
        return {}


def write_mute(runtime_dir: Path, rule: str, until_ms: int) -> None:
    """Mute a rule on this host alone; 0 ends it. Raises OSError."""
    mutes = {name: until for name, until in read_mutes(runtime_dir).items() if name != rule}
    if until_ms:
        mutes[rule] = until_ms
    _replace(runtime_dir / MUTES, msgspec.json.encode(mutes))


def _replace(target: Path, document: bytes) -> None:
    fresh = target.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - the mode is set at creation
        place = target.parent.stat()
        if os.geteuid() == 0 and place.st_uid != 0:  # a daemon of another user reads it
            os.fchown(descriptor, place.st_uid, place.st_gid)
        file.write(document)
    fresh.replace(target)
