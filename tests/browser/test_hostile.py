"""What strangers have written is text on every page, in every place, and when it comes by the stream."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from browser.conftest import Visit
from browser.house import House
from browser.judging import too_wide
from browser.places import looked_at
from browser.strangers import EVIL, planted, told
from browser.visitor import PHONE
from jobd.core.states import STATES

PAGES = [
    "/", "/queues/odd", "/queues/q", "/dead", "/dead?queue=odd", "/alerts", "/workers", "/schedules", "/operations",
    *(f"/queues/odd/jobs?state={state}" for state in STATES), "/queues/q/jobs?state=dead&error=<img src=x>",
]  # fmt: skip


@pytest.fixture(scope="module")
def house(own_house: House) -> House:
    """Its Redis is a stranger's."""
    return own_house


@pytest.fixture(scope="module")
def evil(house: House) -> Iterator[list[str]]:
    """Paths of jobs that are written by strangers."""
    of_ours, of_redis = told(house), planted(house)
    yield [
        *(f"/queues/q/jobs/{job}" for job in of_ours),
        *(f"/queues/odd/jobs/{job}" for job in of_redis),
    ]
    house.client.flushall()


def is_innocent(page: Page) -> None:
    """No script ran, and nothing of the text has become an element or an attribute."""
    assert page.evaluate("window.__owned ?? null") is None
    assert (
        page.evaluate(
            "document.querySelectorAll('[data-owned], [onfocus], [onload], [onerror]').length"
        )
        == 0
    )
    links = page.evaluate(
        "[...document.querySelectorAll('a, form')].map((e) => e.href ?? e.action)"
    )
    assert [link for link in links if not str(link).startswith("http://127.0.0.1:")] == []


@pytest.mark.parametrize("path", looked_at(PAGES))
def test_a_page_shows_it_as_text(visit: Visit, evil: list[str], path: str) -> None:
    one = visit("ops", viewport=PHONE)
    page = one.go(path)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    is_innocent(page)
    expect(page.locator("#live")).to_have_text("Live")
    is_innocent(page)
    assert too_wide(page) == []


def test_every_job_is_shown_as_it_was_written(visit: Visit, evil: list[str]) -> None:
    one = visit("ops", viewport=PHONE)
    for number, path in enumerate(evil):
        page = one.go(path)
        is_innocent(page)
        assert too_wide(page) == [], path
        if number < len(EVIL):  # ran with us: it has said it all, where it can be read
            for part in ("#job-error", "#job-log", "#job-why", ".timeline"):
                expect(page.locator(part).first).to_contain_text(EVIL[number])


def test_what_comes_by_the_stream_is_text_too(visit: Visit, evil: list[str]) -> None:
    """The overview shows why a queue is paused, which somebody writes while another looks."""
    one = visit("ops")
    page = one.go("/")
    expect(page.locator("#live")).to_have_text("Live")
    for text in EVIL:
        page.evaluate(
            "window.__seen = new Promise((r) => document.addEventListener('jobd:news', r, { once: true }))"
        )
        one.house.queue("odd").pause(why=text)
        one.house.queue("odd").add("quiet", {"n": 1})
        page.evaluate("window.__seen.then(() => true)")
        is_innocent(page)


def test_no_act_goes_where_a_browser_takes_its_path_to(visit: Visit, house: House) -> None:
    """Of a schedule named `..` the path to pause it is the path to pause its queue."""
    one = visit("ops")
    page = one.go("/queues/q")
    said = page.evaluate(
        """async () => {
            const script = document.querySelector("script[type=module]").src;
            const { send } = await import(script.replace("app.js", "act.js"));
            return send("POST", "/api/v1/queues/q/schedules/../pause", {}).then(
                () => "done", (refusal) => refusal.message);
        }"""
    )
    assert said.startswith("A name on this page leads to another place; nothing was done.")
    assert house.queue("q").flow().paused_at is None
