"""The options of a job: what each means, what it accepts, and whose word counts.

Order: built-in < queue in code < queue in jobd.toml < task < call. Options that are fixed when a
job is added (priority, delay, identity) are known to the producer alone. Options that are fixed
when it runs are known to the worker; what a call says about them travels with the job.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from jobd.core.durations import Duration, milliseconds, seconds
from jobd.core.error_types import ErrorTypes, read_error_types, write_error_types
from jobd.core.errors import OptionError
from jobd.core.limits import LIMIT_OPTIONS
from jobd.core.names import check_name
from jobd.core.retention import BUILT_IN_RETAIN, RETAIN_FIELDS, Retain, read_retain, write_retain
from jobd.core.retry import DEFAULT_BACKOFF, Backoff, read_backoff, write_backoff
from jobd.core.suggest import nearest, one_of

PRIORITY_LOWEST, PRIORITY_HIGHEST = -8192, 8191
MAX_PAYLOAD = 128 * 1024
MAX_LOST = 10
# Jobs that one process runs at once. Each has a cell of 320 bytes on the page that its supervisor
# and keeper read several times a second.
MOST_CONCURRENCY = 1000

ADD_OPTIONS = (
    "priority", "delay", "run_after", "expires", "job_id", "on_duplicate", "nonce", "unique", "group", "meta",
)  # fmt: skip
RUN_OPTIONS = ("attempts", "backoff", "timeout", "soft_timeout", "max_crashes", "retain")
ON_DUPLICATE = ("skip", "rerun_finished")
# Run options that are types of the application: jobd.toml does not name them.
CODE_OPTIONS = ("retry_on", "give_up_on")

TASK_OPTIONS = (*RUN_OPTIONS, *CODE_OPTIONS, "priority", "unique")
QUEUE_OPTIONS = (*RUN_OPTIONS, *CODE_OPTIONS, "priority", *LIMIT_OPTIONS)

# What jobd.toml alone says of a queue: how it is served is the daemon's affair.
FILE_OPTIONS = (
    "processes", "concurrency", "preload", "weight", "memory_limit", "memory_limit_hard", "max_jobs",
    "max_age", "boot_timeout",
)  # fmt: skip


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What is decided when a job runs. None: not said at this level. Spans in seconds."""

    attempts: int | None = None
    backoff: Backoff | None = None
    timeout: float | None = None
    soft_timeout: float | None = None
    max_crashes: int | None = None
    retain: Retain | None = None
    retry_on: ErrorTypes | None = None
    give_up_on: ErrorTypes | None = None


NOTHING_SAID = RunOptions()


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Run options with every question answered. A timeout of 0 means none, `retry_on` None all,
    a count below 0 any number."""

    attempts: int
    backoff: Backoff
    timeout: float
    soft_timeout: float
    max_crashes: int
    completed_ms: int
    completed_count: int
    dead_ms: int
    dead_count: int
    cancelled_ms: int
    cancelled_count: int
    retry_on: ErrorTypes | None = None
    give_up_on: ErrorTypes | None = None


BUILT_IN = RunOptions(
    attempts=1,
    backoff=DEFAULT_BACKOFF,
    timeout=1800.0,
    soft_timeout=0.0,
    max_crashes=3,
    retain=BUILT_IN_RETAIN,
)


_SIMPLE = ("attempts", "timeout", "soft_timeout", "max_crashes")


def resolve(*levels: RunOptions | None) -> Policy:
    """Merge levels, the weakest first, over the built-in defaults."""
    merged: dict[str, Any] = {}
    retain: dict[str, Any] = {}
    for level in (BUILT_IN, *levels):
        if level is None:
            continue
        for name in (*_SIMPLE, "backoff", *CODE_OPTIONS):
            if (value := getattr(level, name)) is not None:
                merged[name] = value
        for name in RETAIN_FIELDS if level.retain else ():
            if (value := getattr(level.retain, name)) is not None:
                retain[name] = value
    return Policy(**merged, **retain)


def read_run_options(
    given: Mapping[str, object], *, what: str, counts_allowed: bool = True, by_name: bool = False
) -> RunOptions:
    """Read run options from keywords or TOML. Raises OptionError; unknown names are the caller's.

    `by_name`: exception types are their names, as `write_run_options` writes them.
    """
    read: dict[str, Any] = {}
    if "attempts" in given:
        read["attempts"] = _whole(given["attempts"], 1, 1_000_000, f"{what}: attempts")
    if "max_crashes" in given:
        read["max_crashes"] = _whole(given["max_crashes"], 1, 1000, f"{what}: max_crashes")
    for name in ("timeout", "soft_timeout"):
        if name in given:
            read[name] = seconds(given[name], what=f"{what}: {name}")
    check_timeouts(read.get("soft_timeout"), read.get("timeout"), what=what)
    if "backoff" in given:
        read["backoff"] = read_backoff(given["backoff"], what=f"{what}: backoff")
    if "retain" in given:
        read["retain"] = read_retain(
            given["retain"], what=f"{what}: retain", of_queue=counts_allowed
        )
    for name in CODE_OPTIONS:
        if name in given:
            read[name] = read_error_types(given[name], what=f"{what}: {name}", by_name=by_name)
    return RunOptions(**read)


def check_timeouts(soft: float | None, hard: float | None, *, what: str) -> None:
    """Refuse a soft timeout that the hard one never lets come about. Raises OptionError."""
    if soft and hard and soft >= hard:
        raise OptionError(
            f"{what}: soft_timeout {soft:g}s; expected less than the timeout, which is {hard:g}s; "
            "lower it, or raise `timeout`"
        )


def write_run_options(options: RunOptions, *, what: str = "call") -> dict[str, object]:
    """Write what was said, as `read_run_options` reads it: how a call's options travel.

    Raises OptionError for what cannot: a function, a type that has no name elsewhere.
    """
    said: dict[str, object] = {
        name: value for name in _SIMPLE if (value := getattr(options, name)) is not None
    }
    if options.backoff is not None:
        said["backoff"] = write_backoff(options.backoff, what=f"{what}: backoff")
    for name in CODE_OPTIONS:
        if (chosen := getattr(options, name)) is not None:
            said[name] = write_error_types(chosen, what=f"{what}: {name}")
    if options.retain is not None:
        said["retain"] = write_retain(options.retain)
    return said


def check_known(given: Mapping[str, object], known: tuple[str, ...], *, what: str) -> None:
    """Refuse option names that do not exist here, with the nearest right one."""
    for name in given:
        if name in known:
            continue
        if name in LIMIT_OPTIONS:
            raise OptionError(
                f"{what}: {name}; a limit belongs to the whole queue; set it on the queue"
            )
        raise OptionError(
            f"{what}: unknown option {name!r}; expected {one_of(known)}{_place(name, known)}"
        )


def _place(name: str, known: tuple[str, ...]) -> str:
    """Say where an option belongs that is none here, or which one may be meant."""
    if name in FILE_OPTIONS:
        return "; it is set in jobd.toml, under [queues.NAME]"
    if name in ADD_OPTIONS:
        return f"; it is an option of a call: write `using({name}=...)`"
    return nearest(name, known)


def read_priority(value: object, *, what: str) -> int:
    """Read a priority: lower runs sooner."""
    return _whole(value, PRIORITY_LOWEST, PRIORITY_HIGHEST, f"{what}: priority")


def read_due(given: Mapping[str, object], *, what: str) -> str:
    """Read `delay` or `run_after` as the add script wants it: '', '+ms' or 'ms since 1970'."""
    delay, run_after = given.get("delay"), given.get("run_after")
    if delay is not None and run_after is not None:
        raise OptionError(f"{what}: delay and run_after; expected one of the two; drop either")
    if delay is not None:
        span = milliseconds(delay, what=f"{what}: delay")
        return f"+{span}" if span else ""
    if run_after is None:
        return ""
    return _instant(run_after, f"{what}: run_after")


def _instant(value: object, what: str) -> str:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise OptionError(
            f"{what} {value!r}; expected a datetime with a time zone, "
            "as in datetime.now(UTC) + timedelta(hours=1)"
        )
    return str(max(0, int(value.timestamp() * 1000)))


def read_times(given: Mapping[str, object], *, what: str) -> str:
    """Read when a job may start, and until when, as the add script wants it: due, or due 'x' until.

    Either is '' (now, never), '+ms' (from the adding) or 'ms since 1970'.
    """
    due, expires = read_due(given, what=what), given.get("expires")
    if expires is None:
        return due
    if isinstance(expires, datetime):
        until = _instant(expires, f"{what}: expires")
    elif span := milliseconds(expires, what=f"{what}: expires"):
        until = f"+{span}"
    else:
        raise OptionError(f"{what}: expires {expires!r}; expected a time in which it may start")
    if due and due.startswith("+") == until.startswith("+") and int(until) <= int(due):
        raise OptionError(
            f"{what}: expires {expires!r} is not after its delay; expected time to start in; "
            "raise expires"
        )
    return f"{due}x{until}"


def read_new_due(delay: object, run_after: object, *, what: str) -> str:
    """Read the new due time of a job that is moved: exactly one of the two, and 0 is now."""
    if delay is None and run_after is None:
        raise OptionError(
            f"{what}: neither delay nor run_after; expected one of the two, as in delay='1h'"
        )
    return read_due({"delay": delay, "run_after": run_after}, what=what)


def read_job_id(value: object, *, what: str) -> str:
    """Read a job id given by the caller."""
    return check_name(value, what=f"{what}: job_id")


def read_reruns(given: Mapping[str, object], *, what: str) -> bool:
    """Read `on_duplicate`: whether an ended job of the same id begins anew. Raises OptionError."""
    word = "skip" if given.get("on_duplicate") is None else given["on_duplicate"]
    if word not in ON_DUPLICATE:
        raise OptionError(
            f"{what}: on_duplicate {word!r}; expected {one_of(ON_DUPLICATE)}"
            + nearest(str(word), ON_DUPLICATE)
        )
    reruns = word == "rerun_finished"
    if reruns and given.get("job_id") is None:
        raise OptionError(
            f"{what}: on_duplicate {word!r} without job_id; expected both: a new id has no duplicate"
        )
    if given.get("nonce") is not None:
        if not reruns:
            raise OptionError(
                f"{what}: nonce without on_duplicate='rerun_finished'; adding again with the same "
                "job_id is safe; drop nonce"
            )
        check_name(given["nonce"], what=f"{what}: nonce")
    return reruns


def _whole(value: object, low: int, high: int, what: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return value
    raise OptionError(f"{what}: {value!r}; expected a whole number from {low} to {high}")


__all__ = [
    "ADD_OPTIONS", "BUILT_IN", "CODE_OPTIONS", "FILE_OPTIONS", "MAX_LOST", "MAX_PAYLOAD", "QUEUE_OPTIONS", "RUN_OPTIONS", "TASK_OPTIONS", "Duration",
    "Policy", "Retain", "RunOptions", "check_known", "check_timeouts", "read_due", "read_job_id", "read_new_due", "read_priority",
    "read_run_options", "read_times", "resolve",
]  # fmt: skip
