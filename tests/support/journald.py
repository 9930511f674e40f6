"""A journald for tests: its socket, and a parser of its own protocol, written from that protocol's text."""

from __future__ import annotations

import socket
from pathlib import Path

Entry = dict[str, list[bytes]]


def parse(datagram: bytes) -> Entry:
    """Read one entry; fails where journald would throw something away."""
    entry: Entry = {}
    rest = datagram
    while rest:
        line, end, after = rest.partition(b"\n")
        assert end, f"no end of line: {line!r}"
        name, equals, value = line.partition(b"=")
        if equals:
            rest = after
        else:
            size = int.from_bytes(after[:8], "little")
            value, rest = after[8 : 8 + size], after[8 + size :]
            assert len(value) == size
            assert rest[:1] == b"\n"
            rest = rest[1:]
        called = name.decode("ascii")
        assert called.replace("_", "A").isalnum()
        assert called.isupper()
        assert called[0].isalpha()
        assert len(called) <= 64
        entry.setdefault(called, []).append(value)
    return entry


class Journald:
    """Takes what is sent to a socket, when it is asked to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.open()

    def open(self) -> None:
        """Listen, as it does when it is started."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(self.path))

    def close(self) -> None:
        """Be gone, socket and all."""
        self._socket.close()
        self.path.unlink(missing_ok=True)

    def datagrams(self) -> list[bytes]:
        """Take what has come, greetings left out."""
        found = []
        while True:
            try:
                found.append(self._socket.recv(1 << 20))
            except BlockingIOError:
                return [each for each in found if each.strip(b"\n")]

    def entries(self) -> list[Entry]:
        return [parse(each) for each in self.datagrams()]
