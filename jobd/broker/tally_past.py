"""How a queue's tally stood some time ago: kept every quarter of an hour, so that the last hour can be told.

Costs jobs nothing: one of the keepers has the server copy the tally, aside. Five copies are kept, of a queue
with ten tasks some 10 KB each; of a queue with very many fields none. Written by jobd.keeper, read for
dashboards.
"""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock
from typing import Any, NamedTuple

from jobd.broker.connection import Client, place_of, run_many, translated
from jobd.broker.keys import QueueKeys
from jobd.broker.scripts import SCRIPTS
from jobd.core.tally import QueueTally, read_tally

EVERY_MS = 900_000
KEPT = 5
MOST_FIELDS = 2000
# Copies of a time before this are not of the last hour: nobody was there to make newer ones.
_TOO_OLD_MS = 5_400_000


class Before(NamedTuple):
    """How a tally stood at an instant, ms."""

    at: int
    tally: QueueTally


def remember(
    client: Client, namespace: str, queues: Iterable[str], *, now: int | None = None
) -> list[str]:
    """Keep how tallies stand, where it is time; give for each `kept`, `soon` or `much`. Raises BrokerError."""
    script, said = SCRIPTS["remember"], "" if now is None else str(now)
    commands = []
    for queue in queues:
        keys = QueueKeys(namespace, queue)
        commands.append(
            script.command([keys.tally, keys.tally_past], said, EVERY_MS, KEPT, MOST_FIELDS)
        )
    return [reply[0].decode() for reply in run_many(client, commands)]


class Past:
    """Reads what was kept; a copy does not change, and is asked for once. For several threads."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self._lock = Lock()
        self._known: dict[str, Before] = {}

    def read(self, queues: Iterable[str], now: int) -> dict[str, Before]:
        """Give of each queue the copy that is nearest to the beginning of the last hour; none where there is
        none of the last hour and a half. Raises BrokerError."""
        names = list(queues)
        marks = self._marks(names, now)
        with self._lock:
            found = {q: known for q, known in self._known.items() if marks.get(q) == known.at}
        wanted = [(queue, at) for queue, at in marks.items() if queue not in found]
        found |= self._copies(wanted)
        with self._lock:
            self._known |= found
        return found

    def _marks(self, queues: list[str], now: int) -> dict[str, int]:
        replies = self._asked([("hkeys", queue, ()) for queue in queues])
        marks = {}
        for queue, reply in zip(queues, replies, strict=True):
            whole = [int(m) for m in reply if m.isdigit()] if isinstance(reply, list) else []
            if fit := [at for at in whole if now - _TOO_OLD_MS <= at <= now]:
                marks[queue] = min(fit)
        return marks

    def _copies(self, wanted: list[tuple[str, int]]) -> dict[str, Before]:
        replies = self._asked([("hget", queue, (at,)) for queue, at in wanted])
        return {
            queue: Before(at, read_tally(_fields(raw)))
            for (queue, at), raw in zip(wanted, replies, strict=True)
            if isinstance(raw, bytes)
        }

    def _asked(self, questions: list[tuple[str, str, tuple[int, ...]]]) -> list[Any]:
        if not questions:
            return []
        with translated(place_of(self._client)):
            pipe: Any = self._client.pipeline(transaction=False)
            for command, queue, more in questions:
                getattr(pipe, command)(QueueKeys(self._namespace, queue).tally_past, *more)
            replies: list[Any] = pipe.execute(raise_on_error=False)
        return replies


def _fields(raw: bytes) -> dict[bytes, bytes]:
    parts = raw.split(b"\n")
    return dict(zip(parts[::2], parts[1::2], strict=False))
