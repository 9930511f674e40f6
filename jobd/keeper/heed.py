"""Duty: what was ordered about a running job reaches it, through the page of its worker.

Looked at a few times a second, for queues where a worker of this host runs something: a job that
nobody cancels costs nothing, an idle queue neither. Each look writes what stands; a mark for a run
that has ended meanwhile is nobody's. An order to kill is carried out by the supervisor, who reads
the same page, in two looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from jobd.broker.commands import Order
from jobd.broker.store import Store
from jobd.keeper.fleet import Alive
from jobd.seams.scoreboard import Scoreboard
from jobd.seams.scoreboard_page import Page
from jobd.seams.scoreboard_views import mark_of

EVERY = 0.3


def heed(alive: Iterable[Alive], *, board: Scoreboard, store: Callable[[str], Store]) -> int:
    """Look once; give how many runs of this host are under an order. Raises BrokerError."""
    working: dict[str, dict[str, Page]] = {}
    for worker in alive:
        page = board.pages[worker.page]
        view = page.view()
        if view is not None and view.incarnation == worker.incarnation and view.cells:
            working.setdefault(worker.queue, {})[worker.incarnation] = page
    told = 0
    for queue, pages in working.items():
        for order in store(queue).heed():
            if order.incarnation in pages:
                told += _tell(pages[order.incarnation], order)
    return told


def _tell(page: Page, order: Order) -> int:
    view = page.view()
    for cell in view.cells if view is not None else ():
        if (cell.job_id, cell.claim) == (order.job_id, order.claim):
            mark = mark_of(order.job_id, order.claim)
            page.cancel(cell.index, mark, condemn=order.word == "kill")
            return 1
    return 0
