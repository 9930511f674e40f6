"""The clients of the control socket: what they ask for, as observations, and their answers.

Invariant: an answer goes out when state.json is written, so whoever then looks into it finds what was
asked for. Called by jobd.supervisor.loop, its ears and hands.
"""

from __future__ import annotations

from typing import assert_never

from jobd.seams.control import Asked, Control
from jobd.seams.requests import Dump, Ping, Recycle, Refusal, Reload, Scale, Stop
from jobd.supervisor.orders import (
    Answer,
    Observation,
    RecycleAsked,
    ReloadAsked,
    ScaleAsked,
    StacksAsked,
    StopAsked,
)

# The code of an answer that says why nothing was done.
REFUSED = "refused"


class Clients:
    """Whoever is connected, and the answers that are due."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._answers: list[Answer] = []

    def fileno(self) -> int:
        """Give the descriptor that is readable when somebody asks."""
        return self._control.fileno()

    def hear(self) -> list[Observation]:
        """Take what was asked; what is known at once is answered with the rest."""
        seen: list[Observation] = []
        for asked in self._control.take():
            for said in read(asked):
                if isinstance(said, Answer):
                    self.answer(said)
                else:
                    seen.append(said)
        return seen

    def answer(self, answer: Answer) -> None:
        """Keep an answer for `reply`."""
        self._answers.append(answer)

    def reply(self) -> None:
        """Send the answers that are due."""
        for answer in self._answers:
            error = None if answer.error is None else Refusal(REFUSED, answer.error)
            self._control.answer(answer.client, ok=answer.told, error=error)
        self._answers.clear()


def read(asked: Asked) -> list[Observation | Answer]:
    """Read one request."""
    client = asked.client
    match asked.request:
        case Ping():
            return [Answer(client)]
        case Reload(everything):
            return [ReloadAsked(everything, client)]
        case Stop(now):
            return [StopAsked(now=now), Answer(client)]
        case Recycle(slot):
            return [RecycleAsked(slot, client)]
        case Scale(queue, to, by):
            return [ScaleAsked(queue, to, by, client)]
        case Dump(slot, tell):
            return [StacksAsked(slot, client, tell)]
        case _:
            assert_never(asked.request)
