"""What is served where: health and metrics, and how a wrong question is answered.

Every answer that is no page or exposition is JSON, errors included. Further routes are given.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import cast

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobd import __version__
from jobd.core.health import Health
from jobd.core.web_events import WebFailed
from jobd.seams.log import Emit
from jobd.web.auth.guard import asks_for_a_page
from jobd.web.auth.headers import SecureHeaders
from jobd.web.health import Knowledge
from jobd.web.scrape import Late, Shared

Exposition = Callable[[str], tuple[bytes, str]]
"""Gives the metrics and their content type, as an Accept header asks. Blocks."""

HEALTH_PATHS = ("/livez", "/readyz", "/healthz")
"""What probes ask for: answered at once, whatever else is going on."""

# Prometheus gives up after ten seconds, where it was not told otherwise.
_SCRAPE_WITHIN = 9.0
_JSON = "application/json"
_OPENMETRICS = "application/openmetrics-text"
_NO_DASHBOARD = (
    "none: [web.dashboard] of jobd.toml names nobody who may look; add users, with what `jobd hash-password` "
    "prints, or open = true on your own machine; then `jobd reload`"
)
_NOT_KEPT = {"Cache-Control": "no-store"}


def make_app(
    knowledge: Knowledge,
    *,
    emit: Emit,
    metrics: Exposition | None = None,
    more: Sequence[BaseRoute] = (),
    nowhere: ASGIApp | None = None,
) -> Starlette:
    """Make the application. Without `metrics` there is no /metrics. `nowhere` as for `plain_app`."""
    routes = [*health_routes(knowledge), *more]
    if metrics is not None:
        routes.append(metrics_route(metrics))
    if all(getattr(route, "path", None) != "/" for route in routes):
        routes += [_index(routes), _no_api()]
    return plain_app(routes, emit=emit, nowhere=nowhere)


def plain_app(
    routes: Sequence[BaseRoute], *, emit: Emit, nowhere: ASGIApp | None = None
) -> Starlette:
    """Make an application of routes, with our headers and our answers to what is wrong. `nowhere` answers
    browsers that ask for what is not there."""
    app = Starlette(
        routes=routes,
        middleware=[Middleware(SecureHeaders), Middleware(_Failures, emit=emit)],
        exception_handlers={HTTPException: _refusing(nowhere)},
    )
    app.router.redirect_slashes = False
    return app


def health_routes(knowledge: Knowledge) -> list[BaseRoute]:
    """Make /livez, /readyz and /healthz."""

    async def livez(_request: Request) -> Response:
        return _health(knowledge.liveness())

    async def readyz(_request: Request) -> Response:
        return _health(knowledge.readiness())

    return [
        Route(path, asked)
        for path, asked in zip(HEALTH_PATHS, (livez, readyz, readyz), strict=True)
    ]


def metrics_route(metrics: Exposition) -> Route:
    """Make /metrics, in the format that is asked for."""
    open_accept = f"{_OPENMETRICS}; version=1.0.0"
    plain = Shared("metrics", lambda: metrics(""), within=_SCRAPE_WITHIN)
    open_ = Shared("openmetrics", lambda: metrics(open_accept), within=_SCRAPE_WITHIN)

    async def exposition(request: Request) -> Response:
        wants_open = _OPENMETRICS in request.headers.get("accept", "")
        try:
            text, kind = await (open_ if wants_open else plain).get()
        except Late as late:
            return _json({"ok": False, "error": str(late)}, HTTPStatus.SERVICE_UNAVAILABLE)
        return Response(text, headers={**_NOT_KEPT, "Content-Type": kind})

    return Route("/metrics", exposition)


def _index(routes: Sequence[BaseRoute]) -> Route:
    """Make the page that names the others, where there is no dashboard, and says how to have one."""
    paths = [route.path for route in routes if isinstance(route, Route)]

    async def index(_request: Request) -> Response:
        found = {"jobd": __version__, "paths": paths, "dashboard": _NO_DASHBOARD}
        return _json(found, HTTPStatus.OK)

    return Route("/", index)


def _no_api() -> Route:
    """Make what says so to those who ask for the API, where it is served no more than the dashboard."""

    async def refused(_request: Request) -> Response:
        found = {"ok": False, "error": "not found", "dashboard": _NO_DASHBOARD}
        return _json(found, HTTPStatus.NOT_FOUND)

    return Route("/api/{rest:path}", refused, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])


def _health(health: Health) -> Response:
    return _json(health, HTTPStatus.OK if health.ok else HTTPStatus.SERVICE_UNAVAILABLE)


def _json(content: object, status: int, headers: dict[str, str] = _NOT_KEPT) -> Response:
    body = msgspec.json.encode(content) + b"\n"
    return Response(body, status_code=status, media_type=_JSON, headers=headers)


def _refusing(nowhere: ASGIApp | None) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Make what answers what is not served, or not in this way."""

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        is_missing = error.status_code == HTTPStatus.NOT_FOUND
        if nowhere is not None and is_missing and asks_for_a_page(request):
            return cast(Response, nowhere)  # a response is called as any application is
        headers = _NOT_KEPT | dict(error.headers or {})
        return _json({"ok": False, "error": error.detail.lower()}, error.status_code, headers)

    return refused


class Told(Exception):
    """Ends an answer that failed half-way; the failure is an event already."""


class _Failures:
    """Makes a mistake of ours one event and a plain answer, instead of a traceback."""

    def __init__(self, app: ASGIApp, *, emit: Emit) -> None:
        self._app = app
        self._emit = emit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            self._emit(WebFailed(path=scope["path"], why=repr(error)))
            if begun:
                raise Told from error  # too late for another answer: the connection is cut
            answer = _json({"ok": False, "error": "internal error"}, 500)
            await answer(scope, receive, send)
