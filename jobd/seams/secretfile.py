"""Secrets in files of their own, and who else may read a file.

A relative name is looked for in systemd's CREDENTIALS_DIRECTORY first, then beside the configuration.
Invariant: what goes wrong is told without the content, and no file is waited for or read without end.
"""

from __future__ import annotations

import grp
import os
import stat
from pathlib import Path

from jobd.core.config_drawn import Outside, Secret
from jobd.core.errors import Absent, OptionError

CREDENTIALS = "CREDENTIALS_DIRECTORY"
_MOST = 64 * 1024


def outside(configuration: Path) -> Outside:
    """Give the world as this process sees it, to the reader of a configuration."""
    return Outside(os.environ, lambda name: read(name, configuration.parent))


def read(name: str, beside: Path) -> Secret:
    """Read a file without its last line break. Raises OptionError; Absent when there is none."""
    place = _find(name, beside)
    try:
        raw = _raw(place)
    except OSError as error:
        raise Absent(
            f"{name!r}: {place}: {error.strerror}; expected a file that holds the value alone; "
            f"make it, readable for uid {os.geteuid()}, or correct the name"
        ) from error
    what = f"{name!r}: {place}"
    if raw is None:
        raise OptionError(f"{what}: not a regular file; expected one")
    return Secret(_text(raw, what), str(place))


def others_who_read(path: Path) -> str | None:
    """Say who may read a file beside its owner: 'all users', 'group jobs', or None.

    The group is no stranger to the one who reads it by that right: a service reads root's files so.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    if found.st_mode & stat.S_IROTH:
        return "all users"
    if not found.st_mode & stat.S_IRGRP or _is_ours_by_group(found):
        return None
    return f"group {_name_of_group(found.st_gid)}"


def _name_of_group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:  # of a container, or gone
        return str(number)


def _is_ours_by_group(found: os.stat_result) -> bool:
    mine = {os.getegid(), *os.getgroups()}
    return found.st_uid != os.geteuid() and os.geteuid() != 0 and found.st_gid in mine


def _raw(place: Path) -> bytes | None:
    """Read a regular file, up to a byte more than there may be; None for anything else."""
    # A pipe without a writer would be waited for.
    fd = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        with os.fdopen(fd, "rb", closefd=False) as file:
            return file.read(_MOST + 1)
    finally:
        os.close(fd)


def _find(name: str, beside: Path) -> Path:
    given = Path(name)
    if given.is_absolute():
        return given
    if directory := os.environ.get(CREDENTIALS):
        credential = Path(directory) / name
        if credential.is_file():
            return credential
    return beside / given


def _text(raw: bytes, what: str) -> str:
    if len(raw) > _MOST:
        raise OptionError(f"{what}: more than {_MOST} bytes; expected a value of one line")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise OptionError(f"{what}: not UTF-8 text; expected a value of one line") from error
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise OptionError(f"{what}: empty; expected a value of one line; write it there")
    if not text.isprintable():
        raise OptionError(
            f"{what}: more than one line, or control characters; expected a value of one line"
        )
    return text
