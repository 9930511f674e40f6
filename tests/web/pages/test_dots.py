"""What is named `.` or `..` in Redis has no link and no button: browsers would take its path for another."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from jinja2 import DictLoader
from support.api import ended
from support.pages import PageSite, tree
from support.strangers import PLAIN, paths, stuff

from jobd.web.pages.render import Renderer, path_of
from jobd.web.pages.table import PAGES

_PLACES = ("href", "action", "data-path", "data-go")


@pytest.fixture
def dotted(redis_url: str, tmp_path: Path) -> tuple[PageSite, list[str]]:
    site = PageSite(redis_url, tmp_path)
    names = stuff(site.api, (".", "..", *PLAIN))
    ended(site.api, {"id": names["operation"]})
    site.told.clear()
    return site, paths(PAGES, names, more=True)


def test_no_page_leads_by_such_a_name_and_none_fails(dotted: tuple[PageSite, list[str]]) -> None:
    site, all_paths = dotted
    named = 0
    for path, who in product(all_paths, ("viewer", "operator")):
        page = tree(site.get(path, who))
        named += ".." in page.text.split()
        for node in page.walk():
            for place in _PLACES:
                segments = node.attrs.get(place, "").partition("?")[0].split("/")
                assert not {".", "..", "%2e", "%2E%2E"} & set(segments), (path, node.attrs)
                assert "#no-path" not in segments, (path, node.attrs)
    assert named
    assert site.told == []


def test_such_a_name_has_no_path() -> None:
    assert path_of("/ops", "queues", "a", "jobs", "..") == "#no-path"
    assert path_of("/ops", "queues", "...") == "/ops/queues/..."


def test_a_button_goes_and_a_link_is_text() -> None:
    """Also where a button's path goes on behind the name, and where it is a form."""
    made = Renderer(version="1")
    text = (
        '<a class="x" href="{{ url("queues", name) }}">{{ name }}</a>'
        '<button data-act="POST" data-path="{{ api("queues", name) }}/pause">Pause</button>'
        '<form data-act="POST" data-path="{{ api("queues", name) }}"><button>Go</button></form>'
        '<button data-path="{{ api("operations") }}" data-go="{{ url("jobs", name) }}">Go</button>'
    )
    made._jinja = made._jinja.overlay(loader=DictLoader({"x": text}))
    assert made.render("x", {"name": ".."}, root="", role="operator") == '<a class="x">..</a>'
    plain = made.render("x", {"name": "a"}, root="", role="operator")
    assert plain.count("<button") == 3
