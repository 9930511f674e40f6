"""A schedule's record in Redis: how it is written, and read by people and programs.

What is read is a stranger's: any field may hold anything, and gives a default then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from jobd.core.errors import JobdError, OptionError
from jobd.core.schedule import SHORTEST_EVERY_MS, Schedule
from jobd.core.slots import Slots, slots_of
from jobd.core.unreadable import UNREADABLE_JSON

# What was declared, and by no host for so long (ms), does not fire: `is_declared` in lua/_prelude.lua.
UNDECLARED_AFTER = 600_000


class ScheduleInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule, as recorded. Times are ms since 1970 by Redis' clock; `every` is in seconds.

    `origin` is `declared` (by hosts' code or files) or `api`. `next_at` is None while it is paused.
    """

    name: str
    queue: str
    task: str
    args: Any
    cron: str | None
    tz: str
    every: float | None
    missed: str
    priority: int
    expires: float | None
    options: dict[str, Any]
    origin: str
    paused: bool
    next_at: int | None
    last_slot: int | None
    last_job: str | None
    last_at: int | None
    fired: int
    missed_slots: int
    declared_at: int | None

    def slots(self) -> Slots | None:
        """Give the slots it fires at; None where they cannot be reckoned here."""
        try:
            return recorded_slots(self.cron or "", self.tz, round((self.every or 0) * 1000))
        except JobdError:
            return None

    def is_forsaken(self, now: int) -> bool:
        """Say whether it was declared, and is no more: then it does not fire. `now` in ms."""
        return self.origin == "declared" and now - (self.declared_at or 0) > UNDECLARED_AFTER


def record_of(schedule: Schedule) -> list[str | int]:
    """Write the fields of a record; what is not said is not written."""
    fields: dict[str, str | int] = {
        "task": schedule.task,
        "args": schedule.args,
        "missed": schedule.missed,
        "priority": schedule.priority,
    }
    if schedule.cron:
        fields |= {"cron": schedule.cron, "tz": schedule.tz}
    else:
        fields["every"] = schedule.every_ms
    if schedule.options:
        fields["options"] = schedule.options
    if schedule.lock:
        fields["lock"] = schedule.lock
    if schedule.expires_ms:
        fields["expires"] = schedule.expires_ms
    return [part for pair in fields.items() for part in pair]


def fields_of(raw: object) -> dict[str, str]:
    """Read the fields of a record; none of what is no hash."""
    read = {text(k): text(v) for k, v in raw.items()} if isinstance(raw, dict) else {}
    return {"cron": "", "tz": "UTC", "every": ""} | read


def info_of(queue: str, name: str, score: float, fields: Mapping[str, str]) -> ScheduleInfo:
    """Read a whole record; `score` is its next slot."""
    every, expires = whole(fields["every"]), whole(fields.get("expires", ""))
    options = _json(fields.get("options", ""))
    return ScheduleInfo(
        name=name,
        queue=queue,
        task=fields.get("task", "?"),
        args=_json(fields.get("args", "{}")),
        cron=fields["cron"] or None,
        tz=fields["tz"],
        every=every / 1000 if every else None,
        missed=fields.get("missed", "?"),
        priority=whole(fields.get("priority", "5")),
        expires=expires / 1000 if expires else None,
        options=options if isinstance(options, dict) else {},
        origin=fields.get("origin", "?"),
        paused="paused" in fields,
        next_at=finite(score),
        last_slot=whole(fields.get("last_slot", "")) or None,
        last_job=fields.get("last_job"),
        last_at=whole(fields.get("last_at", "")) or None,
        fired=whole(fields.get("fired", "")),
        missed_slots=whole(fields.get("missed_slots", "")),
        declared_at=whole(fields.get("declared_at", "")) or None,
    )


def text(raw: object) -> str:
    """Read a field; '' for none."""
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else ""


def whole(text: str) -> int:
    """Read a number that may be none; 0 for that."""
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        return 0


def finite(score: bytes | float) -> int | None:
    """Read a score; None for none, and for one that is no finite number."""
    try:
        return int(float(score))
    except (ValueError, OverflowError):
        return None


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except UNREADABLE_JSON:
        return text or None


def recorded_slots(cron: str, tz: str, every_ms: int) -> Slots:
    """Give the slots that a record says. Raises OptionError for one that says none."""
    if not cron and every_ms < SHORTEST_EVERY_MS:
        raise OptionError("its record holds neither a line of cron nor an interval")
    return slots_of(cron, tz, every_ms)
