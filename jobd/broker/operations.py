"""Operations on many jobs that are begun over HTTP, as all processes of a namespace see them.

Who carries one out says how far it is, and hears whether somebody wants it to stop; what is said is the
web's affair. Invariant: no more than KEPT are remembered, and none for longer than KEEP_MS after the last
word of any. How long ago a word was said, Redis' clock says. Used by jobd.web.api.operations.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from jobd.broker.connection import Client, place_of, run, translated
from jobd.broker.keys import SharedKeys
from jobd.broker.scripts import SCRIPTS
from jobd.core.names import is_name

KEPT = 100
KEEP_MS = 7 * 86_400_000
# Who carries one out says something twice a second.
LOST_AFTER_MS = 10_000


class Said(NamedTuple):
    """The last word about an operation: what, when (ms by Redis' clock), how long ago.

    `ended`: there will be no other. `stop`: somebody wants it to end.
    """

    id: str
    document: bytes
    at: int
    silent_ms: int
    ended: bool
    stop: bool

    @property
    def is_lost(self) -> bool:
        """Whether who carried it out is gone, or hangs."""
        return not self.ended and self.silent_ms > LOST_AFTER_MS


class OperationWords:
    """The operations of one namespace. `now` injects a store time in ms for tests."""

    def __init__(self, client: Client, namespace: str, *, now: int | None = None) -> None:
        self._client = client
        self._keys = SharedKeys(namespace)
        self.now = now

    def say(self, operation: str, document: bytes, *, ended: bool) -> bool:
        """Say how far one is; give whether somebody wants it to stop. Raises BrokerError."""
        word = "e" if ended else "r"
        call = SCRIPTS["operation_say"].command(
            self._pair, self._now, operation, word, document, KEPT, KEEP_MS, LOST_AFTER_MS
        )
        _, asked = run(self._client, call)
        return bool(asked == b"1")

    def stop(self, operation: str) -> bool:
        """Ask for the end of one; give whether it is known. Raises BrokerError."""
        call = SCRIPTS["operation_stop"].command(self._pair, self._now, operation, KEEP_MS)
        return bool(run(self._client, call)[0] == b"1")

    def all(self) -> list[Said]:
        """Read all, the newest first. Raises BrokerError."""
        with translated(place_of(self._client)):
            # No transaction: at maxmemory Redis refuses whatever is part of one.
            pipe = self._client.pipeline(transaction=False)
            pipe.hgetall(self._keys.web_operations)
            pipe.zrange(self._keys.web_operation_stops, 0, -1)
            pipe.time()
            words, stops, time = pipe.execute()
        now, asked = self._at(time), set(stops)
        found = [
            _read(name.decode(), raw, now, name in asked)
            for name, raw in words.items()
            if is_name(name)
        ]
        known = [said for said in found if said is not None and said.silent_ms <= KEEP_MS]
        return sorted(known, reverse=True)

    def get(self, operation: str) -> Said | None:
        """Read one, or None. Raises BrokerError."""
        with translated(place_of(self._client)):
            pipe = self._client.pipeline(transaction=False)
            pipe.hget(self._keys.web_operations, operation)
            pipe.zscore(self._keys.web_operation_stops, operation)
            pipe.time()
            raw, asked, time = pipe.execute()
        said = None if raw is None else _read(operation, raw, self._at(time), asked is not None)
        return said if said is not None and said.silent_ms <= KEEP_MS else None

    @property
    def _pair(self) -> list[str]:
        return [self._keys.web_operations, self._keys.web_operation_stops]

    @property
    def _now(self) -> str:
        return "" if self.now is None else str(self.now)

    def _at(self, time: tuple[Any, Any]) -> int:
        seconds, micros = time
        return self.now if self.now is not None else int(seconds) * 1000 + int(micros) // 1000


def _read(name: str, raw: bytes, now: int, stop: bool) -> Said | None:
    """Read one; None for what a stranger put there."""
    at, _, rest = raw.partition(b" ")
    word, _, document = rest.partition(b" ")
    if not (at.isdigit() and len(at) < 16 and word in (b"r", b"e")):
        return None
    return Said(name, document, int(at), max(0, now - int(at)), word == b"e", stop)
