"""What is served where."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from jobd.seams.clock import mono
from jobd.seams.service import Attendance

SUPERVISOR_SILENT_AFTER = 10.0


def make_app(attendance: Attendance) -> Starlette:
    """Make the application."""

    async def livez(_request: Request) -> JSONResponse:
        silent = mono() - attendance.heard_at
        good = silent < SUPERVISOR_SILENT_AFTER
        return JSONResponse({"ok": good}, status_code=200 if good else 503)

    return Starlette(routes=[Route("/livez", livez)])
