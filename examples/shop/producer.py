"""The shop's front: places orders and adds the jobs that follow from them.

A process of its own, as a web application would be: it adds and goes on, and never runs a task.
`python -m examples.shop.producer ORDERS CLOSES_AT UNTIL` adds until all is added or the shop closes,
then waits for the end of every job. The times are CLOCK_MONOTONIC seconds.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import islice
from typing import TypeVar

from PIL import Image

from examples.shop.customers import DAYS, FIRST_DAY, orders
from examples.shop.orders import Orders
from examples.shop.pictures import SIZES
from examples.shop.settings import Settings, settings
from examples.shop.tasks import (
    ask_for_review,
    book_carrier,
    cover,
    images,
    mail,
    reports,
    sales_report,
    supplier_stock,
)
from examples.shop.till import New, Till

ALL_ADDED = "all-added"  # an empty file: from now on the ledger is complete
EXPRESS, LATER = {"priority": 1}, {"priority": 10}
ASK_EVERY, ASK_AFTER = 10, 2.0  # each tenth customer is asked for a review, 2 s later
AT_ONCE = {"order-confirmation": 250, "thumbnail": 12}  # jobs

T = TypeVar("T")


def main(argv: list[str]) -> int:
    """Add everything, then wait until it has ended."""
    count, closes_at, until = int(argv[1]), float(argv[2]), float(argv[3])
    here = settings()
    till, database = Till(here.folder), Orders(here.orders)
    database.create()
    _troublemakers(till, here)
    _serve(
        till,
        {
            "order-confirmation": _orders(till, database, count),
            "thumbnail": _pictures(till, here),
        },
        closes_at,
    )
    _reports(till)
    (here.folder / ALL_ADDED).touch()
    till.close(until)
    return 0


def planned(count: int, photos: int) -> dict[str, int]:
    """Count the jobs by queue that will be added if the shop does not close before."""
    return {
        "mail": count + count // ASK_EVERY,
        "images": photos * len(SIZES) + 1,
        "reports": DAYS + 4,
    }


def _serve(till: Till, doors: dict[str, Iterator[None]], closes_at: float) -> None:
    """Let customers in while the shop is open, but not when many stand in line already.

    So a slow machine gets as many jobs as it can do in the same time. Your own front need not do
    this: a queue may be as long as Redis has memory.
    """
    while doors and time.monotonic() < closes_at:
        for task, door in list(doors.items()):
            if till.in_line(task) < AT_ONCE[task] and next(door, "empty") == "empty":
                del doors[task]
        time.sleep(0.02)


def _orders(till: Till, database: Orders, count: int) -> Iterator[None]:
    for some in _chunks(orders(count), AT_ONCE["order-confirmation"]):
        # First the order, then its jobs: a worker may be quicker than we are, and must find it.
        database.place(some)
        till.add_many(
            mail,
            [
                ("order-confirmation", {"order_id": order.id}, EXPRESS if order.express else {})
                for order in some
            ],
        )
        for order in some:
            if order.id % ASK_EVERY == 0:
                till.add(ask_for_review, {"order_id": order.id}, delay=ASK_AFTER)
        yield


def _pictures(till: Till, here: Settings) -> Iterator[None]:
    jobs: Iterator[New] = (
        # Small ones are on every page, so they come first.
        ("thumbnail", {"photo": photo.name, "size": size}, {"priority": 2 + SIZES.index(size)})
        for photo in sorted(here.photos.iterdir())
        for size in SIZES
    )
    for some in _chunks(jobs, AT_ONCE["thumbnail"]):
        till.add_many(images, some)
        yield


def _reports(till: Till) -> None:
    days = [(FIRST_DAY + timedelta(days=n)).isoformat() for n in range(DAYS)]
    till.add_many(reports, [("day-report", {"day": day}, LATER) for day in days])
    till.add(sales_report, {}, priority=10)


def _troublemakers(till: Till, here: Settings) -> None:
    """One that fails twice, one that takes its process down, two whose other side never answers."""
    till.add(book_carrier, {"order_id": 1}, priority=1)
    till.add(cover, {"photo": _one_photo(here), "size": 1200}, priority=1, delay=1.0)
    till.add(supplier_stock, {"supplier": "Slow & Sons", "wakes_up": True}, delay=2.0)
    till.add(supplier_stock, {"supplier": "Gone Ltd", "wakes_up": False}, delay=4.0)


def _one_photo(here: Settings) -> str:
    """Name a picture that can be read; the user's folder may hold others."""
    photos = sorted(here.photos.iterdir())
    for path in photos:
        with contextlib.suppress(OSError), Image.open(path):
            return path.name
    return photos[0].name


def _chunks(things: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(things)
    while some := list(islice(rest, size)):
        yield some


if __name__ == "__main__":
    sys.exit(main(sys.argv))
