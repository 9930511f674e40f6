"""Receivers of notifications on loopback, that behave in the ways receivers do."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

_RESET = struct.pack("ii", 1, 0)


@dataclass
class Hit:
    """One request, as it came."""

    line: str
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.monotonic)


Behaviour = Callable[["Receiver", socket.socket], None]


def status(code: int, *headers: str, body: bytes = b"") -> Behaviour:
    """Answer, and close."""

    def do(_receiver: Receiver, wire: socket.socket) -> None:
        head = [
            f"HTTP/1.1 {code} Said",
            *headers,
            f"content-length: {len(body)}",
            "connection: close",
        ]
        wire.sendall("\r\n".join([*head, "", ""]).encode() + body)

    return do


def kept(code: int) -> Behaviour:
    """Answer, and keep the connection."""
    return lambda _receiver, wire: wire.sendall(
        b"HTTP/1.1 %d Said\r\ncontent-length: 2\r\n\r\nok" % code
    )


def hang(receiver: Receiver, _wire: socket.socket) -> None:
    """Say nothing until the end."""
    receiver.ended.wait(60)


def reset(_receiver: Receiver, wire: socket.socket) -> None:
    """Break the connection off."""
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


def nonsense(_receiver: Receiver, wire: socket.socket) -> None:
    """Speak another protocol."""
    wire.sendall(b"220 mail.example ESMTP\r\n" * 9)


def drip(receiver: Receiver, wire: socket.socket) -> None:
    """Answer a byte at a time, without end."""
    wire.sendall(b"HTTP/1.1 200 OK\r\nx: ")
    while not receiver.ended.wait(0.02):
        wire.sendall(b"x")


def drip_body(receiver: Receiver, wire: socket.socket) -> None:
    """Answer at once, and go on about it."""
    wire.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    while not receiver.ended.wait(0.02):
        wire.sendall(b"x")


def huge(receiver: Receiver, wire: socket.socket) -> None:
    """Answer with a body without end."""
    wire.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n")
    while not receiver.ended.is_set():
        receiver.poured += wire.send(b"x" * 65536)


def huge_head(receiver: Receiver, wire: socket.socket) -> None:
    """Answer with headers without end."""
    wire.sendall(b"HTTP/1.1 200 OK\r\n")
    while not receiver.ended.is_set():
        receiver.poured += wire.send(b"x-more: " + b"x" * 8192 + b"\r\n")


class Receiver:
    """Listens on a port of loopback. `does` is what it does with each request: the last for the rest."""

    def __init__(
        self,
        *does: Behaviour,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._does = list(does) or [status(204)]
        self._tls = tls
        self.hits: list[Hit] = []
        self.connections = 0
        self.poured = 0
        self.names: list[str | None] = []
        self.ended = threading.Event()
        self._lock = threading.Lock()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=64)
        self._listener.settimeout(0.1)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}/hook"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        for thread in self._threads:
            thread.join(30)
        self._listener.close()

    def does(self, *does: Behaviour) -> None:
        """Behave in another way from now on."""
        with self._lock:
            self._does = list(does)

    def ids(self) -> list[str]:
        """The webhook-id of each request."""
        return [hit.headers["webhook-id"] for hit in self.hits]

    def _accept(self) -> None:
        while not self.ended.is_set():
            try:
                wire, _ = self._listener.accept()
            except TimeoutError:
                continue
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(wire,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, wire: socket.socket) -> None:
        wire.settimeout(30)
        with wire, contextlib.suppress(OSError):
            if self._tls is not None:
                wire = self._tls.wrap_socket(wire, server_side=True)
            with wire:
                rest = b""
                while True:
                    hit, rest = _read(wire, rest)
                    if hit is None:
                        return
                    with self._lock:
                        self.hits.append(hit)
                        do = self._does.pop(0) if len(self._does) > 1 else self._does[0]
                    do(self, wire)
                    if getattr(do, "__qualname__", "").startswith("kept"):
                        continue
                    return


def _read(wire: socket.socket, rest: bytes) -> tuple[Hit | None, bytes]:
    while b"\r\n\r\n" not in rest:
        piece = wire.recv(65536)
        if not piece:
            return None, b""
        rest += piece
        if rest.startswith(b"\x16"):  # TLS, of which this receiver knows nothing
            return Hit("TLS", {}, rest), b""
    head, _, rest = rest.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)
    }
    while len(rest) < int(headers.get("content-length", "0")):
        rest += wire.recv(65536)
    size = int(headers.get("content-length", "0"))
    return Hit(line, headers, rest[:size]), rest[size:]


def refusing_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def certificate(directory: Path, name: str) -> Path:
    """Make a self-signed certificate for a name; key and certificate in one file."""
    made = directory / f"{name}.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
            "-keyout", str(made), "-out", str(made) + ".crt",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    made.write_text(made.read_text() + Path(f"{made}.crt").read_text())
    return made


def tls_of(pem: Path) -> ssl.SSLContext:
    """A server's side of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


@contextlib.contextmanager
def receiving(*does: Behaviour) -> Iterator[Receiver]:
    """Run a receiver."""
    with Receiver(*does) as receiver:
        yield receiver
