"""What clients of the control socket ask for, as observations; or the answer, where it is known at once."""

from __future__ import annotations

from typing import assert_never

from jobd.seams.control import Asked
from jobd.seams.requests import Dump, Ping, Recycle, Reload, Scale, Stop
from jobd.supervisor.orders import (
    Answer,
    Observation,
    RecycleAsked,
    ReloadAsked,
    ScaleAsked,
    StopAsked,
)


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
        case Dump():
            return [Answer(client, "dump: not possible yet")]
        case _:
            assert_never(asked.request)
