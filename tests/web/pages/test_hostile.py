"""Whatever a stranger wrote into Redis is text on every page: it makes no element, no attribute, no link out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.api import die, ended
from support.pages import Node, PageSite, check, tree
from support.strangers import HOSTILE, paths, stuff

from jobd import Jobd
from jobd.broker.connection import connect
from jobd.web.pages import filters, render
from jobd.web.pages.table import PAGES

# What turns the direction of writing, or controls a terminal; a line's end and a tab are our own, too.
_MOVING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_LINKS = ("href", "src", "action", "data-path", "data-go", "formaction")


# Attributes without a value, and those of times, which a filter makes.
_BARE = {
    "autofocus", "checked", "data-ago", "data-all", "data-clock", "data-empty", "data-filter", "data-frame", "data-keep", "data-reload",
    "data-submit", "data-when", "disabled", "formnovalidate", "hidden", "multiple", "open", "required",
    "selected",
}  # fmt: skip


def _written_by_us() -> tuple[set[str], set[str]]:
    """Give the tags and the names of attributes that templates and filters spell."""
    sources = [*Path(render.__file__).parent.glob("templates/*.html"), Path(filters.__file__)]
    text = "\n".join(source.read_text() for source in sources)
    named = set(re.findall(r"""[\s}]([a-zA-Z-]+)=["{]""", text.lower())) | _BARE
    return set(re.findall(r"<([a-z][a-z0-9]*)", text)), named


TAGS, ATTRIBUTES = _written_by_us()


class Seen:
    """What came of a namespace that strangers have written into: all pages, and the first of their streams."""

    def __init__(self, url: str, directory: Path) -> None:
        site = PageSite(url, directory, root="/ops")
        names = stuff(site.api, HOSTILE)
        ended(site.api, {"id": names["operation"]})
        site.told.clear()
        self.answers: dict[tuple[str, str], httpx.Response] = {}
        self.streams: dict[str, str] = {}
        for path in paths(PAGES, names, more=True):
            for who in ("operator", "viewer"):
                self.answers[path, who] = site.ask(path, who)
            with site.watch(path, "operator") as news:
                self.streams[path] = news.first()
        self.told = [*site.told]

    def pages(self) -> Iterator[tuple[str, Node]]:
        for (path, who), answer in self.answers.items():
            if who == "operator":
                yield path, tree(answer.text)


@pytest.fixture(scope="module")
def seen(servers: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """Looked at once, judged by many."""
    url = next(iter(servers.values()))
    connect(url).flushall()
    return Seen(url, tmp_path_factory.mktemp("seen"))


def test_every_page_is_there_and_nothing_fails_on_the_way(seen: Seen) -> None:
    for place, answer in seen.answers.items():
        assert answer.status_code == 200, (place, seen.told)
    assert len(seen.answers) == 2 * len(seen.streams) > 40
    assert seen.told == []


def test_no_text_becomes_an_element_an_attribute_or_a_link_out(seen: Seen) -> None:
    """It is text: with all the markup in it that it has."""
    said = {}
    for path, page in seen.pages():
        check(page)
        said[path] = page.text
        for node in page.walk():
            _is_ours(path, node)
    assert HOSTILE[0] in said["/alerts"]
    assert HOSTILE[2] in said["/dead"]
    assert "49" not in said["/dead"].split()


def _is_ours(path: str, node: Node) -> None:
    assert not node.tag or node.tag in TAGS, (path, node.tag)
    assert node.tag != "img", path
    assert node.attrs.keys() <= ATTRIBUTES, (path, node.tag, node.attrs.keys() - ATTRIBUTES)
    for name in _LINKS:
        if name in node.attrs:
            assert node.attrs[name].startswith(("/ops/", "#", "?")), (path, node.attrs)


def test_all_of_a_text_is_seen_and_nothing_around_it_is_moved(seen: Seen) -> None:
    """Nowhere on a page, not in what is asked before an act, and not in what comes by a stream."""
    for place, answer in seen.answers.items():
        assert _MOVING.search(answer.text) is None, (place, _MOVING.search(answer.text))
    for path, text in seen.streams.items():
        assert _MOVING.search(text) is None, path
    assert any("\\u202egnp.exe\\u2066" in answer.text for answer in seen.answers.values())


def test_a_confirmation_says_what_it_is_about(redis_url: str, tmp_path: Path) -> None:
    site = PageSite(redis_url, tmp_path)
    text = "\u202egnp.exe\u2066\u200f\x1b[31m"
    for _ in range(2):
        die(Jobd(redis_url).queue("q"), 1, "work", text)
    group = tree(site.get("/dead", "operator")).all("li", "id")[-1]
    asked = [
        node.attrs.get("data-confirm", node.attrs.get("data-of", ""))
        for node in group.all("button")
    ]
    assert asked
    assert all("\\u202egnp.exe\\u2066\\u200f␛[" in each for each in asked), asked


def test_a_stream_sends_them_as_text_too(seen: Seen) -> None:
    for path, text in seen.streams.items():
        assert {node.tag for node in tree(text).walk() if node.tag} <= TAGS, path
