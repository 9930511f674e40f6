"""The release of dead workers: many of them in few round trips, and each for itself.

Invariant: what is charged goes before the rest of its worker, or it would go back free; one that Redis
refuses is told of and holds up no other. All of it may be repeated (release.lua). Called by the
keeper, and by `Store.release` for one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from jobd.broker.bites import (
    ADD_BYTES,
    BITE,
    BLAME_BITE,
    RELEASE_BLAMES,
    RELEASE_CALLS,
    RELEASE_JOBS,
)
from jobd.broker.commands import Blame, Command, QueueCommands
from jobd.broker.connection import Client, run_each
from jobd.broker.replies import read_number
from jobd.core.errors import BrokerError


class Held(NamedTuple):
    """Jobs of which a worker may hold some, with the claims they would be held by."""

    commands: QueueCommands
    incarnation: str
    runs: Sequence[tuple[str, int]]

    def question(self) -> Command:
        """Spell it."""
        held = self.commands.keys.held(self.incarnation)
        return ["HMGET", held, *(job for job, _ in self.runs)]


class Release(NamedTuple):
    """A dead worker. `begun` is the last claim of which it has begun a job, where that is known."""

    commands: QueueCommands
    incarnation: str
    blamed: Sequence[Blame] = ()
    begun: int | None = None

    def part(self, blamed: Sequence[Blame] = (), *, limit: int) -> Command:
        """Spell one call: it charges some, and gives back so many of the others."""
        return self.commands.release(self.incarnation, blamed, limit, self.begun)


class _Call(NamedTuple):
    """A call about one of many, and how many jobs it charges."""

    which: int
    jobs: int
    command: Command

    def size(self) -> int:
        """Say how many bytes it is, about."""
        return sum(16 if isinstance(part, int) else 8 + len(part) for part in self.command)


def still_held(client: Client, asked: Sequence[Held]) -> list[list[bool] | BrokerError]:
    """Say of each run whether a dead worker still holds it; or why that is not to be known.

    Raises BrokerUnavailable.
    """
    told: list[list[bool] | BrokerError] = []
    calls = [_Call(at, 0, each.question()) for at, each in enumerate(asked)]
    for trip in _cut(calls, (_Call.size, ADD_BYTES)):
        for call, said in _carried_out(client, trip):
            runs = asked[call.which].runs
            told.append(said if isinstance(said, BrokerError) else _are_held(runs, said))
    return told


def _are_held(runs: Sequence[tuple[str, int]], claims: Sequence[bytes | None]) -> list[bool]:
    return [
        held is not None and read_number(held) == claim
        for (_, claim), held in zip(runs, claims, strict=True)
    ]


def release_all(client: Client, releases: Sequence[Release]) -> list[BrokerError | None]:
    """Give back everything that dead workers of this host held; for each None, or why it was refused.

    Raises BrokerUnavailable; then some are released, and some perhaps in part.
    """
    refused: dict[int, BrokerError] = {}
    _charge(client, releases, refused)
    # Not in the same round trip: a script that Redis has forgotten is sent again after the others.
    _give_back(client, releases, refused)
    return [refused.get(worker) for worker in range(len(releases))]


def _charge(client: Client, releases: Sequence[Release], refused: dict[int, BrokerError]) -> None:
    """Give back what is charged; tell who was `refused`."""
    calls = [
        _Call(worker, len(some), release.part(some, limit=0))
        for worker, release in enumerate(releases)
        for at in range(0, len(release.blamed), BLAME_BITE)
        if (some := release.blamed[at : at + BLAME_BITE])
    ]
    for trip in _cut(calls, (lambda call: call.jobs, RELEASE_BLAMES), (_Call.size, ADD_BYTES)):
        for call, reply in _carried_out(client, trip):
            if isinstance(reply, BrokerError):
                refused.setdefault(call.which, reply)


def _give_back(
    client: Client, releases: Sequence[Release], refused: dict[int, BrokerError]
) -> None:
    """Give back what is not charged, of all in turn, until nothing is held; tell who was `refused`."""
    line = deque(worker for worker in range(len(releases)) if worker not in refused)
    while line:
        workers = [line.popleft() for _ in range(min(len(line), RELEASE_CALLS))]
        limit = min(BITE, RELEASE_JOBS // len(workers))
        calls = [_Call(worker, 0, releases[worker].part(limit=limit)) for worker in workers]
        for call, reply in _carried_out(client, calls):
            if isinstance(reply, BrokerError):
                refused[call.which] = reply
            elif reply == [b"more"]:
                line.append(call.which)


def _carried_out(client: Client, calls: list[_Call]) -> Iterator[tuple[_Call, Any]]:
    """Give each call with its reply, or with what Redis refused it by; all of one round trip."""
    return zip(calls, run_each(client, [call.command for call in calls]), strict=True)


def _cut(
    calls: Iterable[_Call], *bounds: tuple[Callable[[_Call], int], int]
) -> Iterator[list[_Call]]:
    """Cut a row into round trips: by each measure the sum of one is within its bound, or it has one call."""
    trip: list[_Call] = []
    sums = [0] * len(bounds)
    for call in calls:
        sums = [total + measure(call) for total, (measure, _) in zip(sums, bounds, strict=True)]
        if trip and any(total > most for total, (_, most) in zip(sums, bounds, strict=True)):
            yield trip
            trip, sums = [], [measure(call) for measure, _ in bounds]
        trip.append(call)
    if trip:
        yield trip
