"""A schedule: what is added to a queue, and when. Read and checked where it is written.

The same reader serves the decorators, `schedules.put` and [[schedules]] of jobd.toml. A Schedule is
a value: two with the same `version` are the same, whoever wrote them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from datetime import UTC, datetime

import msgspec

from jobd.core.cron import Cron
from jobd.core.durations import milliseconds, words
from jobd.core.errors import NotSerializable, OptionError, PayloadTooLarge
from jobd.core.finite import has_nan
from jobd.core.labels import read_labels
from jobd.core.missed import POLICIES
from jobd.core.names import check_name, check_task
from jobd.core.options import (
    CODE_OPTIONS,
    MAX_PAYLOAD,
    RUN_OPTIONS,
    check_known,
    read_priority,
    read_run_options,
    write_run_options,
)
from jobd.core.slots import Slots, slots_of
from jobd.core.suggest import nearest, one_of
from jobd.core.unique import Unique, check_by, read_unique, spell_lock

SHORTEST_EVERY_MS = 1000
# A job's id is the schedule's name and a slot, and has room for 128 characters.
LONGEST_NAME = 100
# What the job of a schedule may say of itself. Its id is the slot's, its time is the slot.
JOB_OPTIONS = ("priority", "expires", "unique", "group", "meta", *RUN_OPTIONS, *CODE_OPTIONS)


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """One schedule. Either `cron` in zone `tz`, or `every_ms`; `args` and `options` are JSON, `lock`
    is spelled as the scripts of adding read it."""

    name: str
    task: str
    args: str = "{}"
    cron: str = ""
    tz: str = "UTC"
    every_ms: int = 0
    missed: str = "latest"
    priority: int = 5
    expires_ms: int = 0
    options: str = ""
    lock: str = ""

    @property
    def slots(self) -> Slots:
        """The instants at which it fires. Raises OptionError where this host does not know its zone."""
        return slots_of(self.cron, self.tz, self.every_ms)

    @property
    def timing(self) -> str:
        """Say when it fires: two schedules with the same timing have the same slots."""
        return f"cron {self.cron} {self.tz}" if self.cron else f"every {self.every_ms}"

    @property
    def when(self) -> str:
        """Say when it fires, for people; the zone always with it."""
        return f"{self.cron} ({self.tz})" if self.cron else f"every {words(self.every_ms / 1000)}"

    @property
    def version(self) -> str:
        """Name the whole of it by its content."""
        return hashlib.sha1(msgspec.json.encode(self), usedforsecurity=False).hexdigest()[:16]


class Declared(msgspec.Struct, frozen=True):
    """A schedule, and the queue it adds to."""

    queue: str
    schedule: Schedule


def read_schedule(
    name: object,
    task: object,
    *,
    args: bytes | str = "{}",
    cron: object = None,
    every: object = None,
    tz: object = None,
    missed: object = "latest",
    priority: int = 5,
    unique: Unique | None = None,
    names: Collection[str] | None = None,
    options: Mapping[str, object] = {},
) -> Schedule:
    """Read a schedule from keywords. Raises OptionError.

    `args` is JSON; `priority` and `unique` are what holds where `options` say nothing; `names` are
    the task's parameters, where they are known.
    """
    what = f"schedule {read_name(name)!r}"
    check_known(options, JOB_OPTIONS, what=what)
    line, period = read_timing(cron, every, tz, what=what)
    said = write_run_options(read_run_options(options, what=what, counts_allowed=False), what=what)
    said |= read_labels(options, what=what)
    payload = args if isinstance(args, str) else args.decode()
    if options.get("unique") is not None:
        unique = read_unique(options["unique"], what=what)
        check_by(unique, msgspec.json.decode(payload) if names is None else names, what=what)
    chosen = options.get("priority")
    return Schedule(
        name=read_name(name),
        task=check_task(task, what=f"{what}: task"),
        args=payload,
        cron=line,
        tz=str(tz or "UTC") if line else "UTC",
        every_ms=period,
        missed=read_missed(missed, what=what),
        priority=priority if chosen is None else read_priority(chosen, what=what),
        expires_ms=read_expires(options.get("expires"), what=what),
        options=msgspec.json.encode(said).decode() if said else "",
        lock="" if unique is None else spell_lock(unique, str(task), payload.encode()),
    )


def read_name(value: object, *, what: str = "schedule: name") -> str:
    """Read a schedule's name."""
    name = check_name(value, what=what)
    if len(name) > LONGEST_NAME:
        raise OptionError(
            f"{what}: {name!r} has {len(name)} characters; expected at most {LONGEST_NAME}, "
            "since the ids of its jobs begin with it; choose a shorter one"
        )
    return name


def read_timing(cron: object, every: object, tz: object, *, what: str) -> tuple[str, int]:
    """Read when it fires: the line of cron and 0, or '' and an interval in ms."""
    if (cron is None) == (every is None):
        given = "neither cron nor every" if cron is None else "cron and every"
        raise OptionError(
            f"{what}: {given}; expected one of the two, as in cron='0 9 * * *' or every='5m'"
        )
    if every is not None:
        if tz is not None:
            raise OptionError(f"{what}: every and tz {tz!r}; an interval has no zone; drop tz")
        return "", read_every(every, what=what)
    try:
        line = Cron(cron).line
        slots_of(line, "UTC" if tz is None else str(tz), 0)
    except OptionError as error:
        raise OptionError(f"{what}: {error}") from error
    return line, 0


def read_every(value: object, *, what: str) -> int:
    """Read an interval, as ms."""
    period = milliseconds(value, what=f"{what}: every")
    if period < SHORTEST_EVERY_MS:
        raise OptionError(
            f"{what}: every: {value!r}; expected at least 1s; let one job do the work of several"
        )
    return period


def read_missed(value: object, *, what: str) -> str:
    """Read what is done about slots that nobody could fire."""
    if isinstance(value, str) and value in POLICIES:
        return value
    raise OptionError(
        f"{what}: missed: {value!r}; expected {one_of(POLICIES)}{nearest(str(value), POLICIES)}"
    )


def read_expires(value: object, *, what: str) -> int:
    """Read within what time a job must start, as ms from its adding; 0 is no limit."""
    if value is None:
        return 0
    span = milliseconds(value, what=f"{what}: expires")
    if not span:
        raise OptionError(f"{what}: expires: {value!r}; expected a time in which it may start")
    return span


def encode_args(args: object, *, what: str) -> str:
    """Write arguments that come from a file. Raises NotSerializable, PayloadTooLarge."""
    if not isinstance(args, dict):
        raise NotSerializable(f"{what}: {args!r:.80}; expected a table, as in {{ user_id = 7 }}")
    raw = msgspec.json.encode(args)
    if b"null" in raw and has_nan(args):  # they would become null without a word
        raise NotSerializable(
            f"{what}: NaN or infinity; expected finite numbers; JSON has no word for these"
        )
    if len(raw) > MAX_PAYLOAD:
        raise PayloadTooLarge(what, len(raw), MAX_PAYLOAD)
    return raw.decode()


def job_id(name: str, slot: int) -> str:
    """Name the job of a slot (ms since 1970): the same on every host, and to be read by people."""
    at = datetime.fromtimestamp(slot / 1000, UTC).replace(tzinfo=None)
    return f"{name}:{at.isoformat(timespec='milliseconds' if slot % 1000 else 'seconds')}Z"
