"""A proxy between jobd's processes and the server, which does harm at an exact place.

One thread carries everything, so what happens at the n-th send happens before the next byte moves.
Both sides are unix sockets: the kernel tells which process is at the other end. The harm is a
`Rule`'s: it sees every chunk that a process sends, and every reply before it is passed on.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable
from pathlib import Path

from chaos.faults import FaultLog
from chaos.wire import name_of, read_value
from jobd.broker.scripts import SCRIPTS

_CREDENTIALS = struct.Struct("3i")
_CHUNK = 1 << 16


class Wire:
    """One connection: the process at one end, the server at the other."""

    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self.near, self.far = near, far
        raw = near.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        self.pid: int = _CREDENTIALS.unpack(raw)[0]
        self.is_worker = "jobd: worker" in _title(self.pid)
        self.cut = False
        self.requests = bytearray()
        self.replies = bytearray()
        self.unanswered: deque[str] = deque()


class Rule:
    """What a proxy does beside passing on: nothing. False means: cut this connection."""

    def sent(self, wire: Wire, chunk: bytes) -> bool:
        """Pass on what a process has sent."""
        wire.far.sendall(chunk)
        return True

    def answered(self, wire: Wire, chunk: bytes) -> bool:
        """Pass on what the server has answered."""
        wire.near.sendall(chunk)
        return True


class Proxy:
    """Listens on a socket of its own. `rule` may be replaced at any time."""

    def __init__(self, directory: Path, upstream: Path) -> None:
        path = directory / "proxy.sock"
        self.url = f"unix://{path}"
        self.rule = Rule()
        self._upstream = str(upstream)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        self._to_cut: deque[int] = deque()
        self._ended = False
        self._thread = threading.Thread(target=self._carry, name="proxy")
        self._thread.start()

    def cut(self, pid: int) -> None:
        """Break every connection of a process, soon."""
        self._to_cut.append(pid)

    def end(self) -> None:
        """Close everything."""
        self._ended = True
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def _carry(self) -> None:
        while not self._ended:
            for key, _ in self._selector.select(0.05):
                if key.data is None:
                    self._accept()
                elif not key.data.cut:
                    self._move(key.data, key.fileobj)  # type: ignore[arg-type]
            while self._to_cut:
                pid = self._to_cut.popleft()
                for wire in {key.data for key in self._selector.get_map().values()}:
                    if wire is not None and wire.pid == pid:
                        self._cut(wire)

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        far = socket.socket(socket.AF_UNIX)
        try:
            far.connect(self._upstream)
        except OSError:
            near.close()
            far.close()
            return
        wire = Wire(near, far)
        self._selector.register(near, selectors.EVENT_READ, wire)
        self._selector.register(far, selectors.EVENT_READ, wire)

    def _move(self, wire: Wire, source: socket.socket) -> None:
        goes_on = False
        with contextlib.suppress(OSError):
            if chunk := source.recv(_CHUNK):
                act = self.rule.sent if source is wire.near else self.rule.answered
                goes_on = act(wire, chunk)
        if not goes_on:
            self._cut(wire)

    def _cut(self, wire: Wire) -> None:
        wire.cut = True
        for sock in (wire.near, wire.far):
            self._selector.unregister(sock)
            sock.close()


class KillAtSend(Rule):
    """Each worker process is killed at the send its turn in the plan says, before or after it."""

    def __init__(self, plan: Iterable[tuple[int, str]], faults: FaultLog) -> None:
        self._plan = deque(plan)
        self._faults = faults
        self._doom: dict[int, tuple[int, str]] = {}
        self._sends: Counter[int] = Counter()
        self.kills = 0

    @property
    def done(self) -> bool:
        """Whether the whole plan was carried out."""
        return not self._plan and not self._doom

    def sent(self, wire: Wire, chunk: bytes) -> bool:
        """Count, and kill when it is time."""
        pid = wire.pid
        if not wire.is_worker:
            return super().sent(wire, chunk)
        if pid not in self._sends and self._plan:
            self._doom[pid] = self._plan.popleft()
        self._sends[pid] += 1
        at, when = self._doom.get(pid, (0, ""))
        if self._sends[pid] != at:
            return super().sent(wire, chunk)
        if when == "after":
            super().sent(wire, chunk)
        since = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        self._faults.note(f"killed {when} send", pid, since=since)
        del self._doom[pid]
        self.kills += 1
        return False


class Lose(Rule):
    """One command is lost, and its connection with it, whoever sends it next.

    `request`: it never arrives. `reply`: it is carried out, and its answer never comes back.
    """

    def __init__(self, faults: FaultLog) -> None:
        self._faults = faults
        self._wanted = ("", "")
        self.lost: Counter[tuple[str, str]] = Counter()

    def arm(self, what: str, name: str) -> None:
        """Lose the next `request` or `reply` of this script or command."""
        self._wanted = (what, name)

    @property
    def armed(self) -> bool:
        """Whether it has not happened yet."""
        return bool(self._wanted[0])

    def sent(self, wire: Wire, chunk: bytes) -> bool:
        """Remember which replies are to come, in which order; break before the wanted request."""
        wire.requests += chunk
        at = 0
        while (read := read_value(wire.requests, at)) is not None:
            command, at = read
            name = name_of(command)
            wire.unanswered.append(name)
            if self._is_wanted("request", name, wire):
                return False
        del wire.requests[:at]
        return super().sent(wire, chunk)

    def answered(self, wire: Wire, chunk: bytes) -> bool:
        """Pass on whole replies, up to the one that is to be lost."""
        wire.replies += chunk
        at = 0
        while (read := read_value(wire.replies, at)) is not None:
            name = wire.unanswered.popleft() if wire.unanswered else "?"
            if self._is_wanted("reply", name, wire):
                wire.near.sendall(wire.replies[:at])
                return False
            at = read[1]
        wire.near.sendall(wire.replies[:at])
        del wire.replies[:at]
        return True

    def _is_wanted(self, what: str, name: str, wire: Wire) -> bool:
        if self._wanted != (what, name):
            return False
        self._wanted = ("", "")
        self._faults.note(f"lost {what} of {name}", wire.pid, repeats=False)
        self.lost[what, name] += 1
        return True


class Hold(Rule):
    """What holds a settle is kept back until `let_go`, as a network may."""

    def __init__(self) -> None:
        self._settle = SCRIPTS["settle"].sha.encode()
        self._held: dict[Wire, bytes] = {}
        self.holding = False
        self.answers: dict[Wire, bytes] = {}

    @property
    def held(self) -> int:
        """How many connections wait for their settle to be passed on."""
        return len(self._held)

    def sent(self, wire: Wire, chunk: bytes) -> bool:
        """Keep it back, or pass it on."""
        if wire in self._held or (self.holding and self._settle in chunk):
            self._held[wire] = self._held.get(wire, b"") + chunk
            return True
        return super().sent(wire, chunk)

    def let_go(self) -> None:
        """Pass on all that was kept, and note what is answered."""
        self.holding = False
        held, self._held = self._held, {}
        self.answers = dict.fromkeys(held, b"")
        for wire, chunk in held.items():
            super().sent(wire, chunk)

    def answered(self, wire: Wire, chunk: bytes) -> bool:
        """Note the answers to what was kept."""
        if wire in self.answers:
            self.answers[wire] += chunk
        return super().answered(wire, chunk)


class SilenceAfter(Rule):
    """From the first answer to a worker that holds a word, every connection breaks at its use."""

    def __init__(self, word: bytes) -> None:
        self._word = word
        self.silent = False

    def sent(self, wire: Wire, chunk: bytes) -> bool:
        """Break, or pass on."""
        return not self.silent and super().sent(wire, chunk)

    def answered(self, wire: Wire, chunk: bytes) -> bool:
        """Pass on, and look for the word, once."""
        if self._word and wire.is_worker and self._word in chunk:
            self._word, self.silent = b"", True
        return super().answered(wire, chunk)


class Narrow(Rule):
    """All connections together carry so many bytes a second to the server, as one slow line would."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._unanswered: Counter[Wire] = Counter()
        self.most = 0
        """The most bytes that one connection sent without an answer: so many it would send again."""

    def sent(self, wire: Wire, chunk: bytes) -> bool:
        """Take the time that so many bytes take."""
        self._unanswered[wire] += len(chunk)
        self.most = max(self.most, self._unanswered[wire])
        time.sleep(len(chunk) / self._rate)
        return super().sent(wire, chunk)

    def answered(self, wire: Wire, chunk: bytes) -> bool:
        """Begin to count anew."""
        self._unanswered[wire] = 0
        return super().answered(wire, chunk)


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""
