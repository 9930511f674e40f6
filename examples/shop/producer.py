"""The shop's front: places orders and adds the jobs that follow from them.

A process of its own, as a web application would be: it adds and goes on, and never runs a task.
When it has added everything it waits for a line on stdin, asks jobd through its handles how every
job ended, writes that to `endings.ndjson` and leaves. `python -m examples.shop.producer ORDERS`.
"""

from __future__ import annotations

import contextlib
import json
import random
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from PIL import Image

from examples.shop.files import whole
from examples.shop.orders import Order, Orders
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
from jobd import JobHandle

LEDGER, ADDED, ENDINGS = "added.ndjson", "added.json", "endings.ndjson"
FINAL = {"completed", "dead", "cancelled"}
EXPRESS, LATER = {"priority": 1}, {"priority": 10}
FIRST_DAY, DAYS = date(2026, 1, 1), 28
ASK_EVERY = 10
ALL_ENDED_WITHIN = 10.0

_NAMES = ("Ada", "Grace", "Alan", "Edsger", "Barbara", "Tony", "Leslie", "Frances", "Ken", "Radia")
_ITEMS = (("teapot", 3490), ("notebook", 890), ("lamp", 5900), ("chair", 12900), ("poster", 1500))


class Till:
    """Adds jobs and keeps the receipt of each: its handle, and a line in the ledger."""

    def __init__(self, ledger: Path) -> None:
        self.handles: dict[str, JobHandle[Any]] = {}
        self._ledger = ledger.open("a")

    def book(self, jobs: Iterable[tuple[JobHandle[Any], str, dict[str, Any]]]) -> None:
        """Write down what was added: the handle, the task and its arguments."""
        for handle, task, args in jobs:
            if handle.outcome != "enqueued":
                raise RuntimeError(f"job {handle.id}: {handle.outcome}; expected enqueued")
            self.handles[handle.id] = handle
            line = {"id": handle.id, "queue": handle.queue, "task": task, "args": args}
            self._ledger.write(json.dumps(line) + "\n")
        self._ledger.flush()


def main(argv: list[str]) -> int:
    """Add everything, then answer how it ended."""
    here = settings()
    till = Till(here.folder / LEDGER)
    started = time.monotonic()
    orders = Orders(here.orders)
    orders.create()
    _orders(till, orders, int(argv[1]))
    _troublemakers(till, here)
    _pictures(till, here)
    _reports(till)
    summary = {"jobs": len(till.handles), "seconds": time.monotonic() - started}
    with whole(here.folder / ADDED) as temporary:
        temporary.write_text(json.dumps(summary))
    sys.stdin.readline()
    return 0 if _write_endings(till, here) else 1


def _orders(till: Till, orders: Orders, count: int) -> None:
    for chunk in batched_orders(count):
        # First the order, then its jobs: a worker may be quicker than we are, and must find it.
        orders.place(chunk)
        jobs = [
            ("order-confirmation", {"order_id": order.id}, EXPRESS if order.express else {})
            for order in chunk
        ]
        handles = mail.add_many(jobs)
        till.book((h, task, args) for h, (task, args, _) in zip(handles, jobs, strict=True))
        for order in chunk:
            if order.id % ASK_EVERY == 0:
                handle = ask_for_review.using(delay="3s").enqueue(order_id=order.id)
                till.book([(handle, "ask-for-review", {"order_id": order.id})])


def _pictures(till: Till, here: Settings) -> None:
    jobs = [
        # Small ones are on every page, so they come first.
        ("thumbnail", {"photo": photo.name, "size": size}, {"priority": 2 + SIZES.index(size)})
        for photo in sorted(here.photos.iterdir())
        for size in SIZES
    ]
    handles = images.add_many(jobs)
    till.book((h, task, args) for h, (task, args, _) in zip(handles, jobs, strict=True))


def _troublemakers(till: Till, here: Settings) -> None:
    """One that fails twice, one that takes its process down, two whose other side never answers."""
    crash: dict[str, Any] = {"photo": _one_photo(here), "size": 1200}
    slow: dict[str, Any] = {"supplier": "Slow & Sons", "wakes_up": True}
    dead: dict[str, Any] = {"supplier": "Gone Ltd", "wakes_up": False}
    till.book([
        (book_carrier.using(priority=1).enqueue(1), "book-carrier", {"order_id": 1}),
        (cover.using(priority=1, delay="1s").enqueue(**crash), "cover", crash),
        (supplier_stock.using(delay="2s").enqueue(**slow), "supplier-stock", slow),
        (supplier_stock.using(delay="4s").enqueue(**dead), "supplier-stock", dead),
    ])  # fmt: skip


def _one_photo(here: Settings) -> str:
    """Name a picture that can be read; the user's folder may hold others."""
    for path in sorted(here.photos.iterdir()):
        with contextlib.suppress(OSError), Image.open(path):
            return path.name
    return min(path.name for path in here.photos.iterdir())


def _reports(till: Till) -> None:
    days = [(FIRST_DAY + timedelta(days=n)).isoformat() for n in range(DAYS)]
    handles = reports.add_many(("day-report", {"day": day}, LATER) for day in days)
    till.book((h, "day-report", {"day": day}) for h, day in zip(handles, days, strict=True))
    till.book([(sales_report.using(priority=10).enqueue(), "sales-report", {})])


def batched_orders(count: int, size: int = 500) -> Iterator[list[Order]]:
    """Make orders as they would come in. The same every time."""
    chance = random.Random(7)
    chunk = []
    for number in range(1, count + 1):
        item, price = chance.choice(_ITEMS)
        pieces = chance.randint(1, 4)
        name = chance.choice(_NAMES)
        chunk.append(
            Order(
                id=number,
                day=(FIRST_DAY + timedelta(days=(number - 1) * DAYS // count)).isoformat(),
                customer=name,
                address=f"{name.lower()}.{number}@customer.example",
                item=item,
                pieces=pieces,
                cents=pieces * price,
                express=chance.random() < 0.1,
            )
        )
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _write_endings(till: Till, here: Settings) -> bool:
    """Write how every job ended, as jobd's own record says; False if some have not ended."""
    open_ = dict(till.handles)
    give_up_at = time.monotonic() + ALL_ENDED_WITHIN
    with whole(here.folder / ENDINGS) as temporary, temporary.open("w") as file:
        while open_:
            last_look = time.monotonic() > give_up_at
            for job_id, handle in list(open_.items()):
                info = handle.info()
                if not last_look and (info is None or info.state not in FINAL):
                    continue
                del open_[job_id]
                file.write(json.dumps(_ending(job_id, info)) + "\n")
            if open_:
                time.sleep(0.05)
    return time.monotonic() < give_up_at


def _ending(job_id: str, info: Any) -> dict[str, Any]:
    if info is None:
        return {"id": job_id, "state": None}
    names = ("state", "cause", "error", "failed", "timeouts", "crashes", "lost", "interrupted")
    return {"id": job_id, **{name: getattr(info, name) for name in names}}


if __name__ == "__main__":
    sys.exit(main(sys.argv))
