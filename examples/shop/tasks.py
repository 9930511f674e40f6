"""The shop's jobd application: what may run in the background, and how often it may be tried.

Every task here may run twice: jobd promises at least once, and a process can die after the work and
before anybody knows of it. What makes that harmless is said at each task.
"""

from __future__ import annotations

import ctypes
import resource
import time
from datetime import date

from examples.shop import effects
from examples.shop.files import once, whole
from examples.shop.mail import confirmation, question, send_once
from examples.shop.orders import Orders
from examples.shop.pictures import make_thumbnail, thumbnail_path
from examples.shop.report import write_report
from examples.shop.settings import settings
from jobd import Exponential, Fixed, Job, Jobd

app = Jobd()  # JOBD_REDIS_URL says where

# A mail server that is away for a moment is no reason to lose a mail; asking again is safe, because
# send_once() looks first.
mail = app.queue("mail", attempts=5, backoff=Exponential("200ms", cap="30s"), timeout="30s")
images = app.queue("images", attempts=2, backoff=Fixed("200ms"), timeout="20s")
reports = app.queue("reports", attempts=3, backoff=Fixed("300ms"), timeout="20s")
PATIENCE = 1.0  # seconds for a supplier to answer


# --- mail -----------------------------------------------------------------------------------------


@mail.task("order-confirmation")
def confirm_order(job: Job, order_id: int) -> bool:
    """Confirm an order. Repeatable: the Message-ID is the order's, and what was sent is known."""
    with effects.run(job):
        orders = Orders(settings().orders)
        return send_once(confirmation(orders.get(order_id)), orders, settings())


@mail.task("ask-for-review", priority=8)
def ask_for_review(job: Job, order_id: int) -> bool:
    """Ask how the customer likes it. Meant to be added with a delay."""
    with effects.run(job):
        orders = Orders(settings().orders)
        return send_once(question(orders.get(order_id)), orders, settings())


# --- images ---------------------------------------------------------------------------------------


@images.task("thumbnail")
def thumbnail(job: Job, photo: str, size: int) -> list[int]:
    """Make one thumbnail. Repeatable: the same arguments write the same file, whole or not at all."""
    with effects.run(job):
        here = settings()
        target = thumbnail_path(here.thumbnails, photo, size)
        return list(make_thumbnail(here.photos / photo, target, size))


@images.task("cover")
def cover(job: Job, photo: str, size: int) -> list[int]:
    """Make a cover picture with a decoder that takes the process down, the first time.

    Native libraries do this. No `except` helps: the process is gone, and jobd brings the job back.
    A crash is counted apart from a failure; `max_crashes` (3) ends a job that always does it.
    """
    with effects.run(job):
        here = settings()
        if once(here.marks / f"{job.id}.crashed"):
            _segfault()
        target = thumbnail_path(here.thumbnails, photo, size)
        return list(make_thumbnail(here.photos / photo, target, size))


def _segfault() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # no core file in the user's folder
    ctypes.string_at(0)


# --- reports and partners -------------------------------------------------------------------------


@reports.task("day-report")
def day_report(job: Job, day: date) -> int:
    """Write one day's orders as CSV. `day` travels as text and arrives as a date."""
    with effects.run(job):
        here = settings()
        return write_report(here.reports / f"{day}.csv", Orders(here.orders).of_day(day))


@reports.task("sales-report")
def sales_report(job: Job) -> int:
    """Write all orders as CSV; the result is the number of rows."""
    with effects.run(job):
        here = settings()
        return write_report(here.reports / "sales.csv", Orders(here.orders).all())


@reports.task("book-carrier")
def book_carrier(job: Job, order_id: int) -> str:
    """Book a parcel with a carrier whose service says 503 twice before it works.

    The failure is raised, not handled: jobd waits (`backoff`) and runs the task again. The booking is
    a file named after the order: booked twice, it is still one.
    """
    with effects.run(job):
        if job.attempt <= 2:
            raise ConnectionError(f"carrier: 503 for order {order_id}, attempt {job.attempt}")
        booking = f"PARCEL-{order_id}"
        with whole(settings().folder / "bookings" / f"{order_id}.txt") as temporary:
            temporary.write_text(booking + "\n")
        return booking


@reports.task("supplier-stock", attempts=2, timeout=PATIENCE)
def supplier_stock(job: Job, supplier: str, *, wakes_up: bool) -> str:
    """Ask a supplier that does not answer: the first time, or ever.

    Nothing in this process ends the wait. After `timeout` jobd kills the process, counts a time-out,
    and starts the next attempt in a new one; after the last the job is dead, cause `timeout`.
    """
    with effects.run(job):
        if not (wakes_up and job.attempt > 1):
            time.sleep(3600)
        return f"{supplier}: in stock"
