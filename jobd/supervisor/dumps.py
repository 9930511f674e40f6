"""Stacks that were asked for and have not come yet. Called by the loop.

Invariant: nothing here waits; who does not answer within a second is said not to have, and every
question ends in exactly one event. Who wants the stacks themselves gets them when the last of them has
come: so many bytes, and of the rest the number.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable

import msgspec

from jobd.core.progress_events import Stacks, StacksMissing
from jobd.seams.log import Log
from jobd.seams.requests import Stack
from jobd.seams.stacks import Asked, own
from jobd.supervisor.children import Children
from jobd.supervisor.fleet import Fleet
from jobd.supervisor.orders import Answer, Dump, Dumped, Observation, Tell

# Of the text that one client is told, in bytes.
MOST_TOLD = 256 << 10
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


class Listener:
    """A client that waits for the stacks of some."""

    def __init__(self, client: int, names: set[str], processes: int) -> None:
        self.client = client
        self.names = names
        self._processes = processes
        self._told: list[Stack] = []
        self._left_out = 0
        self._unlogged = 0
        self._size = 0

    def hear(self, name: str, stack: Stack, *, unlogged: bool) -> None:
        if name not in self.names:
            return
        self.names.discard(name)
        self._unlogged += unlogged
        self._size += len(stack.text.encode())
        if stack.text and self._size > MOST_TOLD:
            self._left_out += 1
        else:
            self._told.append(stack)

    def answer(self) -> Answer:
        told = {
            "stacks": self._told, "left_out": self._left_out, "unlogged": self._unlogged,
        }  # fmt: skip
        return Answer(self.client, None, {"processes": self._processes} | told)


class Dumps:
    """Questions under way. `answer` takes what a client is to be told."""

    def __init__(self, emit: Log, answer: Callable[[Answer], None]) -> None:
        self._emit = emit
        self._answer = answer
        self._open: list[_Question] = []
        self._listeners: list[Listener] = []
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

    def tell(self, order: Tell) -> None:
        """Have a client hear what comes of those that are asked just now."""
        names = {question.name for question in self._open if question.name in order.who}
        self._listeners.append(Listener(order.client, names, len(order.who)))
        self._answer_listeners()

    def _answer_listeners(self) -> None:
        for listener in self._listeners:
            if not listener.names:
                self._answer(listener.answer())
        self._listeners = [listener for listener in self._listeners if listener.names]

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
        self._answer_listeners()
        return [Dumped(question.name) for question in settled]

    def _settle(self, question: _Question, now: float) -> bool:
        asked = question.asked
        if not (asked.answered() or asked.lacking or now >= question.until):
            return False
        where = asked.where()
        who, pid, why = question.who, question.pid, question.why
        if text := asked.text():
            self._emit(Stacks(who=who, pid=pid, why=why, stacks=text))
            stack = Stack(who, pid, text)
        else:
            reason = f"{asked.lacking or f'no answer within {PATIENCE:g} s'}; {where}"
            self._emit(StacksMissing(who=who, pid=pid, why=why, reason=reason))
            stack = Stack(who, pid, missing=reason)
        unlogged = self._emit.loses
        for listener in self._listeners:
            listener.hear(question.name, stack, unlogged=unlogged)
        return True
