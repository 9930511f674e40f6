"""Which tasks make a queue's workers grow, added up over those that have ended and those that live.

A worker tells the one task it has grown by most (jobd.worker.growth). Invariant: of a queue so few tasks
are remembered, the worst ones; a supervisor does not grow with the names it hears. Pure; called by
jobd.supervisor.absorb and publish.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

MOST_TASKS = 20


class Grown(msgspec.Struct, frozen=True):
    """So many bytes, by so many jobs of a task."""

    task: str
    size: int
    jobs: int


Tally = Mapping[str, Grown]
"""What is known of a queue, by task."""


def added(tally: Tally, *more: Grown | None) -> dict[str, Grown]:
    """Add what workers have told; drop the least of what is too much."""
    found = dict(tally)
    for grown in more:
        if grown is not None and grown.size > 0:
            before = found.get(grown.task, Grown(grown.task, 0, 0))
            found[grown.task] = Grown(
                grown.task, before.size + grown.size, before.jobs + grown.jobs
            )
    return {grown.task: grown for grown in worst(found.values())}


def worst(tally: Iterable[Grown]) -> list[Grown]:
    """List the tasks, those that have taken most first."""
    return sorted(tally, key=lambda grown: (-grown.size, grown.task))[:MOST_TASKS]
