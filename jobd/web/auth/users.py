"""The users and tokens of the configuration, as requests meet them.

Invariant: a name that nobody has takes as long, and as much memory, as one that somebody has.
"""

from __future__ import annotations

import secrets
from typing import NamedTuple

from jobd.broker.sessions import digest
from jobd.core.config_web import DashboardConfig, Role
from jobd.core.passwords import COST, SALT_BYTES, Scrypt, is_token, matches, parsed


class User(NamedTuple):
    """One user. `mark` says which password it is: sessions of another one count no more."""

    name: str
    role: Role
    mark: str


class Users:
    """Everybody who is configured."""

    def __init__(self, config: DashboardConfig) -> None:
        self._users = {
            name: User(name, each.role, digest(each.password))
            for name, each in config.users.items()
        }
        self._held = {name: parsed(each.password) for name, each in config.users.items()}
        self._tokens = config.tokens
        dearest = max(self._held.values(), key=lambda held: held.cost, default=COST)
        salt, key = secrets.token_bytes(SALT_BYTES), secrets.token_bytes(len(dearest.key) or 32)
        # What an unknown user's password is compared with.
        self._nobody = Scrypt(dearest.n, dearest.r, dearest.p, salt, key)

    @property
    def can_log_in(self) -> bool:
        """Say whether there is anybody with a password."""
        return bool(self._users)

    def find(self, name: str) -> User | None:
        """Find who has this name."""
        return self._users.get(name)

    def by_password(self, name: str, password: str) -> User | None:
        """Give the user, if it is his password. Takes a quarter of a second and 32 MB."""
        right = matches(password, self._held.get(name, self._nobody))
        return self._users.get(name) if right else None

    def by_token(self, token: str) -> tuple[str, Role] | None:
        """Give name and role of who has this token."""
        found = None
        for name, each in self._tokens.items():  # all of them, whichever it is
            if is_token(token, each.token):
                found = (name, each.role)
        return found
