"""`make demo`: the shop at work for a quarter of a minute, with accidents, and an account at the end.

It makes an output folder, starts a Redis, a mail server, the daemon and a producer, kills one worker
in the middle, waits until every job has ended, stops the daemon and counts: what jobd says of each
job against the mails, pictures and reports that are there. Exit status 1 if they differ in a single
job, 64 or 2 for wrong arguments, 130 after ^C.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from examples.shop.producer import planned
from examples.shop.settings import settings
from examples.shop.show import account, evidence, photos
from examples.shop.show.checks import problems
from examples.shop.show.screen import Screen
from examples.shop.show.shift import Shift
from examples.shop.show.stage import PROCESSES, Stage, StageError
from jobd import JobdError

ORDERS = 2000
MOST_ORDERS = 50_000
LIMIT = 40.0  # seconds until every job must have ended; the rest of the minute is for the account
WIDE = 120  # columns where there is no terminal: nothing is folded in a file
OPEN_FOR = 1 / 3  # of the limit the shop takes orders


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; give the exit status."""
    options = _options().parse_args(argv)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
    folder = _folder(options.output)
    if folder is None:
        console.print(f"--output {options.output}: is not empty; name a new folder", markup=False)
        return os.EX_USAGE
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        return _run(console, folder, options)
    except (StageError, JobdError) as error:
        console.print(f"The demo cannot go on. {error}", markup=False, soft_wrap=True)
        account.where(console, folder)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped; nothing of it runs any more.")
        return 130


def _run(console: Console, folder: Path, options: argparse.Namespace) -> int:
    until = time.monotonic() + options.limit
    with Screen(console) as screen, Stage(folder, options.redis_url) as stage:
        pictures = _make_photos(options.images, folder / "photos")
        screen.say(f"{pictures} pictures {'found' if options.images else 'made'}")
        stage.open()
        workers = sum(PROCESSES.values())
        screen.say(f"Redis, mail server and daemon started, with {workers} worker processes")
        stage.start_producer(
            options.orders, closes_at=time.monotonic() + options.limit * OPEN_FOR, until=until
        )
        shift = Shift(stage, screen, planned(options.orders, pictures))
        shift.work(until)
        is_late = time.monotonic() > until
        screen.say("time is up" if is_late else "all jobs have ended")
        evidence.note(settings(), stage.count(), shift.accident)
        asked_at = time.monotonic()
        status = stage.stop_daemon()
        screen.say(f"daemon stopped by SIGTERM in {time.monotonic() - asked_at:.1f} s")
    everything = evidence.collect(settings())
    found = problems(everything)
    if status != 0:
        found.append(f"daemon: exit status {status}; expected 0")
    account.show(console, everything)
    if is_late:
        _explain(console, options.limit)
    return account.verdict(console, everything, found)


def _explain(console: Console, limit: float) -> None:
    busy = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"
    console.print(
        f"[bold red]Time was up after {limit:g} s.[/] Either this machine is slow or busy ({busy}):\n"
        "try make demo ORDERS=300. Or jobd has lost sight of a job: see daemon.log.\n",
        highlight=False,
        soft_wrap=True,
    )


def _make_photos(source: Path | None, folder: Path) -> int:
    if source is None:
        return photos.generate(folder)
    if count := photos.borrow(source, folder):
        return count
    raise StageError(f"--images {source}: no picture below it; expected jpg, png, webp, …")


def _folder(given: Path | None) -> Path | None:
    """Make the output folder; None when it has something in it already."""
    folder = given or Path("demo-output", time.strftime("%Y%m%d-%H%M%S"))
    folder.mkdir(parents=True, exist_ok=True)
    return None if any(folder.iterdir()) else folder.absolute()


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt  # so that all is stopped as after ^C


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make demo",
        description="A shop at work for a quarter of a minute, with an account at the end.",
    )
    parser.add_argument(
        "--images", type=_existing, metavar="DIR", help="use your own pictures (they are only read)"
    )
    parser.add_argument(
        "--orders", type=_count, default=ORDERS, metavar="N", help=f"orders to make ({ORDERS})"
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="a new or empty folder")
    parser.add_argument(
        "--redis-url", metavar="URL", help="an empty Redis to use, instead of a private one"
    )
    parser.add_argument(
        "--limit", type=float, default=LIMIT, metavar="S", help=f"seconds for the jobs ({LIMIT:g})"
    )
    return parser


def _existing(text: str) -> Path:
    folder = Path(text).expanduser()
    if not folder.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: not a folder; expected one with pictures in it")
    return folder


def _count(text: str) -> int:
    if text.isdigit() and 1 <= int(text) <= MOST_ORDERS:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text}: expected a whole number from 1 to {MOST_ORDERS:,}")


if __name__ == "__main__":
    sys.exit(main())
