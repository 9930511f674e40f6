"""GET /session: says who one is, and what to send along with what changes something."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from jobd.web.auth.gatekeeper import Gatekeeper
from jobd.web.auth.guard import guard, who_of
from jobd.web.threads import Threads


def session_routes(auth: Gatekeeper, *, threads: Threads) -> list[BaseRoute]:
    """Make the route."""
    return guard(auth, [Route("/session", _whoami)], threads=threads)


async def _whoami(request: Request) -> Response:
    who = who_of(request)
    said = {"name": who.name, "role": who.role, "via": who.via, "csrf": who.csrf}
    return Response(
        msgspec.json.encode(said) + b"\n",
        headers={"Cache-Control": "no-store"},
        media_type="application/json",
    )
