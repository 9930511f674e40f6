"""Whom an application that mounts the dashboard lets in, as its own authentication says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from jobd.core.config_web import Role
from jobd.core.suggest import nearest, one_of

_ROLES: tuple[str, ...] = get_args(Role)


@dataclass(frozen=True)
class Person:
    """Somebody who may look (`viewer`), or look and act (`operator`).

    `name` is for the pages and for the audit log. Raises ValueError for another role, or no name.
    """

    name: str
    role: Role = "viewer"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(
                f"Person: name: {self.name!r:.80}; expected a text that is not empty; give what the "
                "audit log is to call this user"
            )
        if self.role not in _ROLES:
            role = str(self.role)[:80]
            raise ValueError(
                f"Person: role: {role!r}; expected {one_of(_ROLES)}{nearest(role, _ROLES)}"
            )
