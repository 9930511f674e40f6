"""Judging the runtime directory: who may write there, and on what it lies."""

from __future__ import annotations

import msgspec

from jobd.core.doctor.finding import Finding, error, note, ok, warning
from jobd.core.sizes import size_words

# Where a lock or a memory map of one machine is not seen by another, or not at all.
_FAR = (
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "9p",
    "ceph",
    "glusterfs",
    "lustre",
    "afs",
    "fuse.sshfs",
    "vboxsf",
)
_LITTLE = 16_000_000


class PlaceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the system says of the directory. `owner` and `me` are uids; `free` is in bytes."""

    path: str
    exists: bool = True
    is_directory: bool = True
    owner: int = 0
    me: int = 0
    mode: int = 0o700
    filesystem: str | None = None
    free: int | None = None
    entered: bool = True  # this user may look into it


def examine(facts: PlaceFacts) -> list[Finding]:
    """Judge the directory."""
    name = "place.rights"
    if not facts.exists:
        return [note(name, f"{facts.path} does not exist yet", "`jobd run` makes it")]
    if not facts.is_directory:
        do = "remove it, or name another daemon.runtime_dir"
        return [error(name, f"{facts.path} is no directory", do)]
    return [_rights(facts), *_filesystem(facts), *_room(facts)]


def _rights(facts: PlaceFacts) -> Finding:
    name = "place.rights"
    if not facts.entered:
        said = f"{facts.path} cannot be looked into by this user"
        return warning(name, said, f"ask as uid {facts.owner} (`sudo -u`) or as root")
    if facts.mode & 0o022:
        said = f"{facts.path} may be written by others (mode {facts.mode & 0o777:03o})"
        return error(name, said, f"chmod 700 {facts.path}, or `jobd run` refuses it")
    if facts.me not in (facts.owner, 0):
        said = f"{facts.path} belongs to uid {facts.owner}, and this is uid {facts.me}"
        return note(name, said, "ask as that user to see all")
    return ok(name, f"{facts.path} is for uid {facts.owner} alone")


def _filesystem(facts: PlaceFacts) -> list[Finding]:
    kind = facts.filesystem
    if kind is None:
        return []
    if kind in _FAR:
        said = f"{facts.path} is on {kind}: locks and memory maps do not hold there"
        return [error("place.filesystem", said, "name a daemon.runtime_dir below /run")]
    return [ok("place.filesystem", f"on {kind}")]


def _room(facts: PlaceFacts) -> list[Finding]:
    if facts.free is None or facts.free >= _LITTLE:
        return []
    said = f"{size_words(facts.free)} are free on the file system of {facts.path}"
    return [error("place.room", said, "make room: a daemon cannot write its state or scoreboard")]
