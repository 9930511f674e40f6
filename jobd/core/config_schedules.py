"""[[schedules]] of jobd.toml: each table is read whole, and each of its problems is told.

Used by jobd.core.config alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jobd.core import config_values as values
from jobd.core.config_drawn import Drawn, plain
from jobd.core.config_problems import Findings
from jobd.core.cron import Cron
from jobd.core.errors import ConfigError, OptionError, TaskError
from jobd.core.labels import read_labels
from jobd.core.options import CODE_OPTIONS, RUN_OPTIONS, read_priority
from jobd.core.schedule import (
    Declared,
    encode_args,
    read_every,
    read_expires,
    read_missed,
    read_name,
    read_schedule,
)
from jobd.core.unique import read_unique
from jobd.core.zones import zone

_TIMES = ("name", "queue", "task", "args", "cron", "every", "tz", "missed")
_KEYS = (*_TIMES, "priority", "expires", "unique", "group", "meta")
_TYPES = "exception types are named in code, where a wrong one is an error; set it on the task"
_REFUSED = dict.fromkeys(CODE_OPTIONS, _TYPES) | dict.fromkeys(
    ("delay", "run_after", "job_id", "on_duplicate", "nonce"),
    "a schedule's slot is its job's time and identity; leave it out",
)


def schedules(found: Findings, given: object) -> list[Declared]:
    """Read the list. What is wrong is in `found` then, and left out."""
    if given is None:
        return []
    if not isinstance(given, list):
        found.problem("schedules", f"{given!r:.60}; expected tables, each begun with [[schedules]]")
        return []
    read = [
        _one(found, f"schedules[{i}]", found.table(each, f"schedules[{i}]"))
        for i, each in enumerate(given)
    ]
    names: dict[tuple[str, str], int] = {}
    for place, each in enumerate(read):
        if each is None:
            continue
        first = names.setdefault((each.queue, each.schedule.name), place)
        if first != place:
            found.problem(
                f"schedules[{place}].name",
                f"{given[place]['name']!r} is the name of schedules[{first}] on the same queue; "
                "expected each name once; choose another",
            )
    return [each for each in read if each is not None]


def _one(found: Findings, path: str, table: Mapping[str, Any]) -> Declared | None:
    before = len(found.problems)
    found.known(table, path, (*_KEYS, *RUN_OPTIONS), _REFUSED)
    for key in ("name", "queue", "task"):
        if key not in table:
            found.problem(f"{path}.{key}", "not set; expected a name")
    for key, reader in _READERS.items():
        found.read(table, path, key, reader)
    if ("cron" in table) == ("every" in table):
        given = "both cron and every" if "cron" in table else "neither cron nor every"
        found.problem(path, f"{given}; expected one of the two, as in cron = '0 9 * * *'")
    elif "every" in table and "tz" in table:
        found.problem(
            f"{path}.tz", "an interval has no zone; expected it beside cron only; drop it"
        )
    if len(found.problems) > before:
        return None
    table = plain(table)
    rest = {key: table[key] for key in table if key not in _TIMES}
    try:
        schedule = read_schedule(
            table["name"], table["task"], args=encode_args(table.get("args", {}), what="args"),
            cron=table.get("cron"), every=table.get("every"), tz=table.get("tz"),
            missed=table.get("missed", "latest"), options=rest,
        )  # fmt: skip
    except OptionError as error:  # what only the whole shows: a line that never comes
        found.problem(path, str(error))
        return None
    return Declared(table["queue"], schedule)


def _plainly(read: Callable[[object], object]) -> Callable[[object], object]:
    """Read a value whose problem begins with its place, which the finding names already."""

    def plain(value: object) -> object:
        try:
            return read(value)
        except (OptionError, TaskError, ConfigError) as error:
            raise OptionError(str(error).removeprefix(": ")) from error

    return plain


def _cron(value: object) -> object:
    try:
        return Cron(value).line
    except OptionError as error:
        if isinstance(value, Drawn):  # else the fields that are wrong are quoted
            raise OptionError(f"{value!r}; expected five fields, as in '0 9 * * *'") from error
        raise


def _meta(value: object) -> object:
    # Within a table plain texts, which JSON knows; what is no table shows itself as it is written.
    return read_labels({"meta": plain(value) if isinstance(value, dict) else value}, what="")


def _zone(value: object) -> object:
    zone(values.text(value))
    return value


_READERS: dict[str, Callable[[object], object]] = {
    "name": _plainly(lambda value: read_name(value, what="name")),
    "queue": values.name("queue"),
    "task": values.name("task"),
    "args": _plainly(lambda value: encode_args(value, what="args")),
    "cron": _plainly(_cron),
    "every": _plainly(lambda value: read_every(value, what="")),
    "tz": _plainly(_zone),
    "missed": _plainly(lambda value: read_missed(value, what="")),
    "priority": _plainly(lambda value: read_priority(value, what="")),
    "expires": _plainly(lambda value: read_expires(value, what="")),
    "unique": _plainly(lambda value: read_unique(value, what="")),
    "group": _plainly(lambda value: read_labels({"group": value}, what="")),
    "meta": _plainly(_meta),
    **{option: values.run_option(option) for option in RUN_OPTIONS},
}
