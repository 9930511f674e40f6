"""`jobd check`: everything that can be known to be wrong before the daemon runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import click

from jobd.cli import settings
from jobd.cli.exposed import exposed
from jobd.cli.options import config_option, json_option, url_option
from jobd.cli.output import print_json
from jobd.cli.settings import Settings
from jobd.client.app import Jobd
from jobd.client.queue import Queue
from jobd.core.config import Config
from jobd.core.config_advice import require_app, warnings
from jobd.core.config_and_code import compared
from jobd.core.config_places import Places
from jobd.core.errors import EX_CONFIG, ConfigError, NotHere
from jobd.core.redis_place import safe_url
from jobd.core.suggest import nearest
from jobd.wiring.worker import runnables
from jobd.worker.app import load_app

# Without these there is nothing to compare the code with.
_NEEDED = ("redis", "queues")


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
        found = _read(path, redis_url, problems, notes)
        notes += warnings(found.config, found.places) + exposed(found)
        require_app(found.config, found.places)
        _check_apps(found.config, found.places, problems, notes)
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


def _read(path: Path, url: str | None, problems: list[str], notes: list[str]) -> Settings:
    """Read the file; what is only missing here is a problem, and the rest is checked all the same."""
    try:
        return settings.whole(path, url=url)
    except NotHere as without:
        notes.append(
            f"{path}: the daemon's own environment and credentials may have what is missing here; "
            "check it with these (a unit's Environment=, EnvironmentFile= and LoadCredential=)"
        )
        if any(path == "app" or path.startswith(_NEEDED) for path in without.absent):
            raise
        problems += without.problems
        return settings.laid_over(Settings(*without.rest), url=url, app=None)


def _check_apps(config: Config, places: Places, problems: list[str], notes: list[str]) -> None:
    """Import every app once, and compare what it declares with what the file says."""
    declared: dict[str, set[str]] = {}
    for reference, queues in _users(config).items():
        try:
            app = load_app(reference)
        except ConfigError as error:
            problems += _unloadable(config, places, reference, error)
            continue
        for queue, each in app.queues.items():
            declared.setdefault(queue, set()).update(each.tasks)
            problems += _contradictions(config, places, each)
        notes += _differences(config, places, reference, app)
        notes += _undeclared(places, reference, queues, app.queues)
    if not problems:
        notes += compared(config, places, declared)


def _users(config: Config) -> dict[str, list[str]]:
    """Say which queues each app has to declare."""
    users: dict[str, list[str]] = {}
    for queue, chosen in config.queues.items():
        if reference := chosen.app or config.app:
            users.setdefault(reference, []).append(queue)
    if config.app is not None:
        users.setdefault(config.app, [])
    return users


def _unloadable(config: Config, places: Places, reference: str, error: ConfigError) -> list[str]:
    """Say it of each key that names this app."""
    keys = ["app"] if config.app == reference else []
    keys += [f"queues.{name}.app" for name, each in config.queues.items() if each.app == reference]
    return [
        f"{places.at(key)}: {problem.removeprefix('app: ')}"
        for problem in error.problems
        for key in keys
    ]


def _contradictions(config: Config, places: Places, declared: Queue) -> list[str]:
    """What code and file say together, and neither alone."""
    try:
        runnables(config, declared)
    except ConfigError as error:
        return [places.at(problem) for problem in error.problems]
    return []


def _undeclared(
    places: Places, reference: str, queues: list[str], declared: Mapping[str, object]
) -> list[str]:
    return [
        f"{places.at(f'queues.{queue}')}: {reference!r} declares no such queue; its jobs would be "
        f"parked for want of a task{nearest(queue, declared)}"
        for queue in queues
        if queue not in declared
    ]


def _differences(config: Config, places: Places, reference: str, app: Jobd) -> list[str]:
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
            f"{places.at('redis.url')}: {safe_url(config.redis.url)!r}, but {reference!r} adds jobs to "
            f"{safe_url(producer.url)!r}; {how}"
        )
    if producer.namespace != config.redis.namespace:
        found.append(
            f"{places.at('redis.namespace')}: {config.redis.namespace!r}, but {reference!r} adds jobs to "
            f"{producer.namespace!r}; give one namespace to both"
        )
    return found
