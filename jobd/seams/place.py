"""The name of a daemon's place, as the hash `jobd:hosts` has it: the same for its successor there."""

from __future__ import annotations

import hashlib
from pathlib import Path

from jobd.seams.hostname import host_name


def key_of(runtime_dir: Path) -> str:
    """Name a daemon's place so that its successor there has the same name, and nobody else.

    Hosts may share a name, as containers may share a machine: its id and the process namespace are
    parts of the name.
    """
    host = host_name()
    parts = (host, str(runtime_dir), _read("/etc/machine-id"), _namespace())
    digest = hashlib.blake2b("\n".join(parts).encode(), digest_size=4).hexdigest()
    return f"{host}-{digest}"


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _namespace() -> str:
    """Name the process namespace: of containers with one host name, each has another."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
