"""The gatekeeper of a mounted dashboard: it asks the application around it who somebody is.

Invariant: fails closed. Whoever the application does not name is not served; what its function raises lets
nobody in; whatever changes something needs our token against forgery, since the application's session says
nothing of where a request comes from. The token is made of a cookie of our own, the user's name and a secret
that all processes share by Redis: who plants a cookie does not know it.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context, copy_context
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import Scope

from jobd.core.errors import BrokerError, JobdError
from jobd.core.web_events import WebFailed
from jobd.seams.log import Emit
from jobd.web.auth.cookie import Cookie, csrf_of, new_token
from jobd.web.auth.gatekeeper import STREAMS_OF_ALL, Gatekeeper, Who, asked_for, bearer
from jobd.web.auth.person import Person
from jobd.web.auth.places import check_named, check_open
from jobd.web.auth.refused import ByHost, NotKnown
from jobd.web.auth.seen import Seen
from jobd.web.below import root_of

Ask = Callable[[Request], Person | Awaitable[Person | None] | None]
"""The application's own: says who asks; None: nobody who may."""

Secret = Callable[[], str | None]
"""Gives what tokens are made with; None: there is none, and nobody acts. Blocks; raises BrokerError."""

_SIDE = "jobd.host_side"
_WITHIN = 15.0


def anybody(_request: HTTPConnection) -> Person:
    """Let everybody act who reaches it from this very host by a loopback address: for development."""
    return Person("anybody", "operator")


class HostSide:
    """One request as the application has handed it on, and the cookie that goes with the answer."""

    def __init__(self, scope: Scope, namespace: str) -> None:
        """Made on the event loop of the request."""
        self.request = Request(dict(scope))
        self.loop = asyncio.get_running_loop()
        self.context: Context = copy_context()
        self.https = scope.get("scheme") == "https"
        self._cookie = Cookie(f"{namespace} {scope.get('root_path', '')}", root_of(scope) or "/")
        self.token = self._cookie.read(self.request, https=self.https)
        self._is_new = False

    def draw(self) -> str:
        """Give the browser's token; a new one where it has none."""
        if self.token is None:
            self.token, self._is_new = new_token(), True
        return self.token

    def to_set(self) -> str | None:
        """Give the header that has the browser keep a new token."""
        if self.token is None or not self._is_new:
            return None
        carrier = Response()
        self._cookie.put(carrier, self.token, https=self.https)
        return carrier.headers["set-cookie"]


class HostAuth(Gatekeeper):
    """Who may look and who may act, as a function of the application says."""

    def __init__(
        self, ask: Ask, namespace: str, *, secret: Secret, login_url: str | None, hosts: Sequence[str],
        emit: Emit,
    ) -> None:  # fmt: skip
        # The server that runs the application knows its proxies: what it says of a request counts.
        super().__init__(hosts, (), emit=emit)
        self._ask = ask
        if ask is anybody:
            self.most_streams = STREAMS_OF_ALL
        self._namespace = namespace
        self._secret = secret
        self._login_url = login_url
        self._emit = emit

    def receive(self, scope: Scope) -> HostSide:
        """Take in a request, before anything of ours has touched it."""
        side = scope[_SIDE] = HostSide(scope, self._namespace)
        return side

    def check_place(self, it: Seen) -> None:
        """Refuse what comes from where nobody is served. Raises Refused."""
        if self._ask is anybody:
            check_open(it, self.hosts)
        else:
            check_named(it, self.hosts)

    def is_still(self, request: HTTPConnection, who: Who) -> bool:
        """Say whether the application still lets in who is served by a stream. Blocks; raises BrokerError."""
        try:
            return self._who(request, self.seen(request)) == who
        except BrokerError:
            raise
        except JobdError:
            return False
        except Exception as error:  # noqa: BLE001 - a mistake of the application's function
            self._emit(WebFailed(path=request.url.path, why=f"auth: {error!r}"))
            return False

    def way_in(self, request: HTTPConnection, _page: str | None, /) -> str | None:
        """Say where the application logs people in; it may lead them back by `next`."""
        if self._login_url is None:
            return None
        mark = "&" if "?" in self._login_url else "?"
        return f"{self._login_url}{mark}next={quote(asked_for(request), safe='/')}"

    def _who(self, request: HTTPConnection, it: Seen) -> Who:
        side: HostSide = request.scope[_SIDE]
        try:
            person = side.context.copy().run(_answer, self._ask, side)
        except HTTPException as refusal:
            raise _by_host(refusal) from refusal
        if person is None:
            raise NotKnown("nobody; expected somebody whom this application lets in; log in there")
        if not isinstance(person, Person):
            raise TypeError(f"auth: {type(person).__name__}; expected None, or a jobd.web.Person")
        # A page is given a token to act with; what acts has to have one.
        token = side.draw() if it.is_safe and not _is_program(request) else side.token
        secret = self._secret() if token else None
        csrf = csrf_of(f"{secret} {token} {person.name}") if secret else ""
        return Who(person.name, person.role, "host", it.client, csrf)

    def _is_meant(self, request: HTTPConnection, who: Who, csrf: str | None) -> bool:
        """Say whether the token comes along, or whether it is a program that asks."""
        return _is_program(request) or super()._is_meant(request, who, csrf)


def _is_program(request: HTTPConnection) -> bool:
    """Say whether it comes with a Bearer's token, which browsers do not send by themselves.

    With a cookie beside it, it may be that by which the application knows the user, and the other any word.
    """
    return bearer(request) is not None and "cookie" not in request.headers


def _answer(ask: Ask, side: HostSide) -> Any:
    """Ask the application. In a thread; what is to be awaited is so on the request's own event loop."""
    given = ask(side.request)
    if not inspect.isawaitable(given):
        return given
    waiting = given if inspect.iscoroutine(given) else _wait(given)
    try:
        future = asyncio.run_coroutine_threadsafe(waiting, side.loop)
    except RuntimeError:  # the loop is closed
        waiting.close()
        raise
    try:
        return future.result(_WITHIN)
    finally:
        future.cancel()


async def _wait(given: Awaitable[object]) -> object:
    return await given


def _by_host(refusal: HTTPException) -> ByHost:
    """Answer as the application wants; what is no refusal to be answered so is a plain 403."""
    status = refusal.status_code
    usable = status in HTTPStatus._value2member_map_ and status >= 300 and status != 304
    headers = (refusal.headers or {}).items()
    # The body is ours.
    kept = {name: value for name, value in headers if not name.lower().startswith("content-")}
    return ByHost(status if usable else 403, str(refusal.detail), kept)
