"""Paths of ours as they stand in links: below whatever the dashboard is mounted at, and quoted. Pure.

What a server gives as `root_path` and `path` is unquoted: a `?` in it would begin a query in a link.
"""

from __future__ import annotations

from urllib.parse import quote

from starlette.types import Scope

_SAFE = "/:"


def root_of(scope: Scope, otherwise: str = "") -> str:
    """Give the path that this is mounted at."""
    return quote(scope.get("root_path", otherwise), safe="/", errors="replace")


def path_below(scope: Scope) -> str:
    """Give the path that was asked for, below that."""
    path: str = scope["path"].removeprefix(scope.get("root_path", ""))
    return quote(path, safe=_SAFE, errors="replace")


def query_of(scope: Scope) -> str:
    """Give the query that was asked for, with its question mark; nothing where there is none."""
    query = scope.get("query_string", b"").decode("latin-1")
    return f"?{query}" if query else ""


def inside(path: str) -> str:
    """Give a path of this site: what leads elsewhere is '/'."""
    leads_away = not path.startswith("/") or path.startswith("//") or "\\" in path
    return "/" if leads_away or not path.isprintable() or len(path) > 2000 else path
