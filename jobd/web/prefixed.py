"""One ASGI application beside another, by the path: for hosts without mounts of their own, as Django."""

from __future__ import annotations

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from jobd.web.below import query_of, root_of


def prefixed(prefix: str, app: ASGIApp, otherwise: ASGIApp) -> ASGIApp:
    """Serve `app` at a prefix such as '/jobd' and below it, and everything else by `otherwise`.

    Raises ValueError for a prefix that is none.
    """
    if not prefix.startswith("/") or prefix.endswith("/"):
        raise ValueError(
            f"prefix: {prefix!r}; expected a path such as '/jobd', without a last slash"
        )

    async def chosen(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await otherwise(scope, receive, send)
            return
        root = scope.get("root_path", "")
        path = scope["path"].removeprefix(root)
        if path == prefix and scope["type"] == "http":
            there = f"{root_of({**scope, 'root_path': root + prefix})}/{query_of(scope)}"
            await RedirectResponse(there)(scope, receive, send)
        elif path.startswith(f"{prefix}/"):
            await app({**scope, "root_path": root + prefix}, receive, send)
        else:
            await otherwise(scope, receive, send)

    return chosen
