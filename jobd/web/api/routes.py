"""The table, as routes: admit, read, act, answer.

Invariants: nothing is read of a request, and nothing is done, before the gate has admitted it; whatever an
endpoint raises becomes a problem document; every action that was admitted is in the audit log, with what
came of it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route, Router
from starlette.types import Receive, Scope, Send

from jobd.core.web_events import WebFailed
from jobd.seams.log import Emit
from jobd.web.api.desk import audited
from jobd.web.api.endpoint import Call, Endpoint, Nothing
from jobd.web.api.gate import Gate, Person
from jobd.web.api.house import House
from jobd.web.api.openapi import document
from jobd.web.api.problems import MEDIA_TYPE, NotThere, WrongMethod, headers_of, is_ours, problem_of
from jobd.web.api.reading import read_body, read_path, read_query
from jobd.web.api.table import TABLE
from jobd.web.below import root_of
from jobd.web.threads import Threads

PREFIX = "/api/v1"
DOCUMENT = "/openapi.json"
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def api_routes(
    house: House, gate: Gate, *, threads: Threads, emit: Emit, table: Sequence[Endpoint] = TABLE
) -> list[Mount]:
    """Make what is served under /api/v1."""
    desk = _Desk(house, gate, threads, emit)
    by_path: dict[str, dict[str, Endpoint]] = defaultdict(dict)
    for endpoint in (*table, _describing(table)):
        by_path[endpoint.path][endpoint.method] = endpoint
    routes = [Route(path, _Path(desk, endpoints)) for path, endpoints in by_path.items()]
    mount = Mount(PREFIX, app=Router(routes, redirect_slashes=False, default=_Path(desk, {})))
    # A path may hold a line's end, and is ours all the same.
    mount.path_regex = re.compile(mount.path_regex.pattern, re.DOTALL)
    return [mount]


def _describing(table: Sequence[Endpoint]) -> Endpoint:
    """Make the endpoint that gives the document; it is not in it."""

    @cache
    def described() -> Mapping[str, object]:
        # Not before somebody asks: it takes as long as all else that is made of the table.
        return document(table)

    def describe(_house: House, call: Call) -> Mapping[str, object]:
        return {**described(), "servers": [{"url": call.base}]}

    return Endpoint("GET", DOCUMENT, "describe", "", "This document.", describe, dict)


class _Path:
    """One path, as an application: with all methods, so that a wrong one is answered here."""

    def __init__(self, desk: _Desk, endpoints: Mapping[str, Endpoint]) -> None:
        self._desk = desk
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        answer = await self._desk.answer(request, self._endpoints)
        await answer(scope, receive, send)


class _Desk:
    """Answers requests."""

    def __init__(self, house: House, gate: Gate, threads: Threads, emit: Emit) -> None:
        self._house = house
        self._gate = gate
        self._threads = threads
        self._emit = emit

    async def answer(self, request: Request, endpoints: Mapping[str, Endpoint]) -> Response:
        """Answer one request to a path; no endpoints: it is not served."""
        try:
            method = "GET" if request.method == "HEAD" else request.method
            endpoint = endpoints.get(method)
            if endpoint is None:
                # Who may not look is not told what there is.
                await self._threads.run(lambda: self._gate.admit(request, "viewer"))
                return _problem(_not_served(request, endpoints))
            return await self._serve(request, endpoint)
        except Exception as error:  # noqa: BLE001 - a mistake is an event, and an answer all the same
            if not is_ours(error):
                self._emit(WebFailed(path=request.url.path, why=repr(error)))
            return _problem(error)

    async def _serve(self, request: Request, endpoint: Endpoint) -> Response:
        person = await self._threads.run(lambda: self._gate.admit(request, endpoint.role))
        if not endpoint.is_action:
            return await self._act(endpoint, await _read(request, endpoint, person))
        return await audited(
            self._gate, request, endpoint, person,
            lambda: _read(request, endpoint, person), lambda call: self._act(endpoint, call),
        )  # fmt: skip

    async def _act(self, endpoint: Endpoint, call: Call) -> Response:
        # Written as JSON in the thread too: what a job has said may be long.
        body = await self._threads.run(
            lambda: msgspec.json.encode(endpoint.act(self._house, call)) + b"\n"
        )
        return Response(body, endpoint.status, _HEADERS, media_type="application/json")


async def _read(request: Request, endpoint: Endpoint, person: Person) -> Call:
    path = read_path(request)
    query = read_query(request, endpoint.query)
    body = await read_body(request, endpoint.body or Nothing) if endpoint.is_action else None
    return Call(path, query, body, person.name, root_of(request.scope, PREFIX))


def _not_served(request: Request, endpoints: Mapping[str, Endpoint]) -> Exception:
    if endpoints:
        allowed = sorted(endpoints)
        said = f"method: {request.method!r:.20}; expected {' or '.join(allowed)}"
        return WrongMethod(said, allowed)
    path = request.url.path
    return NotThere(f"path: {path!r:.200}, not served; see {PREFIX}{DOCUMENT} for what is")


def _problem(error: Exception) -> Response:
    problem = problem_of(error)
    headers = _HEADERS | headers_of(error, problem.status)
    body = msgspec.json.encode(problem) + b"\n"
    return Response(body, problem.status, headers, media_type=MEDIA_TYPE)
