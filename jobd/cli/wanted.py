"""The options that say which jobs are meant, shared by `jobd jobs list` and the verbs on jobs."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from jobd.broker.finding import Wanted
from jobd.core.durations import milliseconds
from jobd.core.names import check_name
from jobd.core.states import DEAD_CAUSES

_SINCE = "Only if they ended (if not: were added)"
_OPTIONS = (
    click.option("--task", help="Only jobs of this task."),
    click.option("--error", metavar="TEXT", help="Only with this in their error."),
    click.option(
        "--like", metavar="SHAPE",
        help="Only with an error of this shape, as groups of the dead have it: '#' for each number.",
    ),
    click.option(
        "--cause", metavar="CAUSE", type=click.Choice(list(DEAD_CAUSES)),
        help=f"Only what is dead of this: {', '.join(DEAD_CAUSES)}.",
    ),
    click.option("--group", help="Only jobs of this group."),
    click.option("--older-than", metavar="DURATION", help=f"{_SINCE} longer ago, as in 90s or 7d."),
    click.option("--newer-than", metavar="DURATION", help=f"{_SINCE} not so long ago."),
)  # fmt: skip
_NAMES = ("task", "error", "like", "cause", "group", "older_than", "newer_than")


def wanted_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which jobs are meant, beside queue and state; the command gets `wanted`."""

    @wraps(command)
    def read(**given: Any) -> Any:
        said = {name: given.pop(name) for name in _NAMES}
        return command(wanted=_read(**said), **given)

    for option in reversed(_OPTIONS):
        read = option(read)
    return read


def _read(
    task: str | None, group: str | None, older_than: str | None, newer_than: str | None,
    **exact: str | None,
) -> Wanted:  # fmt: skip
    """Read those options. Raises OptionError."""
    if task is not None:
        check_name(task, what="--task")
    if group is not None:
        check_name(group, what="--group")
    return Wanted(
        task=task, group=group, **exact,
        older_than_ms=_age(older_than, "--older-than"),
        newer_than_ms=_age(newer_than, "--newer-than"),
    )  # fmt: skip


def _age(written: str | None, what: str) -> int | None:
    return None if written is None else milliseconds(bare(written), what=what)


def bare(written: str) -> str | float:
    """Take a bare number as seconds, which is what it means everywhere else."""
    try:
        return float(written)
    except ValueError:
        return written
