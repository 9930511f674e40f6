"""`jobd check`: everything that can be known to be wrong before the daemon runs."""

from __future__ import annotations

import os
from collections.abc import Mapping

import click

from jobd.broker.urls import safe_url
from jobd.cli import settings
from jobd.cli.options import config_option, json_option, url_option
from jobd.cli.output import print_json
from jobd.client.app import Jobd
from jobd.client.queue import Queue
from jobd.core.config import Config, require_app, warnings
from jobd.core.errors import EX_CONFIG, ConfigError
from jobd.core.suggest import nearest
from jobd.wiring.worker import runnables
from jobd.worker.app import load_app


@click.command("check")
@config_option
@url_option
@json_option
def command(config_file: str | None, redis_url: str | None, as_json: bool) -> int:
    """Check the configuration and import the app. Does not speak to Redis.

    Exits with 78 when there is a problem. Warnings are no problem.
    """
    problems: list[str] = []
    notes: list[str] = []
    file = config_file or ""
    try:
        path = settings.required(config_file)
        file = str(path)
        config = settings.read(path, url=redis_url)
        notes += warnings(config, file)
        require_app(config, file)
        _check_apps(config, file, problems, notes)
    except ConfigError as error:
        problems += error.problems
    if as_json:
        print_json({"ok": not problems, "file": file, "problems": problems, "warnings": notes})
    else:
        for problem in problems:
            click.echo(problem)
        for note in notes:
            click.echo(f"warning: {note}")
        if not problems:
            click.echo(f"{file}: good")
    return EX_CONFIG if problems else 0


def _check_apps(config: Config, file: str, problems: list[str], notes: list[str]) -> None:
    """Import every app once, and compare what it declares with what the file says."""
    users: dict[str, list[str]] = {}
    for queue, chosen in config.queues.items():
        if reference := chosen.app or config.app:
            users.setdefault(reference, []).append(queue)
    if config.app is not None:
        users.setdefault(config.app, [])
    declared: set[str] = set()
    tasks: dict[str, set[str]] = {}
    for reference, queues in users.items():
        try:
            app = load_app(reference)
        except ConfigError as error:
            problems += error.problems
            continue
        declared |= set(app.queues)
        for queue, each in app.queues.items():
            tasks.setdefault(queue, set()).update(each.tasks)
            problems += _contradictions(config, file, each)
        notes += _differences(config, file, reference, app)
        notes += _undeclared(file, reference, queues, app.queues)
    if not problems:
        notes += _unscheduled(config, file, tasks)
    if not problems and not declared and not config.queues:
        notes.append(
            f"{file}: app: {config.app!r} declares no queue, so there is nothing to serve; declare "
            "queues and tasks in its module, or import the modules that do"
        )
    if not problems:
        notes += [
            f"{file}: daemon.queues: {queue!r} is in neither the code nor [queues.*]; it is "
            f"served without a task{nearest(queue, declared)}"
            for queue in config.daemon.queues or []
            if queue not in declared and queue not in config.queues
        ]


def _contradictions(config: Config, file: str, declared: Queue) -> list[str]:
    """What code and file say together, and neither alone."""
    try:
        runnables(config, declared)
    except ConfigError as error:
        return [f"{file}: {problem}" for problem in error.problems]
    return []


def _unscheduled(config: Config, file: str, tasks: Mapping[str, set[str]]) -> list[str]:
    """A schedule for what nobody runs would add jobs that are parked."""
    return [
        f"{file}: schedules[{place}].task: {each.schedule.task!r} is no task of queue {each.queue!r} "
        "in the code; its jobs would be parked"
        f"{nearest(each.schedule.task, tasks.get(each.queue, ()))}"
        for place, each in enumerate(config.schedules)
        if each.schedule.task not in tasks.get(each.queue, ())
    ]


def _undeclared(
    file: str, reference: str, queues: list[str], declared: Mapping[str, object]
) -> list[str]:
    return [
        f"{file}: queues.{queue}: {reference!r} declares no such queue; its jobs would be parked "
        f"for want of a task{nearest(queue, declared)}"
        for queue in queues
        if queue not in declared
    ]


def _differences(config: Config, file: str, reference: str, app: Jobd) -> list[str]:
    """Programs that import the app add jobs where it says; workers take them where the file says."""
    found = []
    producer = app.producer
    if producer.url != config.redis.url:
        how = (
            "set JOBD_REDIS_URL for both"
            if not os.environ.get(settings.URL_VARIABLE)
            else ("give one URL to both")
        )
        found.append(
            f"{file}: redis.url: {safe_url(config.redis.url)!r}, but {reference!r} adds jobs to "
            f"{safe_url(producer.url)!r}; {how}"
        )
    if producer.namespace != config.redis.namespace:
        found.append(
            f"{file}: redis.namespace: {config.redis.namespace!r}, but {reference!r} adds jobs to "
            f"{producer.namespace!r}; give one namespace to both"
        )
    return found
