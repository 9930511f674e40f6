"""From a model to HTML: Jinja2, with everything escaped and nothing missing without a word.

Invariant: a name that a model has not is an error, never an empty place; a value is text, whatever is
in it, and text of which all is seen: what turns the direction of writing or controls a terminal is named. What has no path, as it would be that of something else (see `path_of`), has no link and no button.
Templates are of this package, read once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context

from jobd.core.names import DOTS
from jobd.web.pages import parts
from jobd.web.pages.filters import FILTERS, dom_id, shown
from jobd.web.pages.page import MEANT_EMPTY
from jobd.web.pages.plain import plain_path

_TEMPLATES = Path(__file__).parent / "templates"
_NOWHERE = "#no-path"
# Values of attributes are escaped: no text can spell these.
_ACTS_NOWHERE = re.compile(
    rf'<(button|form)\b[^>]* data-(?:path|go)="{_NOWHERE}[^>]*>.*?</\1>', re.DOTALL
)
_LINKS_NOWHERE = re.compile(rf' href="{_NOWHERE}[^"]*"')


class Renderer:
    """Renders, from any thread. `version` is that of the files in static/."""

    def __init__(self, *, version: str) -> None:
        self._version = version
        self._jinja = _templates()

    def render(self, template: str, model: Mapping[str, Any], *, root: str, role: str) -> str:
        """Render a template: `root` is the path below which the dashboard is mounted, quoted."""
        said = {"root": root, "may_act": role == "operator", "version": self._version}
        html = self._jinja.get_template(template).render({**model, **said})
        if _NOWHERE not in html:
            return html
        return _LINKS_NOWHERE.sub("", _ACTS_NOWHERE.sub("", html))


@cache
def _templates() -> Environment:
    """Make what holds the templates: each is compiled once, however many dashboards a process has."""
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        finalize=shown,
        extensions=["jinja2.ext.do"],
    )
    made.filters |= FILTERS
    made.globals |= {
        "url": _url,
        "api": _api,
        "plain_path": _plain_path,
        "static": _static,
        "part": parts.part,
        "endpart": parts.endpart,
        "dom_id": dom_id,
    }
    return made


def path_of(root: str, *segments: str, **query: object) -> str:
    """Give the path of a page below `root`, which is quoted; of the query, what is None or empty is left out,
    but for MEANT_EMPTY.

    A segment `.` or `..`, however it is quoted, is taken by browsers for another place: what a stranger has
    named so has no path, and what is given then leads nowhere.
    """
    if any(str(segment) in DOTS for segment in segments):
        return _NOWHERE
    path = "/".join(quote(str(segment), safe="") for segment in segments)
    said = {
        name: value
        for name, value in query.items()
        if value is not None and (value != "" or name in MEANT_EMPTY)
    }
    return f"{root}/{path}" + (f"?{urlencode(said)}" if said else "")


@pass_context
def _url(context: Context, *segments: str, **query: object) -> str:
    """Give the path of a page: `url("queues", name, "jobs", state="dead")`."""
    return path_of(context["root"], *segments, **query)


@pass_context
def _api(context: Context, *segments: str, **query: object) -> str:
    """Give the path of an endpoint of the API, as `url` does."""
    return path_of(context["root"], "api", "v1", *segments, **query)


@pass_context
def _plain_path(context: Context, method: str, path: str) -> str | None:
    """Give where a form sends what an endpoint does; None: it needs scripts."""
    return plain_path(context["root"], method, path)


@pass_context
def _static(context: Context, name: str) -> str:
    """Give the path of a file of static/."""
    return f"{context['root']}/static/{context['version']}/{name}"
