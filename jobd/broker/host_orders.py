"""What one host is asked for by another, and what came of it: through Redis, since daemons listen to nobody else.

Invariant: an order is carried out once at most, and never later than it says, by Redis' clock; what nobody
takes goes by itself. Asked by jobd.web, carried out by the keeper of the host.
"""

from __future__ import annotations

import secrets
from typing import Any, NamedTuple

import msgspec

from jobd.broker.connection import Client, place_of, run, translated
from jobd.broker.keys import SharedKeys
from jobd.broker.scripts import SCRIPTS
from jobd.core.errors import TooManyOrders
from jobd.core.unreadable import UNREADABLE_JSON
from jobd.seams.clock import mono
from jobd.seams.requests import Answer, Refusal, Request, read, written

# How long an order may be carried out, and how long it and its answer are kept at most.
VALID_MS = 5_000
KEPT_MS = 30_000
MOST_ORDERS = 16
LARGEST_ANSWER = 1 << 20
# Of one blocking call; well less than the time-out of any client, which the web process has at 1 s.
_BLOCK = 0.5


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """An order's document: a message as the control socket takes it, and who asks."""

    message: dict[str, Any]
    by: str = ""


class Order(NamedTuple):
    """An order that was taken: it may be begun for so many ms yet. A Refusal is of what cannot be read."""

    id: str
    left_ms: int
    request: Request | Refusal
    by: str


class HostOrders:
    """The orders of one namespace. `now` injects a store time in ms for tests."""

    def __init__(self, client: Client, namespace: str, *, now: int | None = None) -> None:
        self._client = client
        self._keys = SharedKeys(namespace)
        self._now = "" if now is None else str(now)

    def ask(self, host: str, request: Request, *, by: str = "") -> str:
        """Ask a host, by its key in `hosts`; give the order's id. Raises TooManyOrders, BrokerError."""
        order = secrets.token_hex(16)
        message = msgspec.to_builtins(written(request))
        document = msgspec.json.encode(Asked(message=message, by=by))
        key = self._keys.host_orders_prefix + host
        command = SCRIPTS["host_ask"].command(
            [key], self._now, order, document, VALID_MS, KEPT_MS, MOST_ORDERS
        )
        if run(self._client, command)[0] == b"full":
            raise TooManyOrders(
                f"host {host!r}: has {MOST_ORDERS} orders that it has not taken; expected it to take them "
                "every second; see whether it runs, and try again"
            )
        return order

    def withdraw(self, host: str, order: str) -> bool:
        """Take an order back; False when the host has taken it, or it is over. Raises BrokerError."""
        with translated(place_of(self._client)):
            return bool(self._client.hdel(self._keys.host_orders_prefix + host, order))

    def answer_to(self, order: str, *, within: float) -> Answer | None:
        """Wait for what came of an order, for so many seconds; None: nothing yet. Raises BrokerError."""
        key, until = self._keys.host_answer_prefix + order, mono() + within
        found: Any = None
        with translated(place_of(self._client)):
            while found is None and (left := until - mono()) > 0:
                # 0 would be for ever.
                found = self._client.blpop([key], timeout=max(0.01, min(_BLOCK, left)))
        return None if found is None else _answer(found[1])

    def take(self, host: str) -> list[Order]:
        """Take what a host is asked for: each is the caller's, and nobody else's. Raises BrokerError."""
        key = self._keys.host_orders_prefix + host
        reply = run(self._client, SCRIPTS["host_take"].command([key], self._now, MOST_ORDERS))
        return [
            _order(order.decode("utf-8", "replace"), int(left), document)
            for order, left, document in zip(*[iter(reply)] * 3, strict=True)
        ]

    def answer(self, order: str, answer: Answer) -> None:
        """Say what came of an order. Raises BrokerError."""
        document = msgspec.json.encode(answer)
        if len(document) > LARGEST_ANSWER:
            why = f"{len(document)} bytes; expected {LARGEST_ANSWER} at most; see the log of the daemon"
            document = msgspec.json.encode(Answer(error=Refusal("too_large", f"answer: {why}")))
        key = self._keys.host_answer_prefix + order
        run(self._client, SCRIPTS["host_answer"].command([key], document, KEPT_MS))


def _order(order: str, left_ms: int, document: bytes) -> Order:
    try:
        asked = msgspec.json.decode(document, type=Asked)
    except UNREADABLE_JSON as bad:
        return Order(order, left_ms, Refusal("bad_request", f"order: {bad}"), "")
    return Order(order, left_ms, read(asked.message), asked.by)


def _answer(document: bytes) -> Answer:
    try:
        return msgspec.json.decode(document, type=Answer)
    except UNREADABLE_JSON as bad:
        return Answer(error=Refusal("bad_answer", f"answer: {bad}; expected one of this version"))
