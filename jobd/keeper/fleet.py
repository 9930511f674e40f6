"""What the supervisor tells the keeper: the whole list, every time. A lost message heals itself."""

from __future__ import annotations

import msgspec


class Alive(msgspec.Struct, frozen=True):
    """A worker the supervisor knows to be alive."""

    incarnation: str
    queue: str
    page: int


class Dead(msgspec.Struct, frozen=True):
    """A worker that is gone and not yet released.

    `cause` is crash, timeout, cancelled, stopped, fenced or lost; `charged` names the running jobs a
    timeout is charged to, or that were cancelled by force (for every other cause all running jobs share it). `how` is its exit in words.
    """

    incarnation: str
    queue: str
    page: int
    board: str
    cause: str
    charged: list[str] = []
    how: str = ""


class Fleet(msgspec.Struct, frozen=True):
    """One such list."""

    alive: list[Alive] = []
    dead: list[Dead] = []
    stopping: bool = False
