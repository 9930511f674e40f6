"""The control socket of a daemon: `control` in its runtime directory, for its own user and root.

    control = Control.listen(runtime_dir)
    selector.register(control.fileno(), EVENT_READ, ...)      # one descriptor, whoever is connected
    for asked in control.take():                              # when that is readable
        control.answer(asked.client, ok={...})                # now, later or never

Invariants: nothing here waits for anybody; clients and the bytes kept for each are bounded; a client
that vanished is forgotten, and an answer to it is nobody's. Whoever connects is who the kernel says.
Of more clients than there are places the one that has waited longest without asking goes first, so
nobody can lock others out by saying nothing.

Held by the supervisor's loop. What may be asked: jobd.seams.requests. The other end: jobd.seams.asking.
"""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from jobd.seams.lines import Lines
from jobd.seams.requests import BUSY, NOT_PERMITTED, Answer, Refusal, Request, read

NAME = "control"
MOST_CLIENTS = 16
# A request is a few dozen bytes; of an answer a client that does not read costs this much.
_LIMIT = 1 << 14
_CREDENTIALS = struct.Struct("3i")


class Asked(NamedTuple):
    """One request. `client` is what to answer to; pid and uid are the kernel's word on who asked."""

    client: int
    request: Request
    pid: int
    uid: int


class _Client:
    """One connection. `open` counts what it asked and was not answered."""

    def __init__(self, lines: Lines, pid: int, uid: int) -> None:
        self.lines = lines
        self.pid = pid
        self.uid = uid
        self.open = 0


class Control:
    """The daemon's end: one descriptor to wait on, requests out, answers in."""

    def __init__(self, listener: socket.socket, path: Path) -> None:
        self._listener = listener
        self._path = path
        self._clients: dict[int, _Client] = {}
        self._counter = 0
        # Given up for a moment when the process is out of descriptors: see _accept.
        self._spare: int | None = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        # A poll of our own, so that the loop has one descriptor whoever comes and goes. The listener
        # edge-triggered: one that cannot be accepted must not make the loop spin.
        self._poll = select.epoll()
        self._poll.register(listener, select.EPOLLIN | select.EPOLLET)

    @classmethod
    def listen(cls, runtime_dir: Path) -> Control:
        """Make the socket, in the place of one that a dead daemon left. Raises OSError.

        To be called by the holder of the directory's lock only.
        """
        path = runtime_dir / NAME
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.setblocking(False)
            with short_path(runtime_dir) as short:
                listener.bind(short)
            path.chmod(0o600)  # before it listens: nobody was let in
            listener.listen(MOST_CLIENTS)
            return cls(listener, path)
        except OSError:
            listener.close()
            raise

    def fileno(self) -> int:
        """Give the descriptor that is readable whenever there is something to take."""
        return self._poll.fileno()

    def take(self) -> list[Asked]:
        """Let in who knocks, send what waits to be sent, give what was asked. Never waits."""
        asked: list[Asked] = []
        ready: set[int] = set()
        for _ in range(2):
            found = {descriptor for descriptor, _ in self._poll.poll(0)}
            ready |= found
            if self._listener.fileno() not in found:
                break
            # Only after a poll: one that came between would take the word of who knocks, unheard.
            self._let_in()
        for number, client in list(self._clients.items()):
            if client.lines.fileno() in ready:
                asked += self._hear(number, client)
        self._drop_closed()
        return asked

    def answer(
        self, client: int, *, ok: dict[str, Any] | None = None, error: Refusal | None = None
    ) -> None:
        """Answer one request. To a client that has gone it does nothing."""
        if found := self._clients.get(client):
            found.open = max(0, found.open - 1)
            self._say(found, Answer(error=error) if error is not None else Answer(ok=ok or {}))
            self._drop_closed()

    def note(self, client: int, words: str) -> None:
        """Tell a client that waits how far things are."""
        if found := self._clients.get(client):
            self._say(found, Answer(note=words))
            self._drop_closed()

    def close(self) -> None:
        """End all connections and remove the socket."""
        for client in self._clients.values():
            client.lines.close()
        self._clients.clear()
        self._path.unlink(missing_ok=True)
        self._listener.close()
        self._poll.close()
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None

    # --- connections ---

    def _let_in(self) -> None:
        for _ in range(MOST_CLIENTS):
            connection = self._accept()
            if connection is None:
                return
            self._admit(connection)
        # More may wait: an edge is told once, so it is asked for again.
        self._poll.modify(self._listener, select.EPOLLIN | select.EPOLLET)

    def _accept(self) -> socket.socket | None:
        try:
            return self._listener.accept()[0]
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return None
        except OSError:
            # No descriptors left. With the spare one the client is let in and told so by the end of
            # its connection, at once, instead of waiting for its time limit.
            self._turn_away()
            return None

    def _turn_away(self) -> None:
        if self._spare is None:
            return
        os.close(self._spare)
        self._spare = None
        try:
            self._listener.accept()[0].close()
            self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return  # somebody else took it: what comes next waits in the kernel's line

    def _admit(self, connection: socket.socket) -> None:
        pid, uid, _ = _CREDENTIALS.unpack(
            connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )
        client = _Client(Lines(connection, limit=_LIMIT), pid, uid)
        if uid not in (0, os.geteuid()):
            why = f"uid {uid}; expected root or uid {os.geteuid()}, which the daemon runs as"
            self._refuse(client, Refusal(NOT_PERMITTED, why))
        elif not self._make_room():
            why = f"{MOST_CLIENTS} others wait for an answer already; try again later"
            self._refuse(client, Refusal(BUSY, why))
        else:
            self._counter += 1
            self._clients[self._counter] = client
            self._poll.register(client.lines.fileno(), select.EPOLLIN)

    def _refuse(self, client: _Client, why: Refusal) -> None:
        client.lines.send(Answer(error=why))
        client.lines.close()

    def _make_room(self) -> bool:
        if len(self._clients) < MOST_CLIENTS:
            return True
        idle = next((number for number, c in self._clients.items() if not c.open), None)
        if idle is None:
            return False
        self._drop(idle)
        return True

    def _drop_closed(self) -> None:
        for number, client in list(self._clients.items()):
            if client.lines.closed:
                self._drop(number)

    def _drop(self, number: int) -> None:
        # Closing takes it out of the poll as well.
        self._clients.pop(number).lines.close()

    # --- words ---

    def _hear(self, number: int, client: _Client) -> list[Asked]:
        client.lines.flush()
        asked: list[Asked] = []
        for message in client.lines.receive():
            request = read(message)
            if isinstance(request, Refusal):
                self._say(client, Answer(error=request))
            else:
                client.open += 1
                asked.append(Asked(number, request, client.pid, client.uid))
        self._watch(client)
        return asked

    def _say(self, client: _Client, answer: Answer) -> None:
        client.lines.send(answer)
        self._watch(client)

    def _watch(self, client: _Client) -> None:
        if client.lines.closed:
            return
        wanted = select.EPOLLIN | (select.EPOLLOUT if client.lines.pending() else 0)
        self._poll.modify(client.lines.fileno(), wanted)


@contextmanager
def short_path(runtime_dir: Path) -> Iterator[str]:
    """Name the socket by its directory's descriptor: an address has 108 bytes, a path any number."""
    directory = os.open(runtime_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{NAME}"
    finally:
        os.close(directory)
