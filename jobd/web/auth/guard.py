"""Guarded routes: nothing of a route is called before its request was admitted; what it did is told.

For pages and forms of Starlette. The API asks `Gatekeeper.admit` by itself, since it knows more of its actions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobd.core.config_web import Role
from jobd.core.errors import BrokerError
from jobd.web.auth.forms import FORM, again, fields, kind_of, whole
from jobd.web.auth.gatekeeper import CSRF_FIELD, CSRF_HEADER, Gatekeeper, Who
from jobd.web.auth.refused import Busy, NotLoggedIn, Refused, problem
from jobd.web.threads import Crowded, Threads, TooLate

Refusal = Callable[[Request, Exception], Response]
"""Says to a person, as a page, why a request is not served."""

_WHO = "jobd.who"
_ABOUT = "jobd.about"


def who_of(request: HTTPConnection) -> Who:
    """Give who was admitted to a guarded route."""
    who = request.scope[_WHO]
    assert isinstance(who, Who)
    return who


def note(request: HTTPConnection, on: Mapping[str, str]) -> None:
    """Say for the audit log what an action is about, beyond what its path says."""
    request.scope[_ABOUT].update(on)


def asks_for_a_page(request: HTTPConnection) -> bool:
    """Say whether a browser asks, for somebody to read the answer."""
    return request.scope["method"] == "GET" and "text/html" in request.headers.get("accept", "")


def guard(
    auth: Gatekeeper,
    routes: Sequence[BaseRoute],
    *,
    threads: Threads,
    role: Role = "viewer",
    acts: Role = "operator",
    login: str | None = None,
    page: Refusal | None = None,
) -> list[BaseRoute]:
    """Let in who has `role` to ask, and `acts` for whatever is not GET, HEAD or OPTIONS.

    `login`: the path of a page where a browser without a session is sent; `page` answers those who ask for
    a page. Raises TypeError for what is no Route.
    """
    for route in routes:
        if not isinstance(route, Route):  # what is mounted would be open to all
            raise TypeError(f"{route!r}; expected a Route; guard what is mounted by itself")
        route.app = _Guarded(route.app, auth, threads, role, acts, login, page, route.name)
    return list(routes)


class _Guarded:
    """One route behind its guard."""

    def __init__(
        self, app: ASGIApp, auth: Gatekeeper, threads: Threads,
        role: Role, acts: Role, login: str | None, page: Refusal | None, name: str,
    ) -> None:  # fmt: skip
        self._app = app
        self._auth = auth
        self._threads = threads
        self._role, self._acts = role, acts
        self._login = login
        self._page = page
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        is_safe = self._auth.seen(request).is_safe
        try:
            who = await self._known(request, self._role if is_safe else self._acts)
            csrf = None
            if not is_safe and _is_form(request):
                body = await whole(request)
                csrf = fields(FORM, body).get(CSRF_FIELD, "")
                receive = again(body, receive)
            self._auth.check_meant(request, who, csrf)
        except (Refused, BrokerError) as error:
            await self._refusal(request, error)(scope, receive, send)
            return
        scope[_WHO], scope[_ABOUT] = who, {}
        if is_safe:
            await self._app(scope, receive, send)
        else:
            await self._act(request, who, receive, send)

    async def _known(self, request: Request, role: Role) -> Who:
        """Find out who asks, before anything of a body is waited for."""
        try:
            return await self._threads.run(lambda: self._auth.known(request, role))
        except (Crowded, TooLate) as busy:
            raise Busy("too many requests are under way; try again in a moment") from busy

    async def _act(self, request: Request, who: Who, receive: Receive, send: Send) -> None:
        """Have an action done, and tell of it whatever becomes of it."""
        outcome = "unknown"

        async def watched(message: Message) -> None:
            nonlocal outcome
            if message["type"] == "http.response.start":
                outcome = "done" if message["status"] < 400 else f"http {message['status']}"
            await send(message)

        try:
            await self._app(request.scope, receive, watched)
        except Exception as error:
            outcome = getattr(error, "code", type(error).__name__)
            raise
        finally:
            path = {name: str(value) for name, value in request.path_params.items()}
            self._auth.audit(request, who, self._name, path | request.scope[_ABOUT], outcome)

    def _refusal(self, request: Request, error: Refused | BrokerError) -> Response:
        if not asks_for_a_page(request):
            return problem(error)
        way_in = self._auth.way_in(request, self._login)
        if way_in is None or not isinstance(error, NotLoggedIn):
            return problem(error) if self._page is None else self._page(request, error)
        return RedirectResponse(way_in, status_code=303, headers={"Cache-Control": "no-store"})


def _is_form(request: Request) -> bool:
    return kind_of(request) == FORM and CSRF_HEADER not in request.headers
