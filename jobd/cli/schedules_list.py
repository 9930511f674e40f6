"""`jobd schedules list`: every schedule, when it fires next and when it did last."""

from __future__ import annotations

import click
import msgspec

from jobd.broker.schedule_records import ScheduleInfo
from jobd.cli import settings
from jobd.cli.options import config_option, json_option, url_option
from jobd.cli.output import print_json
from jobd.cli.schedules import queue_option, spell, stores, when
from jobd.cli.table import print_table

_PRIVATE = ("args", "options")


@click.command("list")
@queue_option
@config_option
@url_option
@json_option
def command(
    queue: str | None, config_file: str | None, redis_url: str | None, as_json: bool
) -> None:
    """List schedules. Times are in each schedule's own zone."""
    config = settings.read(settings.find_file(config_file), url=redis_url)
    places = stores(config, queue)
    found = [info for store in places.values() for info in store.all()]
    if as_json:
        print_json([_public(info) for info in found])
    elif found:
        now = next(iter(places.values())).time()
        heads = ("NAME", "QUEUE", "TASK", "WHEN", "NEXT", "LAST")
        print_table(heads, [_row(info, now) for info in found], elastic=("TASK",), remark="NOTE")
    else:
        where = f"on queue {queue!r}" if queue else f"in namespace {config.redis.namespace!r}"
        click.echo(f"no schedule {where}", err=True)


def _public(info: ScheduleInfo) -> dict[str, object]:
    fields: dict[str, object] = msgspec.to_builtins(info)
    return {name: value for name, value in fields.items() if name not in _PRIVATE}


def _row(info: ScheduleInfo, now: int) -> tuple[str, ...]:
    slots = info.slots()
    upcoming = "paused" if info.paused else spell(slots, info.next_at, now)
    last = spell(slots, info.last_slot, now)
    return info.name, info.queue, info.task, when(info), upcoming, last, _note(info, slots, now)


def _note(info: ScheduleInfo, slots: object, now: int) -> str:
    parts = []
    if slots is None:
        parts.append("its zone or its time is unknown on this host")
    if info.missed_slots:
        parts.append(f"{info.missed_slots} missed ({info.missed})")
    if info.is_forsaken(now):
        parts.append("declared by no host for ten minutes: it does not fire")
    return ", ".join(parts)
