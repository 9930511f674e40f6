"""Actions by plain forms, for browsers without scripts: POST, then back to the page with a word on what was done.

Invariant: what is done is an endpoint of the API, by the same code, for the same role, with the same token
against forgery and in the same audit log; what destroys is asked about first, by a page of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from jobd.web.api.desk import audited
from jobd.web.api.endpoint import Call, Endpoint, Nothing
from jobd.web.api.house import House
from jobd.web.api.reading import read_form, read_path
from jobd.web.auth.forms import FORM, fields, kind_of, whole
from jobd.web.auth.gatekeeper import CSRF_FIELD, Gatekeeper, Who
from jobd.web.auth.refused import BadLogin
from jobd.web.below import inside, root_of
from jobd.web.pages.answers import Answers
from jobd.web.pages.plain import DONE, PLAIN, SAID, path_of_form, sign
from jobd.web.pages.render import path_of
from jobd.web.threads import Threads

BACK = "back"
SURE = "sure"


class Acts:
    """The routes of forms."""

    def __init__(
        self, house: House, auth: Gatekeeper, answers: Answers, *, threads: Threads
    ) -> None:
        self._house = house
        self._auth = auth
        self._answers = answers
        self._threads = threads

    def routes(self) -> list[BaseRoute]:
        """Make them; each admits by itself."""
        return [
            Route(
                path_of_form(each.method, each.path), self._serving(each),
                methods=["POST"], name=f"form {each.name}",
            )
            for each in PLAIN
        ]  # fmt: skip

    def _serving(self, endpoint: Endpoint) -> Callable[[Request], object]:
        async def serve(request: Request) -> Response:
            back = "/"
            try:
                who, given = await self._admitted(request, endpoint)
                back = inside(given.pop(BACK, "/"))
                if SAID[endpoint.name].asks and given.pop(SURE, "") != "yes":
                    asks = _question(request, endpoint, who, given, back)
                    return self._answers.ask(request, asks)
                await self._do(request, endpoint, who, given)
            except Exception as error:  # noqa: BLE001 - a mistake is an event, and a page all the same
                return self._answers.failure(request, error, back=back)
            return RedirectResponse(_on(request, endpoint, who, back), 303)

        return serve

    async def _admitted(self, request: Request, endpoint: Endpoint) -> tuple[Who, dict[str, str]]:
        """Say who asks, and for what. Raises Refused, BrokerError."""
        who = await self._threads.run(lambda: self._auth.known(request, endpoint.role))
        if (kind := kind_of(request)) != FORM:
            raise BadLogin(
                f"{kind[:80]!r}; expected a form, as pages send it; programs use the API"
            )
        given = dict(fields(FORM, await whole(request)))
        self._auth.check_meant(request, who, given.pop(CSRF_FIELD, ""))
        return who, given

    async def _do(
        self, request: Request, endpoint: Endpoint, who: Who, given: Mapping[str, str]
    ) -> None:
        async def read() -> Call:
            body = read_form(given, endpoint.body or Nothing)
            return Call(read_path(request), None, body, who.name)

        async def act(call: Call) -> object:
            return await self._threads.run(lambda: endpoint.act(self._house, call))

        await audited(self._auth, request, endpoint, who, read, act)


def _question(
    request: Request, endpoint: Endpoint, who: Who, given: Mapping[str, str], back: str
) -> Mapping[str, object]:
    """Say what is about to be done, and what the form sends when that is meant."""
    verb, _, kind = endpoint.name.partition("_")
    name = request.path_params.get(kind, "")
    return {
        "title": f"{verb.capitalize()} this {kind}?",
        "name": name,
        "label": verb.capitalize(),
        "asks": SAID[endpoint.name].asks,
        "sends": {CSRF_FIELD: who.csrf, BACK: back, SURE: "yes", **given},
        "back": back,
    }


def _on(request: Request, endpoint: Endpoint, who: Who, back: str) -> str:
    """Say where to go when it is done: back, or on where that is gone; with what says that it was."""
    root, to = root_of(request.scope), SAID[endpoint.name].to
    if to:
        back = path_of("", *(part.format_map(request.path_params) for part in to))
    path, _, query = back.partition("?")
    kept = [pair for pair in query.split("&") if pair and not pair.startswith(f"{DONE}=")]
    return f"{root}{path}?{'&'.join([*kept, urlencode({DONE: sign(endpoint.name, who.csrf)})])}"
