"""Stacks that were asked for and have not come yet. Called by the loop.

Invariant: nothing here waits; who does not answer within a second is said not to have, and every
question ends in exactly one event.
"""

from __future__ import annotations

import math
import os

import msgspec

from jobd.core.progress_events import Stacks, StacksMissing
from jobd.seams.log import Emit
from jobd.seams.stacks import Asked, own
from jobd.supervisor.children import Children
from jobd.supervisor.fleet import Fleet
from jobd.supervisor.orders import Dump, Dumped, Observation

PATIENCE = 0.9  # less than what the condemned are given (jobd.supervisor.watchdog)
# An answer is whole when it did not grow from one look to the next.
LOOK_EVERY = 0.05


class _Question(msgspec.Struct, frozen=True):
    name: str  # an incarnation or a helper's name
    who: str
    pid: int
    why: str
    asked: Asked
    until: float


class Dumps:
    """Questions under way."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._open: list[_Question] = []
        self.due = math.inf
        """When to call `collect` next."""

    def ask(self, order: Dump, children: Children, fleet: Fleet, now: float) -> None:
        """Have a process write its stacks, if it is there."""
        child = children.workers.get(order.who) or children.helpers.get(order.who)
        if child is None or any(question.name == order.who for question in self._open):
            return  # one answer does for all who ask meanwhile: asking again would cut it off
        worker = fleet.children.get(order.who)
        who = order.who if worker is None else worker.slot  # what people call it
        asked = Asked(child.pid, child.pidfd)
        self._open.append(_Question(order.who, who, child.pid, order.why, asked, now + PATIENCE))
        self.due = min(self.due, now + LOOK_EVERY)

    def own(self) -> None:
        """Say where the supervisor itself is."""
        self._emit(Stacks(who="supervisor", pid=os.getpid(), why="SIGUSR1", stacks=own()))

    def collect(self, now: float) -> list[Observation]:
        """Say what has come, and whose question is settled with it."""
        if now < self.due:
            return []
        settled = [question for question in self._open if self._settle(question, now)]
        self._open = [question for question in self._open if question not in settled]
        self.due = now + LOOK_EVERY if self._open else math.inf
        return [Dumped(question.name) for question in settled]

    def _settle(self, question: _Question, now: float) -> bool:
        asked = question.asked
        if not (asked.answered() or asked.lacking or now >= question.until):
            return False
        where = asked.where()
        who, pid, why = question.who, question.pid, question.why
        if text := asked.text():
            self._emit(Stacks(who=who, pid=pid, why=why, stacks=text))
        else:
            reason = f"{asked.lacking or f'no answer within {PATIENCE:g} s'}; {where}"
            self._emit(StacksMissing(who=who, pid=pid, why=why, reason=reason))
        return True
