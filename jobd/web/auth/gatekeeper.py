"""Judging a request: may it be served, and who is it? What is the same whoever knows the users.

Invariant: `admit` gives somebody who may, or raises; it changes nothing but when a session was last
used. Whatever is not GET, HEAD or OPTIONS is refused without the token against forgery, save of a
program that comes with a token of its own: no browser sends that by itself. Whoever serves routes asks
a Gatekeeper: `Auth` knows the users of the configuration, `HostAuth` those of the application that
this one is mounted in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol
from urllib.parse import quote

from starlette.requests import HTTPConnection

from jobd.core.config_web import Role
from jobd.core.errors import BrokerError
from jobd.seams.log import Emit
from jobd.web.auth.audit import Audit
from jobd.web.auth.cookie import is_csrf
from jobd.web.auth.places import check_sender
from jobd.web.auth.refused import NotFromHere, NotYours, Refused
from jobd.web.auth.seen import Seen, seen
from jobd.web.below import path_below, query_of, root_of

CSRF_HEADER = "x-jobd-csrf"
CSRF_FIELD = "csrf"
BEARER = "bearer "
STREAMS_OF_ALL = 60
"""Pages that are watched at once where all who come are one person."""
_RANK: dict[Role, int] = {"viewer": 0, "operator": 1}


class Who(NamedTuple):
    """Who asks. `csrf` is what pages of the session send along; empty for a program with a token."""

    name: str
    role: Role
    via: Literal["session", "token", "open", "host"]
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


class Gatekeeper(ABC):
    """Who may look and who may act. Its methods may block; only `seen` and `audit` do not.

    `enter_by` says what the page at /login tells people who come there; None: they log in elsewhere.
    """

    enter_by: Literal["form", "tokens", "open"] | None = None
    most_streams = 20
    """Pages that one person may watch at once."""

    def __init__(self, hosts: Sequence[str], proxies: Sequence[str], *, emit: Emit) -> None:
        """`hosts`: the names that it is reached by, none: any; `proxies`: whose headers are believed."""
        self.hosts = hosts
        self.log = Audit(emit)
        self._proxies = proxies

    @abstractmethod
    def check_place(self, it: Seen) -> None:
        """Refuse what comes from where nobody is served. Raises Refused."""

    @abstractmethod
    def is_still(self, request: HTTPConnection, who: Who) -> bool:
        """Say whether who is served by a stream for a while may be still. Keeps no session alive."""

    @abstractmethod
    def _who(self, request: HTTPConnection, it: Seen) -> Who:
        """Find out who asks. Raises Refused, BrokerError."""

    def seen(self, request: HTTPConnection) -> Seen:
        """Read where a request comes from."""
        return seen(request, self._proxies)

    def admit(self, request: HTTPConnection, role: Role, *, csrf: str | None = None) -> Who:
        """Say who asks, who has that role at least. Raises Refused, BrokerError.

        `csrf`: what the body of a form says; else it is a header's.
        """
        who = self.known(request, role)
        self.check_meant(request, who, csrf)
        return who

    def known(self, request: HTTPConnection, role: Role) -> Who:
        """Say who asks, as `admit`, by the head alone: not yet whether the request is meant."""
        it, who = self.seen(request), None
        try:
            self.check_place(it)
            who = self._who(request, it)
            if who.via != "token":
                check_sender(it, self.hosts)
            if not who.may(role):
                raise NotYours(f"{who.name} is a {who.role}; expected an {role} for this")
        except (Refused, BrokerError) as error:
            self._tell(request, it, who, error)
            raise
        return who

    def check_meant(self, request: HTTPConnection, who: Who, csrf: str | None) -> None:
        """Refuse what a page elsewhere may have had sent by who is known. Does not block. Raises Refused."""
        it = self.seen(request)
        if who.via == "token" or it.is_safe or self._is_meant(request, who, csrf):
            return
        error = NotFromHere(
            f"no token of this session in {CSRF_HEADER}; expected that of the page; load it again"
        )
        self._tell(request, it, who, error)
        raise error

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

    def way_in(self, request: HTTPConnection, page: str | None, /) -> str | None:
        """Say where a browser without a session is sent; `page` is the path of a form of ours."""
        if page is None:
            return None
        root = root_of(request.scope)
        back = asked_for(request).removeprefix(root)
        return f"{root}{page}?next={quote(back, safe='/')}"

    def _is_meant(self, request: HTTPConnection, who: Who, csrf: str | None) -> bool:
        """Say whether the token against forgery comes along."""
        given = request.headers.get(CSRF_HEADER, "") if csrf is None else csrf
        return bool(who.csrf) and is_csrf(given, who.csrf)

    def _tell(
        self, request: HTTPConnection, it: Seen, who: Who | None, error: Refused | BrokerError
    ) -> None:
        """Tell of an action that is refused."""
        if not it.is_safe:
            name, via = (who.name, who.via) if who else ("", "")
            what = f"{it.method} {request.url.path}"
            self.log.refused(name, via, it.client, what, error.code, str(error))


def asked_for(request: HTTPConnection) -> str:
    """Give path and query as they were asked for, below whatever this is mounted at."""
    scope = request.scope
    return f"{root_of(scope)}{path_below(scope)}{query_of(scope)}"


def bearer(request: HTTPConnection) -> str | None:
    """Give the token that a program comes with. None: there is none."""
    given = request.headers.get("authorization")
    if given is None or not given.lower().startswith(BEARER):
        return None
    return given[len(BEARER) :].strip()
