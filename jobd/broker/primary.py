"""A connection to whoever is the primary: found for every connection anew, and never by a guess.

Where the server that the sentinels name says that it is no primary (ROLE), nothing is sent to it: it was
deposed, and what it took would be lost when it finds out. One that is cut off, or was told to go by hand,
does not find out for up to ten seconds. So once a second who sends something looks whether the sentinels
name another one by now, and leaves.

Invariant: to find the primary, to reach it and to hear that it is one takes no longer, all together, than
connecting may. Made by pools.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from redis.exceptions import RedisError

from jobd.broker.prompt import Prompt, TcpConnection
from jobd.broker.sentinel import Place, Sentinels, deposed, require_primary, unreached
from jobd.broker.tls import TlsConnection
from jobd.core.errors import BrokerError
from jobd.seams.clock import monotonic
from jobd.seams.descriptors import Identity, identity

ASK_AGAIN = 1.0
PATIENCE_AGAIN = 0.4  # where a connection works, a silent sentinel is no reason to wait


class Watch:
    """What the sentinels say now: asked once a second in a process, however many connections want to
    know, over one connection that stays open."""

    def __init__(self, sentinels: Sentinels) -> None:
        self._sentinels = sentinels
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._connection: Prompt | None = None
        self._identity: Identity | None = None
        self._found: Place | None = None
        self._due = 0.0

    def primary(self) -> Place | None:
        """Say where the primary is; None where nobody knows, or another thread just asks."""
        if self._pid != os.getpid():
            self._begin()
        if not self._lock.acquire(blocking=False):
            return None
        try:
            if monotonic() >= self._due:
                self._due = monotonic() + ASK_AGAIN
                self._found = self._ask()
            return self._found
        finally:
            self._lock.release()

    def _ask(self) -> Place | None:
        connection, self._connection = self._connection, None
        try:
            if connection is None or not self._is_ours(connection):
                found, connection = self._sentinels.find(PATIENCE_AGAIN)
                self._identity = identity(_socket(connection).fileno())
            else:
                connection.send_command(*self._sentinels.question)  # type: ignore[no-untyped-call]
                reply = connection.read_response()
                found = (reply[0].decode(), int(reply[1]))
        except BrokerError:  # nobody knows better: what stands is used on
            return None
        except (RedisError, OSError, TypeError):  # away, or the service is not known any more
            return None
        self._connection = connection
        return found

    def _is_ours(self, connection: Prompt) -> bool:
        """Say whether nobody has closed its descriptor, which may be somebody's file by now."""
        sock = _socket(connection)
        if sock is not None and identity(sock.fileno()) == self._identity:
            return True
        if sock is not None:
            sock.detach()
        return False


def _socket(connection: Prompt) -> Any:
    return connection._sock


class PrimaryConnection(TcpConnection):
    """A connection to whoever is the primary when it is made.

    To find it, to reach it and to hear that it is the primary takes no longer than the time-out for
    connecting allows, all together.
    """

    def __init__(self, *, sentinels: Sentinels, watch: Watch, **settings: Any) -> None:
        super().__init__(**settings)
        self._sentinels = sentinels
        self._watch = watch
        self._ask_at = 0.0

    def _connect(self) -> Any:
        whole: float = self.socket_connect_timeout or 0.0
        self._ask_at = monotonic() + ASK_AGAIN
        self.host, self.port = self._sentinels.primary(whole)
        self.socket_connect_timeout = self.left()
        try:
            return super()._connect()  # type: ignore[no-untyped-call]
        except OSError as error:
            raise unreached(self._sentinels, (self.host, self.port), error) from error
        finally:
            self.socket_connect_timeout = whole

    def on_connect_check_health(self, check_health: bool = True) -> None:
        """Introduce ourselves, then ask who it is."""
        try:
            super().on_connect_check_health(check_health=check_health)
            self.send_command("ROLE", check_health=False)  # type: ignore[no-untyped-call]
            require_primary(self._sentinels, (self.host, self.port), self.read_response())
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
        found = self._watch.primary()
        if found is not None and found != (self.host, self.port):
            self.disconnect()  # type: ignore[no-untyped-call]
            raise deposed(self._sentinels, (self.host, self.port), found)


class EncryptedPrimaryConnection(PrimaryConnection, TlsConnection):
    """The same over TLS."""
