"""A page, as one row: where it is, what it reads, how it looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from jobd.web.api.house import House

MEANT_EMPTY = ("like",)
"""Parameters of the query that mean something when they are empty: jobs without an error are like that."""


class Ask(NamedTuple):
    """What is asked for: the path's parameters and the query's. `role` is that of who asks.

    What somebody else has read `within` so many seconds is good enough where it costs much; looks, which
    are done again and again, share it so.
    """

    path: Mapping[str, str]
    query: Mapping[str, str]
    role: str
    within: float = 0.0


Model = Mapping[str, object]
"""What a template shows, by name."""

Read = Callable[[House, Ask], Model]
"""Reads it. Blocks; raises JobdError, as NotThere where there is no such thing."""


class Live(NamedTuple):
    """What is read and rendered again and again while the page is looked at."""

    read: Read
    template: str


class Page(NamedTuple):
    """`title` may name the path's parameters, as `{queue}`. `place` is its entry in the menu.

    `live` None: nothing of it changes by itself. Where it names another template, only the parts of
    that are kept up to date, and the rest of the page stands still. `query` names the parameters behind the
    question mark that what is live goes by: other ones make no other stream.
    """

    path: str
    name: str
    title: str
    template: str
    read: Read
    place: str = ""
    live: Live | None = None
    query: tuple[str, ...] = ()


def watched(page: Page, *query: str) -> Page:
    """Keep all of a page up to date, as these parameters of the query ask for."""
    return page._replace(live=Live(page.read, page.template), query=query)
