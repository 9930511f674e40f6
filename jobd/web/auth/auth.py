"""Judging a request: may it be served, and who is it?

Invariant: `admit` gives somebody who may, or raises; it changes nothing but when a session was last
used. Whatever is not GET, HEAD or OPTIONS is refused without the token against forgery, save of a
program that comes with a token of its own: no browser sends that by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, Protocol

from starlette.requests import HTTPConnection

from jobd.broker.sessions import Sessions
from jobd.core.config_web import DashboardConfig, Role
from jobd.core.errors import BrokerError
from jobd.seams.log import Emit
from jobd.web.auth.audit import Audit
from jobd.web.auth.cookie import Cookie, csrf_of, is_csrf, new_token
from jobd.web.auth.places import check_named, check_open, check_sender
from jobd.web.auth.refused import NotFromHere, NotLoggedIn, NotYours, Refused
from jobd.web.auth.seen import Seen, seen
from jobd.web.auth.users import Users

CSRF_HEADER = "x-jobd-csrf"
CSRF_FIELD = "csrf"
_BEARER = "bearer "
_RANK: dict[Role, int] = {"viewer": 0, "operator": 1}


class Who(NamedTuple):
    """Who asks. `csrf` is what pages of the session send along; empty for a program with a token."""

    name: str
    role: Role
    via: Literal["session", "token", "open"]
    address: str
    csrf: str

    def may(self, role: Role) -> bool:
        """Say whether what needs this role may be done."""
        return _RANK[self.role] >= _RANK[role]


class Named(Protocol):
    """Whoever has a name."""

    @property
    def name(self) -> str:
        """The name for people and for the audit log."""


class Auth:
    """Who may look and who may act. Its methods block on Redis, for as long as the client's time-out."""

    def __init__(
        self, config: DashboardConfig, sessions: Sessions, namespace: str, *, emit: Emit
    ) -> None:
        self.config = config
        self.sessions = sessions
        self.users = Users(config)
        self.cookie = Cookie(namespace)
        self.log = Audit(emit)
        # An open dashboard has no sessions: what its pages send along is of this process.
        self._open_csrf = csrf_of(new_token())

    def seen(self, request: HTTPConnection) -> Seen:
        """Read where a request comes from."""
        return seen(request, self.config.proxies)

    def admit(self, request: HTTPConnection, role: Role, *, csrf: str | None = None) -> Who:
        """Say who asks, who has that role at least. Raises Refused, BrokerError.

        `csrf`: what the body of a form says; else it is a header's.
        """
        it, who = self.seen(request), None
        try:
            self.check_place(it)
            who = self._who(request, it)
            self._check(request, it, who, role, csrf)
        except (Refused, BrokerError) as error:
            if not it.is_safe:
                name, via = (who.name, who.via) if who else ("", "")
                what = f"{it.method} {request.url.path}"
                self.log.refused(name, via, it.client, what, error.code, str(error))
            raise
        return who

    def check_place(self, it: Seen) -> None:
        """Refuse what comes from where nobody is served. Raises Refused."""
        if self.config.open:
            check_open(it, self.config.hosts)
        else:
            check_named(it, self.config.hosts)

    def is_still(self, request: HTTPConnection, who: Who) -> bool:
        """Say whether who is served by a stream for a while may be still. Keeps no session alive."""
        try:
            return self._who(request, self.seen(request), touch=False) == who
        except NotLoggedIn:
            return False

    def audit(
        self,
        request: HTTPConnection,
        person: Named,
        what: str,
        on: Mapping[str, str],
        outcome: str,
    ) -> None:
        """Tell of an action that was tried: `outcome` is done, or an error's code."""
        via = person.via if isinstance(person, Who) else ""
        self.log.done(person.name, via, self.seen(request).client, what, on, outcome)

    def _who(self, request: HTTPConnection, it: Seen, *, touch: bool = True) -> Who:
        if self.config.open:
            return Who("anybody", "operator", "open", it.client, self._open_csrf)
        given = request.headers.get("authorization")
        if given is not None and given.lower().startswith(_BEARER):
            found = self.users.by_token(given[len(_BEARER) :].strip())
            if found is None:
                raise NotLoggedIn("the token is none of ours; expected one of [web.dashboard]")
            return Who(found[0], found[1], "token", it.client, "")
        token = self.cookie.read(request, https=it.https)
        session = self.sessions.look(token, touch=touch) if token else None
        user = self.users.find(session.user) if session else None
        if token is None or session is None or user is None or user.mark != session.password:
            raise NotLoggedIn("no session; expected to be logged in; log in, or send a token")
        return Who(user.name, user.role, "session", it.client, csrf_of(token))

    def _check(
        self, request: HTTPConnection, it: Seen, who: Who, role: Role, csrf: str | None
    ) -> None:
        if who.via != "token":
            check_sender(it, self.config.hosts)
            given = request.headers.get(CSRF_HEADER, "") if csrf is None else csrf
            if not it.is_safe and not is_csrf(given, who.csrf):
                raise NotFromHere(
                    f"no token of this session in {CSRF_HEADER}; expected that of the page; load it again"
                )
        if not who.may(role):
            raise NotYours(f"{who.name} is a {who.role}; expected an {role} for this")
