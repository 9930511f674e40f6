"""Styles and modules: read once, kept by browsers for ever under a path that names their version.

They hold nothing secret, and the log-in page needs them: they are served to everybody.
"""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_FOLDER = Path(__file__).parent / "static"
_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
_HEADERS = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}


class _File(NamedTuple):
    kind: str
    body: bytes
    zipped: bytes


@cache
def _read() -> dict[str, _File]:
    return {
        path.name: _File(_KINDS[path.suffix], body, gzip.compress(body, mtime=0))
        for path in sorted(_FOLDER.iterdir())
        if path.suffix in _KINDS
        for body in [path.read_bytes()]
    }


class StaticFiles:
    """All files of static/. `version` changes when any of them does."""

    def __init__(self) -> None:
        self._files = _read()
        whole = b"".join(name.encode() + file.body for name, file in self._files.items())
        self.version = hashlib.sha256(whole).hexdigest()[:12]

    def route(self) -> Route:
        """Make /static/{version}/{name}."""
        return Route("/static/{version}/{name}", self._serve)

    async def _serve(self, request: Request) -> Response:
        # Of another version, a page of before an upgrade: what is there now is what it gets, not for long.
        file = self._files.get(request.path_params["name"])
        if file is None:
            raise HTTPException(404)
        is_kept = request.path_params["version"] == self.version
        headers = _HEADERS if is_kept else {"Cache-Control": "no-store"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(
                file.zipped, 200, {**headers, "Content-Encoding": "gzip"}, media_type=file.kind
            )
        return Response(file.body, 200, headers, media_type=file.kind)
