"""One connection in the hands of one thread, without redis-py's pool and pipeline.

Invariant: no answer is waited for longer than the link's patience, whatever way the network goes
wrong: nothing comes, a byte now and then, or the server is gone without a word. Made by talk, side and
calls; after any error it is closed, and another one is made.
"""

from __future__ import annotations

import math
import select
import socket
import struct
from contextlib import suppress

from hiredis import pack_command
from redis.exceptions import NoScriptError, RedisError, ResponseError

from jobd.broker.connection import Client, Reply, ours, place_of, spelled_out, translated
from jobd.broker.prompt import Reader
from jobd.broker.refusals import unsound
from jobd.broker.scripts import Script
from jobd.broker.shapes import is_sound
from jobd.seams.clock import monotonic
from jobd.seams.descriptors import Identity, identity

# For SO_LINGER: on, and for no time at all.
_AT_ONCE = struct.pack("ii", 1, 0)


def _packed(command: list[str | bytes | int]) -> bytes:
    """Write a command as Redis reads it.

    By hiredis itself: redis-py looks at each of a batch's thousand words before asking it.
    """
    # Its stub says a tuple of one; any length is meant.
    packed: bytes = pack_command(tuple(command))  # type: ignore[arg-type]
    return packed


class Link:
    """One connection, in the hands of one thread: commands out, replies in, nothing between.

    redis-py's pipeline object costs as much as the batch it carries, so the connection is used
    directly, and errors are told apart without a context manager, which costs a microsecond where
    nothing went wrong. After any error the link is broken: `close` it and make another.
    """

    def __init__(self, client: Client, *, blocking_for: float = 0.0) -> None:
        """`blocking_for` is how long an answer may take, in seconds, if not the client's time-out."""
        self._place = place_of(client)
        settings = dict(client.connection_pool.connection_kwargs)
        if blocking_for:
            settings["socket_timeout"] = blocking_for
        self._patience: float = settings["socket_timeout"] or math.inf
        self._connection = client.connection_pool.connection_class(**settings, parser_class=Reader)
        self._reader: Reader = self._connection._parser
        self._loaded: list[Script] = []
        self._identity: Identity | None = None

    def load(self, scripts: list[Script]) -> None:
        """Connect, and make sure that Redis knows these scripts.

        Calls that are sent together are carried out in their order only where all are known: one that
        is not runs after the others, when it is sent again.
        """
        self._loaded = scripts
        with translated(self._place):
            self._connection.connect()
        self._identity = identity(self.fileno())
        self._load_all()

    def _load_all(self) -> None:
        self.roundtrip([["SCRIPT", "LOAD", script.source] for script in self._loaded])

    def call(self, command: list[str | bytes | int]) -> Reply:
        """Carry out one command, connecting first where that is needed."""
        connection = self._connection
        try:
            connection.send_packed_command([_packed(command)])
            self._reader.until = monotonic() + self._patience
            reply = connection.read_response()
        except NoScriptError:
            return self.roundtrip([command])[0]
        except (RedisError, TimeoutError) as error:
            raise ours(error, self._place, command) from error
        if not is_sound(command, reply):
            raise unsound(self._place, command)
        return reply

    def is_stale(self) -> bool:
        """Say whether an idle link is no use: the server closed it, or sent what nobody asked for.

        A call on it would end in "outcome unknown", where a new link simply works.
        """
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def send(self, commands: list[list[str | bytes | int]]) -> None:
        """Send commands without reading their replies."""
        try:
            self._connection.send_packed_command([b"".join(map(_packed, commands))])
        except (RedisError, TimeoutError) as error:
            raise ours(error, self._place) from error

    def roundtrip(self, commands: list[list[str | bytes | int]]) -> list[Reply]:
        """Send commands and read all replies, in one round trip.

        A script that Redis has forgotten (SCRIPT FLUSH, a restart) is sent whole with the same call:
        a NOSCRIPT reply says that nothing was done.
        """
        self.send(commands)
        return self.collect(commands)

    def collect(
        self, commands: list[list[str | bytes | int]], replies: list[Reply] | None = None
    ) -> list[Reply]:
        """Read the replies of commands that were sent.

        `replies` is an empty list to read them into: when this raises, it has what came before, errors
        of single commands among them.
        """
        self._reader.until = monotonic() + self._patience
        replies = [] if replies is None else replies
        for _ in commands:
            replies.append(self._read_one())
        has_forgotten = any(isinstance(reply, NoScriptError) for reply in replies)
        for index, reply in enumerate(replies):
            if isinstance(reply, NoScriptError):
                self.send([spelled_out(commands[index])])
                replies[index] = self._read_one()
            if isinstance(replies[index], ResponseError):
                raise ours(replies[index], self._place, commands[index])
            if not is_sound(commands[index], replies[index]):
                replies[index] = unsound(self._place, commands[index])
                raise replies[index]
        if has_forgotten:
            self._load_all()
        return replies

    def _read_one(self) -> Reply:
        try:
            return self._connection.read_response()
        except ResponseError as error:
            return error
        except (RedisError, TimeoutError) as error:
            raise ours(error, self._place) from error

    def fileno(self) -> int:
        """Give the socket, for waiting on it beside other things."""
        sock = self._connection._sock
        return int(sock.fileno())

    def refuse_silence(self) -> None:
        """Raise BrokerUnavailable if nothing has come in; for who waits beside the socket."""
        if not self.is_stale():
            raise ours(TimeoutError("no answer"), self._place)

    def is_ours(self) -> bool:
        """Say whether the socket is the one we opened: the application may have closed it, and what
        has its number now is not to be written to, nor closed."""
        sock, known = self._connection._sock, self._identity
        return sock is None or known is None or identity(sock.fileno()) == known

    def close(self, *, forget: bool = False) -> None:
        """Close the connection. Never fails.

        With `forget` the system drops what the server has not taken in yet. Else it would go on
        sending that for minutes: a claim that arrives after the network has healed gives jobs to
        nobody, until somebody looks at what this worker holds.
        """
        sock = self._connection._sock
        if not self.is_ours():
            sock.detach()
        elif forget and sock is not None and sock.family != socket.AF_UNIX:
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
                # Not by redis-py, which would shut it down first: that sends what is left.
                sock.close()
        self._connection.disconnect()
