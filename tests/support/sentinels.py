"""A real Sentinel service on loopback: a primary, replicas and sentinels, each a process we own."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from redis.exceptions import AuthenticationError, RedisError

from jobd.broker.connection import Client, connect
from support.servers import eventually

SERVICE = "mymaster"
DOWN_AFTER_MS = 500


def program() -> str | None:
    """Give a server that can be a sentinel: the one of the PATH."""
    return shutil.which("redis-server") or shutil.which("valkey-server")


def free_ports(count: int) -> list[int]:
    """Find ports that nobody listens on just now."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in held]
    for each in held:
        each.close()
    return ports


class Service:
    """`servers` and `sentinels` are processes by port. Ports stay over a restart."""

    def __init__(
        self, top: Path, *, replicas: int = 2, tls: tuple[Path, Path, Path] | None = None
    ) -> None:
        """`tls` is an authority, a certificate of all and its key: then all speak TLS and nothing else."""
        self.top = top
        self._tls = tls
        ports = free_ports(1 + replicas + 3)
        self.server_ports, self.sentinel_ports = ports[: 1 + replicas], ports[1 + replicas :]
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        places = ",".join(f"127.0.0.1:{port}" for port in self.sentinel_ports)
        self.url = f"redis+sentinel://{places}/{SERVICE}/0"
        if tls is not None:
            self.url += f"?tls=true&{self._options()}"

    def _options(self) -> str:
        assert self._tls is not None
        names = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
        return "&".join(f"{name}={path}" for name, path in zip(names, self._tls, strict=True))

    def _listening(self, port: int) -> list[tuple[str, str]]:
        """Give the settings by which a process listens."""
        if self._tls is None:
            return [("port", str(port))]
        authority, certificate, key = map(str, self._tls)
        return [
            ("port", "0"), ("tls-port", str(port)), ("tls-replication", "yes"), ("tls-ca-cert-file", authority),
            ("tls-cert-file", certificate), ("tls-key-file", key),
        ]  # fmt: skip

    def start(self) -> None:
        """Start all; return when every sentinel knows all others and all replicas."""
        first = self.server_ports[0]
        for port in self.server_ports:
            self.start_server(port, of=None if port == first else first)
        # Sentinels ask who the replicas are at once, and then not again for ten seconds.
        eventually(lambda: self._is_in_sync(first))
        for port in self.sentinel_ports:
            (self.top / f"{port}").mkdir()
            (self.top / f"{port}.conf").write_text(
                "".join(f"{name} {value}\n" for name, value in self._listening(port))
                + f"bind 127.0.0.1\ndir {self.top / str(port)}\n"
                f"sentinel monitor {SERVICE} 127.0.0.1 {first} 2\n"
                f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}\n"
                f"sentinel failover-timeout {SERVICE} 3000\n"
                f"sentinel parallel-syncs {SERVICE} 2\n"
            )
            self._spawn(port, str(self.top / f"{port}.conf"), "--sentinel")
        self.settle()

    def start_server(self, port: int, *, of: int | None = None) -> None:
        """Start a server, as a replica of another one if that is named."""
        directory = self.top / f"server-{port}"
        directory.mkdir(exist_ok=True)
        more = ["--replicaof", "127.0.0.1", str(of)] if of else []
        self._spawn(
            port, *(word for name, value in self._listening(port) for word in (f"--{name}", value)), "--bind", "127.0.0.1", "--dir", str(directory), "--save", "",
            "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1",
            *more,
        )  # fmt: skip

    def _spawn(self, port: int, *arguments: str) -> None:
        found = program()
        assert found is not None
        with (self.top / f"{port}.log").open("ab") as log:
            self.processes[port] = subprocess.Popen([found, *arguments], stdout=log, stderr=log)

    def client(self, port: int) -> Client:
        if self._tls is not None:
            return connect(f"rediss://127.0.0.1:{port}/0?{self._options()}", timeout=1.0)
        return connect(f"redis://127.0.0.1:{port}/0", timeout=1.0)

    def ask(self, port: int, *command: str | int) -> object:
        """Ask one process; None while it does not answer."""
        client = self.client(port)
        try:
            return client.execute_command(*command)
        except (RedisError, OSError):
            return None
        finally:
            client.close()

    def primary(self) -> int:
        """Give the port of the primary, by the word of a sentinel."""
        return eventually(self._primary_now)

    def _primary_now(self) -> int | None:
        for port in self.sentinel_ports:
            reply = self.ask(port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
            if isinstance(reply, list):
                return int(reply[1])
        return None

    def promoted(self, old: int, *, within: float = 20.0) -> tuple[int, float]:
        """Wait for another primary; give its port and when it said so itself."""
        others = [port for port in self.server_ports if port != old]

        def look() -> tuple[int, float] | None:
            for port in others:
                role = self.ask(port, "ROLE")
                if isinstance(role, list) and role[0] == b"master":
                    return port, time.monotonic()
            return None

        return eventually(look, within=within)

    def settle(self, *, within: float = 30.0) -> None:
        """Wait until all replicas are in sync, and all sentinels agree and know one another."""
        eventually(self._is_settled, within=within)

    def _is_settled(self) -> bool:
        primary = self.primary()
        in_sync = self._is_in_sync(primary)
        return in_sync and all(self._agrees(port, primary) for port in self.sentinel_ports)

    def _is_in_sync(self, primary: int) -> bool:
        role = self.ask(primary, "ROLE")
        if not isinstance(role, list) or role[0] != b"master":
            return False
        if len(role[2]) < len(self.server_ports) - 1:
            return False
        for port in self.server_ports:
            if port != primary:
                role = self.ask(port, "ROLE")
                if not isinstance(role, list) or role[0] != b"slave" or role[3] != b"connected":
                    return False
        return True

    def _agrees(self, sentinel: int, primary: int) -> bool:
        said = self.ask(sentinel, "SENTINEL", "MASTER", SERVICE)
        if not isinstance(said, list):
            return False
        words = [_text(word) for word in said]
        facts = dict(zip(words[::2], words[1::2], strict=True))
        return (
            facts["port"] == str(primary)
            and int(facts["num-slaves"]) >= len(self.server_ports) - 1
            and int(facts["num-other-sentinels"]) == len(self.sentinel_ports) - 1
            and "down" not in facts["flags"]
            and "failover" not in facts["flags"]
        )

    def kill(self, port: int) -> None:
        """SIGKILL a process."""
        self.processes[port].kill()
        self.processes[port].wait()

    def end(self) -> None:
        """Leave nothing running, stopped ones included."""
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.kill()
        for process in self.processes.values():
            process.wait()


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


@contextlib.contextmanager
def plain_server(directory: Path, *settings: str) -> Iterator[int]:
    """Run one server on a port of loopback; give the port."""
    found = program()
    assert found is not None
    [port] = free_ports(1)
    directory.mkdir(exist_ok=True)
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                found, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(directory),
                *settings,
            ],
            stdout=log, stderr=log,
        )  # fmt: skip
    client = connect(f"redis://127.0.0.1:{port}/0")
    try:
        eventually(lambda: _answers(client))
        yield port
    finally:
        client.close()
        process.kill()
        process.wait()


def _answers(client: Client) -> bool:
    try:
        return bool(client.execute_command("PING"))
    except AuthenticationError:
        return True
    except (RedisError, OSError):
        return False


@contextlib.contextmanager
def service(
    top: Path, *, replicas: int = 2, tls: tuple[Path, Path, Path] | None = None
) -> Iterator[Service]:
    """Run a service; see that nothing of it is left."""
    made = Service(top, replicas=replicas, tls=tls)
    try:
        made.start()
        yield made
    finally:
        made.end()
