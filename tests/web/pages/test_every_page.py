"""What every page of the table keeps: it renders, empty and full, for both roles, below any path; it is well
made; what acts is for operators."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from support.api import NAMESPACE, ended
from support.pages import Node, PageSite, check, tree
from support.strangers import PLAIN, paths, stuff

from jobd.web.auth.cookie import Cookie
from jobd.web.pages.table import PAGES

HEADINGS = ("h1", "h2", "h3", "h4")
_LINKS = ("href", "src", "action", "data-path", "data-go", "content")


@pytest.fixture
def site(redis_url: str, tmp_path: Path) -> PageSite:
    return PageSite(redis_url, tmp_path, root="/ops/jobs")


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
    """Headings are in order, links and acts begin with the path it is below, and who may only look has none
    that acts."""
    acting = 0
    for path in full(site):
        seen, acted = (tree(site.get(path, who)) for who in ("viewer", "operator"))
        for page in (seen, acted):
            levels = [
                int(node.tag[1]) for node in page.by_id("main").walk() if node.tag in HEADINGS
            ]
            assert levels[:1] == [1], path
            assert all(after - before <= 1 for before, after in pairwise(levels)), (path, levels)
        assert seen.acts == {}, path
        acting += len(acted.acts)
        _stays_below(site.root, path, acted)
    assert acting
    assert site.told == []


def _stays_below(root: str, path: str, page: Node) -> None:
    for node in page.walk():
        for name in _LINKS:
            value = node.attrs.get(name, "")
            if "/" in value.partition("?")[0]:
                assert value == root or value.startswith(f"{root}/"), (path, node.attrs)


def test_who_is_not_known_is_led_to_the_log_in_and_back(site: PageSite) -> None:
    for path in full(site):
        answer = site.ask(path, who=None)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith(f"{site.root}/login?next="), path


def test_what_is_live_sends_what_the_page_shows(site: PageSite) -> None:
    for path in full(site):
        [page] = [page for page in PAGES if _is_of(page.path, path)]
        if page.live is not None:
            shown = {node.attrs["id"] for node in tree(site.get(path)).all("", "id")}
            assert site.parts(path).keys() <= shown, path


def _is_of(pattern: str, path: str) -> bool:
    parts, asked = pattern.split("/"), path.partition("?")[0].split("/")
    return len(parts) == len(asked) and all(
        one.startswith("{") or one == other for one, other in zip(parts, asked, strict=True)
    )


@pytest.mark.parametrize("path", ["/nothing", "/queues", "/queues/q/nothing"])
def test_a_browser_at_an_unknown_address_is_shown_a_page_and_the_way_back(
    site: PageSite, path: str
) -> None:
    answer = site.ask(path)
    assert answer.status_code == 404
    page = tree(answer.text)
    check(page)
    assert path in page.text
    assert page.links["To the overview"] == "/ops/jobs/"
    # Whoever may not look is led to the log-in; programs are answered as before.
    assert site.ask(path, who=None).status_code == 303
    assert site.ask(path, headers={"accept": "*/*"}).json() == {"ok": False, "error": "not found"}


def test_while_redis_is_away_who_logs_in_is_told_why_no_page_is_to_be_had(tmp_path: Path) -> None:
    """Sessions are in Redis too: there is nowhere to lead them."""
    site = PageSite("redis://127.0.0.1:1/0", tmp_path)
    answer = site.ask("/", who=None, headers={"cookie": f"{Cookie(NAMESPACE)._named(False)}=x"})
    assert answer.status_code == 503
    page = tree(answer.text)
    check(page)
    assert page.one("h1").text == "Redis does not answer"
    assert "127.0.0.1:1 cannot be reached" in page.text
    assert "jobd doctor" in page.text
    assert "keeps who is logged in" in page.text
    assert list(page.links) == ["Try again"]
    assert page.one("meta", http_equiv="refresh").attrs["content"] == "5"  # to this very address


def test_while_redis_is_away_who_needs_no_session_is_told_so_too(tmp_path: Path) -> None:
    page = tree(PageSite("redis://127.0.0.1:1/0", tmp_path).ask("/dead").text)
    assert page.one("h1").text == "Redis does not answer"
