"""Workers, watched for their ends: who is, by which descriptor, and what each said last.

Invariant: our child does not go before it is waited for, watched or not; without a file handle it is
watched later. Called by jobd.supervisor.ears and jobd.supervisor.hands.
"""

from __future__ import annotations

import selectors
from collections.abc import Iterable

from jobd.core.events import LookFailed
from jobd.seams.exits import Exit
from jobd.seams.host import handles_left
from jobd.seams.log import Emit
from jobd.supervisor.children import Children
from jobd.supervisor.fleet import Fleet
from jobd.supervisor.orders import Watch, WorkerExited
from jobd.supervisor.outlet import Run
from jobd.supervisor.outlets import Outlets
from jobd.supervisor.outlook import Outlook


class Watched:
    """The workers among `children`, for a loop that waits on `selector`."""

    def __init__(
        self,
        *,
        children: Children,
        selector: selectors.BaseSelector,
        outlook: Outlook,
        outlets: Outlets,
        emit: Emit,
    ) -> None:
        self._children = children
        self._selector = selector
        self._outlook = outlook
        self._outlets = outlets
        self._emit = emit
        self._unwatched: list[Watch] = []  # for want of a file handle

    def watch(self, order: Watch, fleet: Fleet) -> WorkerExited | None:
        """Watch one; give its end where it has ended and is gone."""
        try:
            child = self._children.watch(order.incarnation, order.pid)
        except OSError as refused:
            self._emit(LookFailed(why=str(refused)))
            self._unwatched.append(order)
            return None
        if child is None:
            return self.last_words(order.incarnation, Exit(), fleet)
        data = ("worker", order.incarnation)
        self._selector.register(child.pidfd, selectors.EVENT_READ, data)
        return None

    def watch_the_rest(self, fleet: Fleet) -> list[WorkerExited]:
        """Watch those for whom there was no file handle, while there is one; give their ends."""
        ends = []
        while self._unwatched and handles_left(1):
            if end := self.watch(self._unwatched.pop(), fleet):
                ends.append(end)
        return ends

    def collect(self, incarnations: Iterable[str]) -> list[tuple[str, Exit]]:
        """Let go of those that have ended; say how."""
        table, ends = self._children.workers, []
        for incarnation in incarnations:
            if how := self._children.ended(table, incarnation):
                self._selector.unregister(table[incarnation].pidfd)
                self._children.drop(table, incarnation)
                ends.append((incarnation, how))
        return ends

    def last_words(self, incarnation: str, how: Exit, fleet: Fleet) -> WorkerExited:
        """Read what is left of its output, and its page."""
        self._outlets.end(incarnation, lambda name: self.run_of(name, fleet))
        child = fleet.children.get(incarnation)
        if child is None:
            return WorkerExited(incarnation, how)
        return self._outlook.last(child, how)

    def run_of(self, incarnation: str, fleet: Fleet) -> Run | None:
        """Give the job that runs in a worker, when it is exactly one."""
        child = fleet.children.get(incarnation)
        return None if child is None else self._outlook.only_run(incarnation, child.page)
