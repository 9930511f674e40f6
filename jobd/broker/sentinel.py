"""Finding the primary through Redis Sentinel: for every connection anew, and never by a guess.

The sentinels are asked in turn, the one that answered last first. Where the one named says that it is
no primary (ROLE), nothing is sent to it: it was deposed, and what it took would be lost when it finds
out. Nothing is kept open to a sentinel, so clients may cross a fork.

A deposed primary that is cut off, or was told to go by hand, takes writes for up to ten seconds more. So
who uses a connection asks again once a second, and leaves the one that is not the primary any more.

Invariant: asking takes at most half of the client's time-out, however many sentinels are silent; the
connection to the primary has what is left. Used by connection through pools; `Asking` is also the
half of sentinel_async that does no I/O.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from redis.connection import Connection
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    RedisError,
    ResponseError,
)

from jobd.broker.tls import TlsConnection
from jobd.core.errors import BrokerError, BrokerUnavailable, StoreUnusable
from jobd.seams.clock import monotonic

Place = tuple[str, int]

_SHARE = 0.5
LEAST = 0.05
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
        asking = Asking(self, patience)
        for place, bound in asking.places():
            connection = _to(self, place, bound)
            try:
                connection.connect()  # type: ignore[no-untyped-call]
                connection.send_command(*self.question)  # type: ignore[no-untyped-call]
                asking.heard(place, connection.read_response())
            except (RedisError, OSError, BrokerError) as error:
                asking.failed(place, error)
            finally:
                with suppress(RedisError, OSError):
                    connection.disconnect()  # type: ignore[no-untyped-call]
        return asking.answer()


def _to(sentinels: Sentinels, place: Place, bound: float) -> Connection:
    kind = TlsConnection if sentinels.is_encrypted else Connection
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

    def heard(self, place: Place, reply: Any) -> None:
        """Take in an answer: an address, or None from a sentinel that does not know the service."""
        if not reply:
            self._ignorant.append(_named(place))
            return
        host, port = (part.decode() if isinstance(part, bytes) else str(part) for part in reply)
        self._found = (host, int(port))
        self._sentinels.prefer(place)

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
        """Give the address. Raises BrokerError: who was asked, why nobody knew, and what to do."""
        if self._found is not None:
            return self._found
        raise self._trouble()

    def _trouble(self) -> BrokerError:
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


class PrimaryConnection(Connection):
    """A connection to whoever is the primary when it is made.

    To find it, to reach it and to hear that it is the primary takes no longer than the time-out for
    connecting allows, all together.
    """

    def __init__(self, *, sentinels: Sentinels, **settings: Any) -> None:
        super().__init__(**settings)  # type: ignore[no-untyped-call]
        self._sentinels = sentinels
        self._until = 0.0
        self._ask_at = 0.0

    def _connect(self) -> Any:
        whole: float = self.socket_connect_timeout or 0.0
        self._until = monotonic() + whole
        self._ask_at = monotonic() + ASK_AGAIN
        self.host, self.port = self._sentinels.primary(whole)
        self.socket_connect_timeout = max(LEAST, self._until - monotonic())
        try:
            return super()._connect()  # type: ignore[no-untyped-call]
        except OSError as error:
            raise unreached(self._sentinels, (self.host, self.port), error) from error
        finally:
            self.socket_connect_timeout = whole

    def on_connect_check_health(self, check_health: bool = True) -> None:
        """Introduce ourselves, then ask who it is."""
        try:
            sock: Any = self._sock
            sock.settimeout(max(LEAST, self._until - monotonic()))
            super().on_connect_check_health(check_health=check_health)
            self.send_command("ROLE", check_health=False)  # type: ignore[no-untyped-call]
            require_primary(self._sentinels, (self.host, self.port), self.read_response())
            sock.settimeout(self.socket_timeout)
        except BaseException:
            self.disconnect()  # type: ignore[no-untyped-call]
            raise

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Send, unless the sentinels name another primary by now. Raises BrokerUnavailable for that."""
        sock: Any = self._sock
        if sock is not None and monotonic() >= self._ask_at:
            self._ask_at = monotonic() + ASK_AGAIN
            self._ask_again()
        super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]

    def _ask_again(self) -> None:
        try:
            found = self._sentinels.primary(PATIENCE_AGAIN)
        except BrokerError:  # nobody knows better: what stands is used on
            return
        if found != (self.host, self.port):
            self.disconnect()  # type: ignore[no-untyped-call]
            raise deposed(self._sentinels, (self.host, self.port), found)


class EncryptedPrimaryConnection(PrimaryConnection, TlsConnection):
    """The same over TLS."""
