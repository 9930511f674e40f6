"""What every page of the table keeps: it renders, empty and full, for both roles, below any path; it is well
made; what acts is for operators."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from support.api import ended
from support.pages import PageSite, check, tree
from support.strangers import PLAIN, paths, stuff

from jobd.web.pages.table import PAGES

ROLES = ("viewer", "operator")
_LINKS = ("href", "src", "action", "data-path", "data-go", "content")


@pytest.fixture(params=["", "/ops/jobs"])
def site(request: pytest.FixtureRequest, redis_url: str, tmp_path: Path) -> PageSite:
    return PageSite(redis_url, tmp_path, root=request.param)


def full(site: PageSite) -> list[str]:
    names = stuff(site.api, PLAIN)
    ended(site.api, {"id": names["operation"]})
    site.told.clear()
    return paths(PAGES, names)


def test_of_an_empty_namespace_each_page_is_there_or_says_what_is_missing(site: PageSite) -> None:
    names = dict.fromkeys(("queue", "job", "schedule", "host", "slot", "operation"), "nothing")
    for path in paths(PAGES, names):
        answer = site.ask(path)
        assert answer.status_code == (404 if "nothing" in path else 200), path
        check(tree(answer.text))
    assert site.told == []


def test_of_a_full_one_each_page_is_there_and_well_made_for_both(site: PageSite) -> None:
    for path in full(site):
        for who in ROLES:
            page = tree(site.get(path, who))
            main = page.by_id("main")
            inside = [int(node.tag[1]) for node in main.walk() if node.tag in ("h1", "h2", "h3")]
            assert inside[:1] == [1], path
            assert all(after - before <= 1 for before, after in pairwise(inside)), path
    assert site.told == []


def test_below_a_path_every_link_and_act_begins_with_it(site: PageSite) -> None:
    for path in full(site):
        for node in tree(site.get(path, "operator")).walk():
            for name in _LINKS:
                value = node.attrs.get(name, "")
                if value.startswith("/") or "/" in value.partition("?")[0]:
                    assert value == site.root or value.startswith(f"{site.root}/"), (
                        path,
                        node.attrs,
                    )


def test_who_may_look_has_nothing_that_acts(site: PageSite) -> None:
    acting = 0
    for path in full(site):
        assert tree(site.get(path)).acts == {}, path
        acting += len(tree(site.get(path, "operator")).acts)
    assert acting


def test_who_is_not_known_is_led_to_the_log_in_and_back(site: PageSite) -> None:
    for path in full(site):
        answer = site.ask(path, who=None)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith(f"{site.root}/login?next="), path


def test_what_is_live_sends_what_the_page_shows(site: PageSite) -> None:
    for path in full(site):
        [page] = [page for page in PAGES if _is_of(page.path, path)]
        if page.live is not None:
            shown = tree(site.get(path))
            for name in site.parts(path):
                assert shown.by_id(name), (path, name)


def _is_of(pattern: str, path: str) -> bool:
    parts, asked = pattern.split("/"), path.partition("?")[0].split("/")
    return len(parts) == len(asked) and all(
        one.startswith("{") or one == other for one, other in zip(parts, asked, strict=True)
    )
