"""The routes of pages: read in a thread, rendered, guarded; their streams; what goes wrong, as a page.

Invariant: nothing is read before its request was admitted; a failure is a page that says what to do, and
never shows what was read half-way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from jobd import __version__
from jobd.broker.connection import place_of, translated
from jobd.core.web_events import WebFailed
from jobd.seams import clock
from jobd.seams.log import Emit
from jobd.web.api.house import House
from jobd.web.api.problems import NotThere, Problem, RequestError, is_ours
from jobd.web.auth.gatekeeper import Gatekeeper, Who
from jobd.web.auth.guard import guard, who_of
from jobd.web.auth.refused import Busy
from jobd.web.below import path_below, query_of, root_of
from jobd.web.pages.acts import Acts
from jobd.web.pages.answers import Answers, html
from jobd.web.pages.badges import Badges
from jobd.web.pages.live import EVERY, Hub
from jobd.web.pages.login_page import login_route
from jobd.web.pages.page import MEANT_EMPTY, Ask, Page
from jobd.web.pages.parts import joined
from jobd.web.pages.plain import DONE, word_of
from jobd.web.pages.render import Renderer, path_of
from jobd.web.pages.static import StaticFiles
from jobd.web.pages.stream import Stream
from jobd.web.pages.table import PAGES
from jobd.web.pages.watch import Topic
from jobd.web.threads import Threads

LOGIN = "/login"
SHARED_FOR = 0.9 * EVERY
"""Seconds: who looks once in EVERY sees something new each time."""
_LONGEST_QUERY = 2000  # characters of a value


class Pages:
    """All pages of one dashboard. `hub` is what streams are fed by; close it when the process ends."""

    def __init__(
        self, house: House, auth: Gatekeeper, *, threads: Threads, emit: Emit,
        table: Sequence[Page] = PAGES, shared_for: float = SHARED_FOR,
    ) -> None:  # fmt: skip
        self._shared_for = shared_for
        self._house = house
        self._auth = auth
        self._threads = threads
        self._emit = emit
        self._table = {page.name: page for page in table}
        self._static = StaticFiles()
        self._badges = Badges(house)
        self._renderer = Renderer(version=self._static.version)
        self._answers = Answers(self._renderer, by_form=auth.enter_by == "form", emit=emit)
        self.hub = Hub(self._look, ask=self._ping)

    def routes(self) -> list[BaseRoute]:
        """Make them."""
        made: list[BaseRoute] = []
        for page in self._table.values():
            made.append(Route(page.path, self._serving(page), name=page.name))
            if page.live is not None:
                path = f"/live{page.path}".rstrip("/")
                made.append(Route(path, self._streaming(page), name=f"live {page.name}"))
        made.append(Route("/find", self._find, name="find"))
        acts = Acts(self._house, self._auth, self._answers, threads=self._threads)
        form = [login_route(self._auth, self._renderer)] if self._auth.enter_by else []
        return [*self._guarded(made), *acts.routes(), *form, self._static.route()]

    def nowhere(self) -> ASGIApp:
        """Make what answers a browser that asks for an address which nothing has: a page, for who may look."""
        route = Route("/{address:path}", self._nowhere, name="nowhere")
        self._guarded([route])
        return route.app

    def _guarded(self, routes: list[BaseRoute]) -> list[BaseRoute]:
        login = LOGIN if self._auth.enter_by else None
        return guard(
            self._auth, routes, threads=self._threads, login=login, page=self._answers.failure
        )

    async def _nowhere(self, request: Request) -> Response:
        error = NotThere(
            f"{path_below(request.scope)[:200]!r}: nothing has this address; expected that of a page "
            "or an endpoint; the overview leads to all of them"
        )
        return self._answers.failure(request, error)

    def _serving(self, page: Page) -> Any:
        async def serve(request: Request) -> Response:
            who = who_of(request)
            root = root_of(request.scope)

            def make() -> str:
                model = page.read(self._house, _asked(request, who))
                return self._whole(page, model, request, who, root)

            try:
                return html(await self._threads.run(make))
            except Exception as error:  # noqa: BLE001 - a mistake is an event, and a page all the same
                return self._answers.failure(request, error)

        return serve

    def _whole(self, page: Page, model: Any, request: Request, who: Who, root: str) -> str:
        frame = {
            "main": page.template,
            "title": page.title.format_map(request.path_params),
            "place": page.place,
            "who": who,
            "here": f"{path_below(request.scope)}{query_of(request.scope)}",
            "done": word_of(request.query_params.get(DONE, ""), who.csrf),
            "live": None if page.live is None else _live_path(request, root),
            "badges": self._badges.read(),
            "now": clock.wall_ms(),
            "jobd": __version__,
            "namespace": self._house.namespace,
            "can_log_out": who.via == "session",
            "search": "",
        }
        return joined(
            self._renderer.render("base.html", {**frame, **model}, root=root, role=who.role)
        )

    def _streaming(self, page: Page) -> Any:
        partial = page.live is not None and page.live.template != page.template

        async def stream(request: Request) -> Response | Stream:
            who = who_of(request)
            try:
                query = _query(request)
            except RequestError as error:
                return self._answers.failure(request, error)
            topic = Topic(
                page.name,
                tuple(sorted((name, str(text)) for name, text in request.path_params.items())),
                tuple(sorted(it for it in query.items() if it[0] in page.query)),
                who.role,
                root_of(request.scope),
            )
            watch = self.hub.watch(topic, f"{who.via} {who.name}", most=self._auth.most_streams)
            if watch is None:
                busy = Busy("too many pages are looked at; close some, or try again in a moment")
                return self._answers.failure(request, busy)

            async def still() -> bool | None:
                try:
                    return await self._threads.run(lambda: self._auth.is_still(request, who))
                except Exception:  # noqa: BLE001 - not known now; it is asked again
                    return None

            return Stream(self.hub, watch, still, partial=partial)

        return stream

    def _ping(self) -> None:
        with translated(place_of(self._house.client)):
            self._house.client.ping()

    def _look(self, topic: Topic) -> str:
        live = self._table[topic.page].live
        assert live is not None  # it has a route
        try:
            ask = Ask(dict(topic.path), dict(topic.query), topic.role, within=self._shared_for)
            model = live.read(self._house, ask)
            made = self._renderer.render(live.template, model, root=topic.root, role=topic.role)
            frame = {"badges": self._badges.read()}
            return made + self._renderer.render(
                "frame.html", frame, root=topic.root, role=topic.role
            )
        except Exception as error:
            if not is_ours(error):
                self._emit(WebFailed(path=f"/live {topic.page}", why=repr(error)))
            raise

    async def _find(self, request: Request) -> Response:
        """Lead to a job by its id, from wherever it is."""
        root = root_of(request.scope)
        try:
            job = _query(request).get("id", "").strip()
            if not job:
                return RedirectResponse(f"{root}/", 303)
            found = await self._threads.run(lambda: self._house.browser.find(job))
        except Exception as error:  # noqa: BLE001 - as above
            return self._answers.failure(request, error)
        if found is None:
            problem = Problem(
                title="No such job", status=404, code="jobd.no_such_job",
                detail=f"job {job[:200]!r}: not recorded in any queue; expected the whole id of a job that is "
                "still kept (`retain`): a part of one finds nothing. A list of jobs can be narrowed "
                "down by task, error and age instead",
            )  # fmt: skip
            return self._answers.problem(request, problem, search=job)
        path = path_of(root, "queues", found.queue, "jobs", found.id)
        return RedirectResponse(path, 303)


def _asked(request: Request, who: Who) -> Ask:
    path = {name: str(text) for name, text in request.path_params.items()}
    return Ask(path, _query(request), who.role)


def _query(request: Request) -> dict[str, str]:
    """Give what is said; of a value that is said twice, the last, and none that is empty but for MEANT_EMPTY.

    Raises RequestError for one that is too long: a part of it would mean more.
    """
    said = request.query_params.items()
    for name, text in said:
        if len(text) > _LONGEST_QUERY:
            raise RequestError(
                f"query: {name!r:.80}: {len(text)} characters; expected at most {_LONGEST_QUERY}; "
                "use the API or the command line for longer ones"
            )
    return {name: text for name, text in said if text or name in MEANT_EMPTY}


def _live_path(request: Request, root: str) -> str:
    return f"{root}/live{path_below(request.scope).rstrip('/')}{query_of(request.scope)}"
