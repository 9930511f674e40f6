"""Stacks that were asked for and have not come yet. Called by the loop.

Invariant: nothing here waits; who does not answer within a second is said not to have, and every
question ends in exactly one event.
"""

from __future__ import annotations

import math

import msgspec

from jobd.core.progress_events import Stacks, StacksMissing
from jobd.seams.log import Emit
from jobd.seams.stacks import Asked
from jobd.supervisor.children import Child

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

    def ask(self, name: str, child: Child, *, who: str, why: str, now: float) -> None:
        """Have a child write its stacks; `who` is what people call it."""
        asked = Asked(child.pid, child.pidfd)
        self._open.append(_Question(name, who, child.pid, why, asked, now + PATIENCE))
        self.due = min(self.due, now + LOOK_EVERY)

    def collect(self, now: float) -> list[str]:
        """Say what has come; give the names of those whose question is settled."""
        if now < self.due:
            return []
        settled = [question for question in self._open if self._settle(question, now)]
        self._open = [question for question in self._open if question not in settled]
        self.due = now + LOOK_EVERY if self._open else math.inf
        return [question.name for question in settled]

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
