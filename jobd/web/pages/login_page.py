"""The page of the log-in form. What it leads to, and why it is shown again, is jobd.web.auth.login's."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from jobd import __version__
from jobd.web.auth.gatekeeper import Gatekeeper
from jobd.web.auth.refused import Refused, problem
from jobd.web.below import root_of
from jobd.web.pages.render import Renderer

_WHY = {
    "jobd.wrong_password": "User or password is wrong.",
    "jobd.too_many_tries": "Too many tries for this user or from this address. Wait a minute and try again.",
    "jobd.busy": "Too many log-ins are under way. Try again in a moment.",
    "jobd.bad_request": "Fill in both user and password.",
    "jobd.broker_unavailable": "Redis does not answer, so nobody can be logged in now. It is not your password. "
    "Log in as soon as it is back; jobd doctor on a host says what is wrong.",
    "jobd.not_from_here": "The form was not sent by this page. Load it again, and log in here.",
}
_ELSE = "Logging in did not work. Try again in a moment; the log of the daemon says more."


def login_route(auth: Gatekeeper, renderer: Renderer) -> Route:
    """Make GET /login."""

    async def login(request: Request) -> Response:
        try:
            auth.check_place(auth.seen(request))
        except Refused as refused:
            return problem(refused)
        why = request.query_params.get("why")
        model = {
            "title": "Log in",
            "how": auth.enter_by,
            "why": None if not why else _WHY.get(why, _ELSE),
            "next": request.query_params.get("next", "/")[:2000],
            "jobd": __version__,
        }
        html = renderer.render("login.html", model, root=root_of(request.scope), role="viewer")
        return Response(
            html.encode("utf-8", "replace"), 200, {"Cache-Control": "no-store"},
            media_type="text/html",
        )  # fmt: skip

    return Route("/login", login, methods=["GET"])
