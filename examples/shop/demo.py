"""`jobd demo`: the shop at work for half a minute, with accidents, and an account at the end.

It makes an output folder, starts a Redis, a mail server, the daemon and a producer, kills one worker
in the middle, waits until every job has ended, stops the daemon and counts: what jobd says of each
job against the mails, pictures and reports that are there. Exit status 1 if they differ in a single
job, 2 for wrong arguments, 130 after ^C.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from examples.shop.effects import Line, Reader
from examples.shop.producer import ADDED, LEDGER
from examples.shop.settings import settings
from examples.shop.show import account, evidence, photos
from examples.shop.show.accident import Accident, Culprit
from examples.shop.show.runs import Runs
from examples.shop.show.screen import Screen, span
from examples.shop.show.stage import PROCESSES, Stage, StageError
from jobd import JobdError

ORDERS = 2500
MOST_ORDERS = 50_000
LIMIT = 40.0
ALMOST = 10  # jobs
QUIET = 1.0  # seconds without a word from any task, when almost all are done
VERY_QUIET = 3.0  # the same, when they are not: those left have died, or nobody runs them
MOST_TOLD = 12  # repeats worth a line on the screen
_LOOK_EVERY = 0.005
_SHOW_EVERY = 0.1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; give the exit status."""
    options = _options().parse_args(argv)
    console = Console(highlight=False)
    folder = _folder(options.output)
    if folder is None:
        console.print(f"{options.output}: is not empty; name another folder", markup=False)
        return 2
    try:
        return _run(console, folder, options)
    except (StageError, JobdError) as error:
        console.print(f"The demo cannot go on. {error}", markup=False, soft_wrap=True)
        console.print(f"Logs: {folder}", markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped.")
        return 130


def _run(console: Console, folder: Path, options: argparse.Namespace) -> int:
    with (
        Screen(console) as screen,
        Stage(folder, orders=options.orders, redis_url=options.redis_url) as stage,
    ):
        screen.say(_make_photos(options.images, folder / "photos"))
        stage.open()
        workers = sum(PROCESSES.values())
        screen.say(f"Redis, mail server and daemon started, with {workers} worker processes")
        stage.start_producer()
        shift = Shift(stage, screen, options.limit)
        shift.work()
        screen.say("all jobs ended; asking jobd about each of them")
        stage.ask_for_endings()
        asked_at = time.monotonic()
        status = stage.stop_daemon()
        screen.say(f"daemon stopped by SIGTERM in {time.monotonic() - asked_at:.1f} s")
        counts = stage.ask("queues", "list")
    here = settings()
    everything = evidence.collect(here, evidence.read_effects(here), counts)
    found = account.problems(everything)
    if status != 0:
        found.append(f"daemon: exit status {status}; expected 0")
    if shift.accident is None:
        found.append("no worker was killed: none was found in the middle of a job")
    if shift.late:
        found.append(f"not finished within {options.limit:g} s")
    account.show(console, everything, shift.accident)
    return account.verdict(console, everything, found, folder)


class Shift:
    """The time in which the jobs run: shows progress, and causes the accident."""

    def __init__(self, stage: Stage, screen: Screen, limit: float) -> None:
        self.accident: Accident | None = None
        self.late = False
        self._stage = stage
        self._screen = screen
        self._give_up_at = time.monotonic() + limit
        self._runs = Runs()
        self._added: Counter[str] = Counter()
        self._all_added = False
        self._heard_at = time.monotonic()
        self._told = 0

    def work(self) -> None:
        """Watch until all jobs have ended, as far as can be seen. Raises StageError."""
        assert self._stage.daemon is not None
        reader = Reader(settings().effects)
        culprit = Culprit(self._stage.daemon.pid)
        shown_at = 0.0
        while not self._over():
            now = time.monotonic()
            if lines := reader.new():
                self._runs.add(lines)
                self._heard_at = now
                self._tell_of_repeats(lines)
            if self.accident is None:
                self._perhaps_strike(culprit)
            if now - shown_at > _SHOW_EVERY:
                shown_at = now
                self._read_ledger()
                self._screen.update(self._runs.finished, self._added)
                if trouble := self._stage.troubled():
                    raise StageError(trouble)
            time.sleep(_LOOK_EVERY)
        reader.close()

    def _over(self) -> bool:
        self.late = time.monotonic() > self._give_up_at
        left = self._added.total() - self._runs.finished.total()
        quiet_for = time.monotonic() - self._heard_at
        quiet = quiet_for > (QUIET if left <= ALMOST else VERY_QUIET)
        return self.late or (self._all_added and (left == 0 or quiet))

    def _perhaps_strike(self, culprit: Culprit) -> None:
        """In the middle: when a third of the pictures is done; else in whatever still runs."""
        done, added = self._runs.finished["images"], self._added["images"]
        if not added or done < added / 3:
            return
        queue = "images" if done < added else "mail"
        self.accident = culprit.strike(queue, self._runs)
        if self.accident is not None:
            title, pid = self.accident.title, self.accident.pid
            self._screen.say(f"SIGKILL to '{title}' (pid {pid}) in {self.accident.run.task}")

    def _tell_of_repeats(self, lines: list[Line]) -> None:
        for line in lines:
            runs = self._runs.by_job[line.job]
            if line.what != "start" or len(runs) < 2 or self._told == MOST_TOLD:
                continue
            before, last = runs[-2:]
            self._told += 1
            if self.accident is not None and before is self.accident.run:
                since = f"{span(last.started_at - self.accident.at)} after the SIGKILL"
            elif before.ended_at is not None:
                since = f"{span(last.started_at - before.ended_at)} after it failed"
            else:
                since = (
                    f"{span(last.started_at - before.started_at)} after a start that never ended"
                )
            self._screen.say(f"{line.task} runs again, {since}")

    def _read_ledger(self) -> None:
        if self._all_added:
            return
        folder = settings().folder
        finished = (folder / ADDED).exists()  # before the ledger is read, or its end is missed
        if not (folder / LEDGER).exists():
            return
        with (folder / LEDGER).open() as lines:
            self._added = Counter(json.loads(s)["queue"] for s in lines if s.endswith("\n"))
        self._all_added = finished
        if finished:
            summary = json.loads((folder / ADDED).read_text())
            self._screen.say(f"producer: {summary['jobs']:,} jobs in {summary['seconds']:.1f} s")


def _make_photos(source: Path | None, folder: Path) -> str:
    if source is None:
        return f"{photos.generate(folder)} pictures made"
    count = photos.borrow(source, folder)
    if not count:
        raise StageError(f"--images {source}: no picture below it; expected jpg, png, webp, …")
    return f"{count} pictures found in {source}"


def _folder(given: Path | None) -> Path | None:
    """Make the output folder; None when it has something in it already."""
    folder = given or Path("demo-output", time.strftime("%Y%m%d-%H%M%S"))
    folder.mkdir(parents=True, exist_ok=True)
    return None if any(folder.iterdir()) else folder.absolute()


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jobd demo",
        description="A shop at work for half a minute, with an account at the end.",
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
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text}: not a folder; expected one with pictures in it")
    return Path(text)


def _count(text: str) -> int:
    if text.isdigit() and 1 <= int(text) <= MOST_ORDERS:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text}: expected a whole number from 1 to {MOST_ORDERS:,}")


if __name__ == "__main__":
    sys.exit(main())
