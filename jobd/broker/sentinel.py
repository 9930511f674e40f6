"""Asking Redis Sentinel where the primary is.

The sentinels are asked in turn, the one that answered last first. Invariant: asking takes at most half
of the time it is given, however many sentinels are silent; what is left is for the primary itself.
`Asking` does no I/O, and is used for clients of an event loop too. See `primary`, `primary_async`.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    RedisError,
    ResponseError,
)

from jobd.broker.prompt import LEAST, Prompt, TcpConnection
from jobd.broker.tls import TlsConnection
from jobd.core.errors import BrokerError, BrokerUnavailable, StoreUnusable
from jobd.seams.clock import monotonic

Place = tuple[str, int]

_SHARE = 0.5
ASK_AGAIN = 1.0
PATIENCE_AGAIN = (
    0.4  # half of it is spent; where a connection works, a silent sentinel is no reason to wait
)


class Sentinels:
    """Who knows where the primary of one service is, and how they are spoken to."""

    def __init__(
        self, places: tuple[Place, ...], service: str, settings: dict[str, Any], *, encrypted: bool
    ) -> None:
        """`settings` are those of a connection to a sentinel, all but its place and time-outs."""
        self.places = places
        self.service = service
        self.settings = settings
        self.is_encrypted = encrypted
        self._first: Place = places[0]

    @property
    def question(self) -> tuple[str, str, str]:
        """What a sentinel is asked."""
        return ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.service)

    @property
    def said(self) -> str:
        """Name them, for messages."""
        first, *others = (f"{host}:{port}" for host, port in self.places)
        more = f" and {len(others)} more" if others else ""
        return f"{self.service} (by Sentinel {first}{more})"

    def in_turn(self) -> list[Place]:
        """Give the sentinels in the order they should be asked."""
        start = self.places.index(self._first)
        return [*self.places[start:], *self.places[:start]]

    def prefer(self, place: Place) -> None:
        """Ask this one first from now on: it answered."""
        self._first = place

    def doubt(self) -> None:
        """Ask another one first from now on: what the first says is not so."""
        self._first = self.in_turn()[1 % len(self.places)]

    def primary(self, patience: float) -> Place:
        """Ask where the primary is, `patience` seconds at most. Raises BrokerError."""
        found, connection = self.find(patience)
        connection.disconnect()  # type: ignore[no-untyped-call]
        return found

    def find(self, patience: float) -> tuple[Place, Prompt]:
        """Ask; give also the connection to the sentinel that answered. Raises BrokerError."""
        asking = Asking(self, patience)
        for place, bound in asking.places():
            connection = _to(self, place, bound)
            try:
                with connection.by(monotonic() + bound):
                    connection.connect()  # type: ignore[no-untyped-call]
                    connection.send_command(*self.question)  # type: ignore[no-untyped-call]
                    is_found = asking.heard(place, connection.read_response())
                if is_found:
                    return asking.answer(), connection
            except (RedisError, OSError, BrokerError) as error:
                asking.failed(place, error)
            connection.disconnect()  # type: ignore[no-untyped-call]
        raise asking.trouble()


def _to(sentinels: Sentinels, place: Place, bound: float) -> Prompt:
    kind = TlsConnection if sentinels.is_encrypted else TcpConnection
    return kind(
        host=place[0],
        port=place[1],
        socket_timeout=bound,
        socket_connect_timeout=bound,
        **sentinels.settings,
    )


class Asking:
    """One round of asking. Does no I/O: it says whom to ask next, and what came of it."""

    def __init__(self, sentinels: Sentinels, patience: float) -> None:
        self._sentinels = sentinels
        self._until = monotonic() + patience * _SHARE
        self._found: Place | None = None
        self._silent: list[str] = []
        self._refused: list[str] = []
        self._ignorant: list[str] = []

    def places(self) -> Iterator[tuple[Place, float]]:
        """Give each sentinel and how long it may take, until one has answered."""
        places = self._sentinels.in_turn()
        for index, place in enumerate(places):
            if self._found is None:
                left = self._until - monotonic()
                yield place, max(LEAST, left / (len(places) - index))

    def heard(self, place: Place, reply: Any) -> bool:
        """Take in an answer: an address, or None from a sentinel that does not know the service."""
        if not reply:
            self._ignorant.append(_named(place))
            return False
        host, port = (part.decode() if isinstance(part, bytes) else str(part) for part in reply)
        self._found = (host, int(port))
        self._sentinels.prefer(place)
        return True

    def failed(self, place: Place, error: Exception) -> None:
        """Take in why a sentinel could not be asked."""
        if isinstance(error, (AuthenticationError, AuthorizationError, NoPermissionError)):
            self._refused.append(f"{_named(place)}: {error}")
        elif isinstance(error, ResponseError):
            self._refused.append(f"{_named(place)}: {error} (is it a sentinel?)")
        else:
            cause = error.__cause__ or error.__context__ or error
            why = getattr(cause, "strerror", None) or str(error) or "no answer"
            self._silent.append(f"{_named(place)}: {why}")

    def answer(self) -> Place:
        """Give the address. Raises BrokerError."""
        if self._found is not None:
            return self._found
        raise self.trouble()

    def trouble(self) -> BrokerError:
        """Say who was asked, and why nobody knew."""
        service = self._sentinels.service
        if self._refused:
            return StoreUnusable(
                f"redis: a sentinel refused to say where {service!r} is: {'; '.join(self._refused)}; "
                "expected one that answers; give it sentinel_username and sentinel_password in "
                "redis.url, and correct the address if that is none of a sentinel (port 26379)"
            )
        if self._ignorant:
            return StoreUnusable(
                f"redis: service {service!r}: not known to {', '.join(self._ignorant)}; expected the "
                "name that stands in their `sentinel monitor` line; correct it in redis.url"
            )
        return BrokerUnavailable(
            f"redis: no sentinel says where {service!r} is: {'; '.join(self._silent)}; expected one of "
            "them to answer; start them, or correct redis.url"
        )


def _named(place: Place) -> str:
    return f"{place[0]}:{place[1]}"


def require_primary(sentinels: Sentinels, place: Place, role: Any) -> None:
    """Raise BrokerUnavailable where ROLE says that this is not the primary (any more, or yet)."""
    word = role[0].decode() if isinstance(role[0], bytes) else str(role[0])
    if word != "master":
        sentinels.doubt()
        raise BrokerUnavailable(
            f"redis: {_named(place)}, the primary of {sentinels.service!r} by the sentinels' word, is "
            f"a {'replica' if word == 'slave' else word}; expected the primary; a failover may be under "
            "way: try again, and see SENTINEL MASTER if it stays so"
        )


def unreached(sentinels: Sentinels, place: Place, error: OSError) -> Exception:
    """Say that there is no primary where the sentinels say it is; give back what else is wrong."""
    if isinstance(error, ssl.SSLError):
        return error
    why = "no answer in time" if isinstance(error, TimeoutError) else error.strerror or str(error)
    return BrokerUnavailable(
        f"redis: {_named(place)}, the primary of {sentinels.service!r} by the sentinels' word, cannot be "
        f"reached: {why}; expected it to answer; where it is gone the sentinels elect another one: try "
        "again, and see SENTINEL MASTER if it stays so"
    )


def deposed(sentinels: Sentinels, before: Place, now: Place) -> BrokerUnavailable:
    """Say that another server is the primary now, before anything was sent."""
    return BrokerUnavailable(
        f"redis: {_named(before)} is not the primary of {sentinels.service!r} any more: {_named(now)} is, by "
        "the sentinels' word; expected the primary; try again, it is found anew"
    )
