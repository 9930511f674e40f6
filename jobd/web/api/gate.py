"""Who may ask, as the API sees it: what it needs of whoever knows the users.

Invariant: nothing of a request but its head is looked at before it was admitted, and every action that
was tried is told of, done or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

from starlette.requests import Request

Role = Literal["viewer", "operator"]


class Person(Protocol):
    """Who asks."""

    @property
    def name(self) -> str:
        """The name for people and for the audit log."""


class Gate(Protocol):
    """Knows the users."""

    def admit(self, request: Request, role: Role) -> Person:
        """Say who asks, who has that role at least. Blocks. Raises JobdError."""

    def audit(
        self, request: Request, person: Person, what: str, on: Mapping[str, str], outcome: str
    ) -> None:
        """Tell of an action that was tried."""
