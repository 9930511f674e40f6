"""The gatekeeper who knows the users, tokens and sessions of [web.dashboard]."""

from __future__ import annotations

from starlette.requests import HTTPConnection

from jobd.broker.sessions import Sessions
from jobd.core.config_web import DashboardConfig
from jobd.core.web_events import WebProxyUnnamed
from jobd.seams.log import Emit
from jobd.web.auth.cookie import Cookie, csrf_of, new_token
from jobd.web.auth.gatekeeper import (
    CSRF_FIELD,
    CSRF_HEADER,
    STREAMS_OF_ALL,
    Gatekeeper,
    Who,
    bearer,
)
from jobd.web.auth.places import check_named, check_open
from jobd.web.auth.refused import NotLoggedIn
from jobd.web.auth.seen import Seen
from jobd.web.auth.users import Users

__all__ = ["CSRF_FIELD", "CSRF_HEADER", "Auth", "Who"]

_UNNAMED = (
    "it sends X-Forwarded-For and is none of `proxies`: all who come through it count as one address, also "
    "where tries to log in are limited; name it in `proxies` of [web.dashboard] if it is a proxy of yours"
)


class Auth(Gatekeeper):
    """Who may look and who may act. Its methods block on Redis, for as long as the client's time-out."""

    def __init__(
        self, config: DashboardConfig, sessions: Sessions, namespace: str, *, emit: Emit
    ) -> None:
        super().__init__(config.hosts, config.proxies, emit=emit)
        self.config = config
        self.sessions = sessions
        self.users = Users(config)
        self.cookie = Cookie(namespace)
        self.enter_by = "open" if config.open else "form" if self.users.can_log_in else "tokens"
        if config.open:
            self.most_streams = STREAMS_OF_ALL
        # An open dashboard has no sessions: what its pages send along is of this process.
        self._open_csrf = csrf_of(new_token())
        self._emit = emit
        self._has_told_of_proxy = False

    def check_place(self, it: Seen) -> None:
        """Refuse what comes from where nobody is served. Raises Refused."""
        if self.config.open:
            check_open(it, self.hosts)
            return
        if it.unnamed and not self._has_told_of_proxy:
            self._has_told_of_proxy = True
            self._emit(WebProxyUnnamed(peer=it.peer[:80], why=_UNNAMED))
        check_named(it, self.hosts)

    def is_still(self, request: HTTPConnection, who: Who) -> bool:
        """Say whether who is served by a stream for a while may be still. Keeps no session alive."""
        try:
            return self._who(request, self.seen(request), touch=False) == who
        except NotLoggedIn:
            return False

    def _who(self, request: HTTPConnection, it: Seen, *, touch: bool = True) -> Who:
        if self.config.open:
            return Who("anybody", "operator", "open", it.client, self._open_csrf)
        if (given := bearer(request)) is not None:
            found = self.users.by_token(given)
            if found is None:
                raise NotLoggedIn("the token is none of ours; expected one of [web.dashboard]")
            return Who(found[0], found[1], "token", it.client, "")
        token = self.cookie.read(request, https=it.https)
        session = self.sessions.look(token, touch=touch) if token else None
        user = self.users.find(session.user) if session else None
        if token is None or session is None or user is None or user.mark != session.password:
            raise NotLoggedIn("no session; expected to be logged in; log in, or send a token")
        return Who(user.name, user.role, "session", it.client, csrf_of(token))
