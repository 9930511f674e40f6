"""Duty: what a dead worker of this host held goes back at once; of many, in few round trips."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress

from jobd.broker.bites import RELEASE_CALLS
from jobd.broker.commands import QueueCommands
from jobd.broker.connection import Client
from jobd.broker.releases import Held, Release, release_all, still_held
from jobd.broker.store import Store
from jobd.core.errors import BrokerError
from jobd.core.events import Event
from jobd.core.store_events import ReleaseRefused, WorkerReleased
from jobd.keeper.charges import Boards, LastLook, blame, last_look
from jobd.keeper.fleet import Dead
from jobd.seams.scoreboard import Scoreboard


def release(
    dead: Sequence[Dead],
    *,
    client: Client,
    store: Callable[[str], Store],
    boards: Callable[[str], Scoreboard | None],
    now_ms: int,
) -> dict[str, BrokerError]:
    """Close leases and give back what was held; tell whom Redis refused to release, and why.

    Repeating it changes nothing. `dead` are RELEASE_CALLS at most. Raises BrokerUnavailable.
    """
    commands = {each.queue: store(each.queue).commands for each in dead}
    looks, refused = _only_held([last_look(each, boards) for each in dead], client, commands)
    releases = [
        Release(commands[look.dead.queue], look.dead.incarnation, blame(look, now_ms), look.begun)
        for look in looks
    ]
    for each, error in zip(releases, release_all(client, releases), strict=True):
        if error is not None:
            refused[each.incarnation] = error
    return refused


def _only_held(
    looks: list[LastLook], client: Client, commands: Mapping[str, QueueCommands]
) -> tuple[list[LastLook], dict[str, BrokerError]]:
    """Leave out who was settled, where several are accused of a crash; tell of whom Redis does not say it.

    Settled jobs stay in their cells; counted in, they made one that ran alone one of several.
    """
    unsure = [look for look in looks if look.is_crash_of_several]
    asked = [
        Held(
            commands[look.dead.queue],
            look.dead.incarnation,
            [(cell.job_id, cell.claim) for cell in look.accused],
        )
        for look in unsure
    ]
    known = [look for look in looks if not look.is_crash_of_several]
    refused = {}
    for look, held in zip(unsure, still_held(client, asked), strict=True):
        if isinstance(held, BrokerError):
            refused[look.dead.incarnation] = held
        else:
            known.append(look._replace(accused=list(compress(look.accused, held))))
    return known, refused


class Releaser:
    """Releases each dead worker once; `released` holds those the supervisor still has to hear of."""

    def __init__(
        self, *, client: Client, store: Callable[[str], Store], emit: Callable[[Event], None]
    ) -> None:
        self.released: set[str] = set()
        self._client = client
        self._store = store
        self._emit = emit
        self._boards = Boards()
        self._refused: set[str] = set()

    def work(self, dead: Iterable[Dead], now_ms: int) -> None:
        """Release who is not released yet, many in a round trip. Raises BrokerUnavailable.

        One that Redis refuses, whose queue's keys are of a wrong type say, holds up no other.
        """
        left = [each for each in dead if each.incarnation not in self.released]
        for at in range(0, len(left), RELEASE_CALLS):
            together = left[at : at + RELEASE_CALLS]
            refused = release(
                together, client=self._client, store=self._store, boards=self._boards, now_ms=now_ms
            )
            for each in together:
                self._note(each, refused.get(each.incarnation))

    def _note(self, dead: Dead, refused: BrokerError | None) -> None:
        if refused is None:
            self.released.add(dead.incarnation)
            self._emit(_released(dead))
        elif dead.incarnation not in self._refused:
            self._refused.add(dead.incarnation)
            self._emit(
                ReleaseRefused(incarnation=dead.incarnation, queue=dead.queue, why=str(refused))
            )


def _released(dead: Dead) -> WorkerReleased:
    return WorkerReleased(incarnation=dead.incarnation, queue=dead.queue, cause=dead.cause)
