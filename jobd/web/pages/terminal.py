"""What a page shows or does, as a `jobd` command to copy. Called by the pages of jobs and operations."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from jobd.web.api.bulk import LONGEST_SAID, PURGE
from jobd.web.api.operation import Operation

_OPTIONS = {
    name: f"--{name.replace('_', '-')}"
    for name in ("task", "error", "like", "cause", "group", "older_than", "newer_than")
}
_VERBS = ("retry", "cancel", "delete", "run-now")


def list_command(queue: str, state: str, said: Mapping[str, str]) -> str:
    """Write the command that lists jobs of a queue and state by a filter."""
    return _written("list", queue, [state], said)


def operation_command(it: Operation) -> str:
    """Write the command that does the same again; "" where there is none, or what was asked for is cut."""
    which = dict(it.which)
    states = [state for state in which.pop("states", "").split(", ") if state]
    if not all(name in _OPTIONS and len(text) < LONGEST_SAID for name, text in which.items()):
        return ""
    if it.verb == PURGE and it.queue:
        written = shlex.join(["jobd", "queues", PURGE, it.queue, *_pairs("--state", states)])
    elif it.verb in _VERBS:
        written = _written(it.verb, it.queue, states, which)
    else:
        return ""
    return written + (" --dry-run" if it.dry_run else "")


def _written(verb: str, queue: str | None, states: list[str], said: Mapping[str, str]) -> str:
    words = ["jobd", "jobs", verb, *_pairs("--queue", [queue] if queue else [])]
    words += _pairs("--state", states)
    # With "=", for what begins with a dash is no option then.
    return shlex.join(words + [f"{_OPTIONS[name]}={text}" for name, text in said.items()])


def _pairs(option: str, values: list[str]) -> list[str]:
    return [word for value in values for word in (option, value)]
