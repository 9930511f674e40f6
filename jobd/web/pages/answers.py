"""Pages without the frame: what went wrong and what to do, and whether something is meant.

Invariant: nothing is read for them, so they can be made while nothing can be read; a mistake of ours is an
event, and says nothing of itself to who asked. Used by the routes of pages and of forms.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from jobd.core.errors import BrokerUnavailable
from jobd.core.web_events import WebFailed
from jobd.seams.log import Emit
from jobd.web.api.problems import Problem, is_ours, problem_of
from jobd.web.auth.refused import Refused, headers_of
from jobd.web.below import root_of
from jobd.web.pages.parts import joined
from jobd.web.pages.render import Renderer


class Answers:
    """Makes them. `by_form`: people log in with a password, and their sessions are in Redis."""

    def __init__(self, renderer: Renderer, *, by_form: bool, emit: Emit) -> None:
        self._renderer = renderer
        self._by_form = by_form
        self._emit = emit

    def failure(self, request: Request, error: Exception, *, back: str | None = None) -> Response:
        """Say what went wrong, and what to do. `back` leads to where an action was asked for, below the root."""
        if not is_ours(error) and not isinstance(error, Refused):
            self._emit(WebFailed(path=request.url.path, why=repr(error)))
        found, is_away = problem_of(error), isinstance(error, BrokerUnavailable)
        if is_away:
            found = msgspec.structs.replace(found, title="Redis does not answer")
        # Sessions cannot be looked up either, so nobody could follow a link.
        page = self.problem(
            request, found, is_away=is_away, is_shut=is_away and self._by_form, back=back
        )
        if isinstance(error, Refused):
            page.headers.update(headers_of(error))
        return page

    def problem(
        self, request: Request, problem: Problem, *, search: str = "", is_away: bool = False,
        is_shut: bool = False, back: str | None = None,
    ) -> Response:  # fmt: skip
        """Say what a problem document says; `search` is what was looked for in vain. `is_away`: Redis is;
        `is_shut`: so nobody can be known either."""
        model = {
            "problem": problem, "title": problem.title, "search": search, "is_away": is_away,
            "is_shut": is_shut, "back": back,
        }  # fmt: skip
        return self._page("error.html", model, request, problem.status)

    def ask(self, request: Request, model: Mapping[str, object]) -> Response:
        """Ask whether something is meant."""
        return self._page("ask.html", model, request, 200)

    def _page(
        self, template: str, model: Mapping[str, object], request: Request, status: int
    ) -> Response:
        root = root_of(request.scope)
        text = self._renderer.render(template, model, root=root, role="viewer")
        return html(joined(text), status)


def html(text: str, status: int = 200) -> Response:
    """Answer with a page, which nobody keeps."""
    # A value may hold half a surrogate pair, which nothing can be sent with.
    return Response(
        text.encode("utf-8", "replace"), status, {"Cache-Control": "no-store"},
        media_type="text/html",
    )  # fmt: skip
