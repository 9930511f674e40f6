"""What helpers say, read into observations. An unknown message is an observation of nothing.

Helpers are our own programs of the same version, but user code runs in the preloader: nothing it
could write on the channel may end the supervisor.
"""

from __future__ import annotations

import msgspec

from jobd.supervisor.demand import Waiting
from jobd.supervisor.orders import (
    Beat,
    Counted,
    Fenced,
    Forked,
    Loaded,
    LoadFailed,
    Observation,
    Released,
)
from jobd.supervisor.orders import Refused as RefusedFork


class _Ready(msgspec.Struct):
    queues: dict[str, object] = {}
    threads: int = 1
    code: str = ""
    note: str = ""


class _Forked(msgspec.Struct):
    incarnation: str
    pid: int


class _Refused(msgspec.Struct):
    incarnation: str
    why: str = ""


class _Message(msgspec.Struct):
    ready: _Ready | None = None
    failed: str | None = None
    forked: _Forked | None = None
    refused: _Refused | None = None
    released: list[str] = []
    fenced: list[str] = []
    beat: int | None = None
    rounds: int | None = None
    store: bool | None = None
    queues: dict[str, Waiting] = {}


def read(helper: str, message: object) -> list[Observation]:
    """Give what a message of this helper tells."""
    try:
        said = msgspec.convert(message, _Message)
    except msgspec.ValidationError:
        return []
    seen: list[Observation] = []
    if said.ready is not None:
        seen.append(Loaded(helper, tuple(said.ready.queues), said.ready.code, said.ready.note))
    if said.failed is not None:
        seen.append(LoadFailed(helper, said.failed))
    if said.forked is not None:
        seen.append(Forked(said.forked.incarnation, said.forked.pid))
    if said.refused is not None:
        seen.append(RefusedFork(said.refused.incarnation, said.refused.why))
    if said.released:
        seen.append(Released(tuple(said.released)))
    if said.fenced:
        seen.append(Fenced(tuple(said.fenced)))
    if said.store is not None and said.beat is None:
        seen.append(Counted(said.store, said.queues))
    if said.released or said.fenced or said.beat is not None:
        seen.append(Beat(helper, said.beat, said.rounds))
    return seen
