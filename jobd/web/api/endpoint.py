"""One row of the table: all that is known of an endpoint, for the routes and for the document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from jobd.web.api.gate import Role
from jobd.web.api.house import House


class Nothing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """No parameters."""


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a request carries; the root of all that do, and of queries."""


class Call(NamedTuple):
    """One request that was admitted and read. `query` and `body` are what the endpoint says they are.

    `base` is the path below which the API is served to who asks.
    """

    path: Mapping[str, str]
    query: Any
    body: Any
    person: str
    base: str = ""


class Endpoint(NamedTuple):
    """`act` blocks; what it gives is of the type `answer`. `body` None: the request has none. `status` is that of an answer
    that is no problem."""

    method: str
    path: str
    name: str
    tag: str
    summary: str
    act: Callable[[House, Call], object]
    answer: Any
    query: type[msgspec.Struct] = Nothing
    body: type[msgspec.Struct] | None = None
    status: int = 200

    @property
    def is_action(self) -> bool:
        """Whether it may change something."""
        return self.method != "GET"

    @property
    def role(self) -> Role:
        """Who may ask."""
        return "operator" if self.is_action else "viewer"
