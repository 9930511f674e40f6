"""What the commands about schedules have in common: finding one by its name, and its times.

Called by jobd.cli.schedules_*. No daemon has to run: they speak to Redis.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NoReturn

import click

from jobd.broker.schedule_records import ScheduleInfo
from jobd.broker.schedules import ScheduleStore
from jobd.broker.views import Views
from jobd.cli import settings
from jobd.cli.options import config_option, json_option, url_option
from jobd.cli.output import print_json
from jobd.cli.redis import client_of
from jobd.core.config import Config
from jobd.core.durations import words
from jobd.core.errors import EX_NOINPUT
from jobd.core.names import check_name
from jobd.core.preview import local_time
from jobd.core.schedule import read_name
from jobd.core.slots import Slots
from jobd.core.suggest import nearest, one_of

queue_option = click.option("--queue", help="Only this queue.")


def stores(config: Config, queue: str | None) -> dict[str, ScheduleStore]:
    """Give the schedules of every queue, or of one. Raises BrokerError, OptionError."""
    client, space = client_of(config), config.redis.namespace
    if queue is not None:
        check_name(queue, what="--queue")
    queues = Views(client, space).queues() if queue is None else [queue]
    return {name: ScheduleStore(client, space, name) for name in queues}


def find(config: Config, name: str, queue: str | None) -> tuple[str, ScheduleStore]:
    """Find the queue that has a schedule of this name; end the command where none or several do."""
    read_name(name)
    places = stores(config, queue)
    names = {place: list(store.mentions()) for place, store in places.items()}
    found = [place for place, known in names.items() if name in known]
    if len(found) > 1:
        raise click.UsageError(
            f"schedule {name!r} is on the queues {one_of(found)}; expected one; say which by --queue"
        )
    if not found:
        _end(name, [each for known in names.values() for each in known])
    return found[0], places[found[0]]


def _end(name: str, known: list[str]) -> NoReturn:
    expected = f"there are {one_of(known)}{nearest(name, known)}" if known else "there is none"
    click.echo(f"jobd: schedule {name!r}: not there; {expected}", err=True)
    raise click.exceptions.Exit(EX_NOINPUT)


def spell(slots: Slots | None, at: int | None, now: int) -> str:
    """Write an instant in the schedule's own zone, and how far away it is."""
    if at is None or slots is None:
        return ""
    span = (at - now) / 1000
    distance = f"in {words(span)}" if span >= 0 else f"{words(-span)} ago"
    return f"{stamp(local_time(slots, at))} ({distance})"


def stamp(local: datetime) -> str:
    """Write a time with its zone: both its short name, where it has one, and its offset."""
    zone = local.tzname() or ""
    named = f" {zone}" if zone[:1].isalpha() else ""
    return f"{local.isoformat(' ', 'seconds')}{named}"


def when(info: ScheduleInfo) -> str:
    """Say when it fires; the zone always with it."""
    if info.cron:
        return f"{info.cron} ({info.tz})"
    return f"every {words(info.every)}" if info.every else "?"


def make(verb: str, help_text: str, act: Callable[[ScheduleStore, str], str]) -> click.Command:
    """Make the command of a verb that answers with a word."""

    @click.command(verb, help=help_text)
    @click.argument("name")
    @queue_option
    @config_option
    @url_option
    @json_option
    def command(
        name: str,
        queue: str | None,
        config_file: str | None,
        redis_url: str | None,
        as_json: bool,
    ) -> int:
        config = settings.read(settings.find_file(config_file), url=redis_url)
        place, store = find(config, name, queue)
        word = act(store, name)
        if as_json:
            print_json({"name": name, "queue": place, "outcome": word})
        else:
            click.echo(f"{word} {name} on {place}")
        return EX_NOINPUT if word == "gone" else 0

    return command
