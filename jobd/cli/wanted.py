"""The options that say which jobs are meant, shared by `jobd jobs list` and the verbs on jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from jobd.broker.finding import Wanted
from jobd.core.durations import milliseconds
from jobd.core.names import check_name


def wanted_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which jobs are meant, beside queue and state."""
    for option in reversed(
        (
            click.option("--task", help="Only jobs of this task."),
            click.option("--error", metavar="TEXT", help="Only with this in their error."),
            click.option("--group", help="Only jobs of this group."),
            click.option(
                "--older-than",
                metavar="DURATION",
                help="Only if they ended (if not: were added) longer ago, as in 90s or 7d.",
            ),
        )
    ):
        command = option(command)
    return command


def read_wanted(
    task: str | None, error: str | None, group: str | None, older_than: str | None
) -> Wanted:
    """Read those options. Raises OptionError."""
    age = None if older_than is None else milliseconds(bare(older_than), what="--older-than")
    if task is not None:
        check_name(task, what="--task")
    if group is not None:
        check_name(group, what="--group")
    return Wanted(task=task, error=error, group=group, older_than_ms=age)


def bare(written: str) -> str | float:
    """Take a bare number as seconds, which is what it means everywhere else."""
    try:
        return float(written)
    except ValueError:
        return written
