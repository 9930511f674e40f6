"""`jobd schedules preview`: the next runs of a schedule, or of a line of cron."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from jobd.cli import settings
from jobd.cli.options import config_option, json_option, url_option
from jobd.cli.output import print_json
from jobd.cli.schedules import find, queue_option, stamp, when
from jobd.cli.table import print_table
from jobd.core.errors import EX_NOINPUT
from jobd.core.preview import Run, preview
from jobd.core.schedule import read_timing
from jobd.core.slots import CronSlots, Slots, slots_of
from jobd.seams.clock import wall_ms


@click.command("preview")
@click.argument("name", required=False)
@click.option("--cron", metavar="LINE", help="A line of cron instead of a schedule's name.")
@click.option("--tz", metavar="ZONE", help="The zone of --cron. Default: UTC.")
@click.option("--every", metavar="DURATION", help="An interval instead of a schedule's name.")
@click.option(
    "--from", "start", metavar="DATE", help="Begin there, as in 2026-10-24 or with a time."
)
@click.option("-n", "count", type=click.IntRange(1, 1000), default=5, show_default=True)
@queue_option
@config_option
@url_option
@json_option
def command(
    name: str | None,
    cron: str | None,
    tz: str | None,
    every: str | None,
    start: str | None,
    count: int,
    queue: str | None,
    config_file: str | None,
    redis_url: str | None,
    as_json: bool,
) -> int:
    """Show the next runs, and what is odd about them where clocks change.

    Of a schedule by its NAME; or, without asking Redis, of --cron or --every.
    """
    note = ""
    if name is None:
        line, period = read_timing(cron, every, tz, what="preview")
        slots, now = slots_of(line, tz or "UTC", period), wall_ms()
        title = f"{line} ({tz or 'UTC'})" if line else f"every {every}"
    elif cron or every or tz:
        raise click.UsageError("preview: a name, and --cron, --every or --tz; drop either")
    else:
        config = settings.read(settings.find_file(config_file), url=redis_url)
        place, store = find(config, name, queue)
        info, now = store.get(name), store.time()
        recorded = None if info is None else info.slots()
        if info is None or recorded is None:
            click.echo(f"jobd: schedule {name!r} on {place}: cannot be reckoned here", err=True)
            return EX_NOINPUT
        slots, title = recorded, f"{name} on {place}: {when(info)}"
        note = "paused: none of these runs before it is resumed" if info.paused else ""
    _print(
        preview(slots, now if start is None else _read(start, slots), count), title, note, as_json
    )
    return 0


def _read(start: str, slots: Slots) -> int:
    """Read a date, in the schedule's zone where it says none. What is at that instant counts."""
    try:
        given = datetime.fromisoformat(start)
        if given.tzinfo is None:
            given = given.replace(tzinfo=slots.zone if isinstance(slots, CronSlots) else UTC)
        return int(given.timestamp() * 1000) - 1
    except (ValueError, OverflowError) as error:
        raise click.UsageError(
            f"--from {start!r}; expected a date, as in 2026-10-24 or 2026-10-24T12:00"
        ) from error


def _print(runs: list[Run], title: str, note: str, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "slot": run.slot,
                    "local": run.local.isoformat(),
                    "utc": _utc(run),
                    "remark": run.remark,
                }
                for run in runs
            ]
        )
        return
    click.echo(title)
    if note:
        click.echo(note)
    rows = [(stamp(run.local), _utc(run), run.remark) for run in runs]
    print_table(("LOCAL", "UTC"), rows, remark="NOTE")


def _utc(run: Run) -> str:
    return run.local.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
