"""One finding of the doctor."""

from __future__ import annotations

from typing import Literal

import msgspec

Level = Literal["ok", "note", "warning", "error"]


class Finding(msgspec.Struct, frozen=True):
    """One line. `name` is stable, for programs; `do` is empty only where nothing is to be done.

    `error`: jobs are lost, or do not run, or a restart will fail. `warning`: that will happen under
    load, or in an accident. `note`: worth knowing, and maybe what is wanted.
    """

    name: str
    level: Level
    found: str
    do: str = ""


def ok(name: str, found: str) -> Finding:
    """Say that something is as it should be."""
    return Finding(name, "ok", found)


def note(name: str, found: str, do: str = "") -> Finding:
    """Say something that is no problem."""
    return Finding(name, "note", found, do)


def warning(name: str, found: str, do: str) -> Finding:
    """Say what will be a problem one day."""
    return Finding(name, "warning", found, do)


def error(name: str, found: str, do: str) -> Finding:
    """Say what is a problem now."""
    return Finding(name, "error", found, do)
