"""What a configuration says of queues and tasks, compared with those that the code declares.

Warnings: another host may declare what this one does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from jobd.core.config import Config
from jobd.core.config_places import Places
from jobd.core.suggest import nearest


def compared(config: Config, places: Places, declared: Mapping[str, Set[str]]) -> list[str]:
    """List what does not fit. `declared`: the tasks of each queue in the code."""
    return [
        *_unscheduled(config, places, declared),
        *_unwatched(config, places, declared),
        *_unserved(config, places, declared),
    ]


def _unscheduled(config: Config, places: Places, declared: Mapping[str, Set[str]]) -> Iterator[str]:
    """A schedule for what nobody runs would add jobs that are parked."""
    for place, each in enumerate(config.schedules):
        tasks = declared.get(each.queue, frozenset())
        if each.schedule.task not in tasks:
            yield (
                f"{places.at(f'schedules[{place}].task')}: {each.schedule.task!r} is no task of queue "
                f"{each.queue!r} in the code; its jobs would be parked"
                f"{nearest(each.schedule.task, tasks)}"
            )


def _unwatched(config: Config, places: Places, declared: Mapping[str, Set[str]]) -> Iterator[str]:
    """A rule for a queue that nobody has never fires."""
    known = {*declared, *config.queues}
    for place, rule in enumerate(config.alerts.rules):
        where = f"alerts.rules[{place}]"
        if rule.queue is not None and rule.queue not in known:
            yield (
                f"{places.at(f'{where}.queue')}: {rule.queue!r} is a queue of neither the code nor "
                f"this file; the rule has nothing to look at{nearest(rule.queue, known)}"
            )
        elif rule.task is not None and not _has_task(rule.task, rule.queue, declared):
            tasks = {task for each in declared.values() for task in each}
            yield (
                f"{places.at(f'{where}.task')}: {rule.task!r} is no task in the code; the rule has "
                f"nothing to look at{nearest(rule.task, tasks)}"
            )


def _has_task(task: str, queue: str | None, declared: Mapping[str, Set[str]]) -> bool:
    looked_at = declared.values() if queue is None else [declared.get(queue, frozenset())]
    return any(task in tasks for tasks in looked_at)


def _unserved(config: Config, places: Places, declared: Mapping[str, Set[str]]) -> Iterator[str]:
    if not declared and not config.queues:
        yield (
            f"{places.at('app')}: {config.app!r} declares no queue, so there is nothing to serve; "
            "declare queues and tasks in its module, or import the modules that do"
        )
    for queue in config.daemon.queues or []:
        if queue not in declared and queue not in config.queues:
            yield (
                f"{places.at('daemon.queues')}: {queue!r} is in neither the code nor [queues.*]; it "
                f"is served without a task{nearest(queue, declared)}"
            )
