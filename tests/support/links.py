"""A TCP link to a server that goes wrong in the ways networks do, and heals.

One thread carries everything. What was swallowed is gone: a connection that has lost a byte stays silent
for good, as one does whose peer has forgotten it; others go on, and new ones work, once it has healed.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
import time
from enum import StrEnum

import psutil

_CHUNK = 1 << 16
_RESET = struct.pack("ii", 1, 0)
# One byte so often, each way: an answer of a hundred bytes takes half a minute.
_TRICKLE = 0.3


class Weather(StrEnum):
    """What a link does with what it is given."""

    FAIR = "fair"
    HOLE = "hole"  # both ways are swallowed; who connects is accepted, and hears nothing
    DEAF = "deaf"  # the same, and who connects is not answered at all: its SYN is swallowed
    MUTE = "mute"  # what is sent arrives and is carried out; no answer comes back
    TRICKLE = "trickle"  # a byte now and then


class _Wire:
    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self.near, self.far = near, far
        self.port: int = near.getpeername()[1]
        self.lost = False
        self.answered = 0


class BadLink:
    """Listens on a port of loopback; passes on to a server's unix socket."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream.removeprefix("unix://")
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._weather = Weather.FAIR
        self._lock = threading.Lock()
        self._wires: set[_Wire] = set()
        self._fillers: list[socket.socket] = []
        self._cut_off: set[int] = set()
        self._answers: int | None = None
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        self._ended = False
        self._thread = threading.Thread(target=self._carry, name="bad-link", daemon=True)
        self._thread.start()

    def __enter__(self) -> BadLink:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._thread.join()
        for wire in list(self._wires):
            self._drop(wire)
        for filler in self._fillers:
            filler.close()
        self._listener.close()
        self._selector.close()

    def become(self, weather: Weather) -> float:
        """Change the weather; give the instant from which it holds."""
        with self._lock:
            if weather is Weather.DEAF:
                self._fill()
            elif self._fillers:
                for filler in self._fillers:
                    filler.close()
                self._fillers.clear()
                self._listener.listen(64)
                self._selector.register(self._listener, selectors.EVENT_READ, None)
            self._weather = weather
            return time.monotonic()

    def reset(self) -> float:
        """Break every connection with a reset; give the instant after that."""
        with self._lock:
            for wire in list(self._wires):
                wire.near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                self._drop(wire)
            return time.monotonic()

    def forget(self) -> float:
        """Lose the far ends of all connections without a word: half of each stays open."""
        with self._lock:
            for wire in self._wires:
                wire.lost = True
            return time.monotonic()

    def answer_only(self, size: int | None) -> None:
        """Break each connection that has carried so many bytes of answers from now on; None: none."""
        with self._lock:
            self._answers = size
            for wire in self._wires:
                wire.answered = 0

    def cut_off(self, pid: int) -> None:
        """Swallow whatever one process says from now on, and what it is told."""
        with self._lock:
            self._cut_off.add(pid)
            for wire in self._wires:
                wire.lost = wire.lost or self._is_cut_off(wire)

    def _is_cut_off(self, wire: _Wire) -> bool:
        ports = set()
        for pid in self._cut_off:
            with contextlib.suppress(psutil.Error):
                found = psutil.Process(pid).net_connections("tcp")
                ports |= {each.laddr.port for each in found}
        return wire.port in ports

    def _fill(self) -> None:
        """Have the kernel drop every SYN: nobody accepts, and the line of those who wait is full."""
        self._selector.unregister(self._listener)
        self._listener.listen(0)
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self._fillers.append(filler)

    def _carry(self) -> None:
        while not self._ended:
            events = self._selector.select(0.02)
            with self._lock:
                for key, _ in events:
                    if key.data is None:
                        self._accept()
                    elif key.data in self._wires:
                        self._move(key.data, key.fileobj)  # type: ignore[arg-type]
            if self._weather is Weather.TRICKLE:
                time.sleep(_TRICKLE)

    def _accept(self) -> None:
        if self._fillers:
            return
        near, _ = self._listener.accept()
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        far = socket.socket(socket.AF_UNIX)
        try:
            far.connect(self._upstream)
        except OSError:
            near.close()
            far.close()
            return
        wire = _Wire(near, far)
        wire.lost = bool(self._cut_off) and self._is_cut_off(wire)
        self._wires.add(wire)
        for sock in (near, far):
            self._selector.register(sock, selectors.EVENT_READ, wire)

    def _move(self, wire: _Wire, source: socket.socket) -> None:
        size = 1 if self._weather is Weather.TRICKLE else _CHUNK
        with contextlib.suppress(OSError):
            if chunk := source.recv(size):
                if source is wire.far and self._is_enough(wire, chunk):
                    self._drop(wire)
                elif not self._swallows(wire, source is wire.near):
                    (wire.far if source is wire.near else wire.near).sendall(chunk)
                return
        if wire.lost and source is wire.far:
            self._selector.unregister(source)  # nobody is told
            return
        self._drop(wire)

    def _is_enough(self, wire: _Wire, chunk: bytes) -> bool:
        """Pass on what may still be answered, and tell whether that was the last of it."""
        if self._answers is None or wire.answered + len(chunk) <= self._answers:
            wire.answered += len(chunk)
            return False
        wire.near.sendall(chunk[: self._answers - wire.answered])
        return True

    def _swallows(self, wire: _Wire, outward: bool) -> bool:
        if self._weather is Weather.MUTE and outward:
            return False
        if self._weather in (Weather.HOLE, Weather.DEAF, Weather.MUTE):
            wire.lost = True
        return wire.lost

    def _drop(self, wire: _Wire) -> None:
        self._wires.discard(wire)
        for sock in (wire.near, wire.far):
            with contextlib.suppress(KeyError):
                self._selector.unregister(sock)
            sock.close()
