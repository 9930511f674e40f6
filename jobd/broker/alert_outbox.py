"""The outbox that all hosts share: notifications in Redis, until each sink has been told.

Invariant: one host at a time tries to tell a sink, and what was not told is due again, whoever dies
(I-48). Redis' clock says when. How it stands there: lua/_alert_outbox.lua. Blocking; any thread.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from jobd.broker.connection import Client, Reply, place_of, run, translated
from jobd.broker.keys import SharedKeys
from jobd.broker.scripts import SCRIPTS
from jobd.core.alerts.delivery import KEPT, LEASE, Delivery
from jobd.core.alerts.notification import Notification
from jobd.core.unreadable import UNREADABLE_JSON


class RedisOutbox:
    """The box of one namespace. `now` injects a store time in ms for tests; None asks Redis."""

    def __init__(
        self, client: Client, namespace: str, *, lease: float = LEASE, now: int | None = None
    ) -> None:
        self._client = client
        self._keys = SharedKeys(namespace)
        self._lease_ms = round(lease * 1000)
        self.now = now

    def add(self, notification: Notification, sinks: Sequence[str]) -> int:
        """Have it told to these sinks; give how many deliveries of the oldest were dropped for it."""
        document = msgspec.json.encode(notification)
        word, *dropped = self._call(
            "alert_add", notification.id, notification.rule, document, *sinks
        )
        return int(dropped[0]) if word == b"added" else 0

    def take(self, sinks: Sequence[str], limit: int = 1) -> list[Delivery]:
        """Take what is due for these sinks. Nobody else gets it until the lease is over."""
        kept_ms = round(KEPT * 1000)
        reply = self._call("alert_take", self._lease_ms, limit, kept_ms, *sinks)
        return [_read(*reply[i : i + 5]) for i in range(0, len(reply), 5)]

    def done(self, delivery: Delivery) -> None:
        """It was told."""
        self._call("alert_end", delivery.id, delivery.sink, "sent")

    def again(self, delivery: Delivery, delay: float) -> None:
        """It is due again in `delay` seconds."""
        self._call("alert_again", delivery.id, delivery.sink, delivery.tries, round(delay * 1000))

    def give_up(self, delivery: Delivery) -> None:
        """It is not tried any more."""
        self._call("alert_end", delivery.id, delivery.sink, "given_up")

    def counts(self) -> dict[str, int]:
        """Give how many deliveries were ever `sent`, `given_up` and `dropped`, by all hosts, and how
        many are `waiting`."""
        with translated(place_of(self._client)):
            pipe = self._client.pipeline(transaction=False)
            pipe.hgetall(self._keys.alert_counts)
            pipe.zcard(self._keys.alert_order)
            ended, waiting = pipe.execute()
        known = {name: int(ended.get(name.encode(), 0)) for name in ("sent", "given_up", "dropped")}
        return known | {"waiting": int(waiting)}

    def dropped(self) -> int:
        """Give how many deliveries were ever dropped: there were too many, or nobody has the sink."""
        with translated(place_of(self._client)):
            return int(self._client.hget(self._keys.alert_counts, "dropped") or 0)

    def _call(self, name: str, *args: str | bytes | int) -> Reply:
        script = SCRIPTS[name]
        keys = [getattr(self._keys, key) for key in script.keys]
        now = "" if self.now is None else self.now
        return run(self._client, script.command(keys, now, *args))


def _read(id_: bytes, sink: bytes, tries: bytes, waited: bytes, note: bytes) -> Delivery:
    try:
        notification = msgspec.json.decode(note.partition(b"\n")[2], type=Notification)
    except UNREADABLE_JSON:
        notification = None
    return Delivery(
        id=id_.decode("utf-8", "replace"), sink=sink.decode("utf-8", "replace"), tries=int(tries), waited=int(waited) / 1000,
        notification=notification,
    )  # fmt: skip
