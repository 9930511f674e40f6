"""The dashboard below a path of somebody's application, in a browser that is logged in there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from support.hosts import FASTAPI, Host

from browser.watching import Watch
from jobd import Jobd
from jobd.broker.store import register_queues

pytestmark = pytest.mark.process


@pytest.fixture
def host(redis_url: str, tmp_path: Path) -> Iterator[Host]:
    register_queues(Jobd(redis_url).producer.client, "jobd", ["q"])
    made = Host(tmp_path, redis_url, FASTAPI, "api")
    yield made
    made.end()


@pytest.fixture
def page(chromium: Browser, host: Host) -> Iterator[Page]:
    """A page of the application's operator; whatever the browser complains of fails the test."""
    context = chromium.new_context(base_url=host.at)
    context.add_cookies([{"name": "who", "value": "ops", "url": host.at}])
    watch = Watch(context, host.at)
    yield context.new_page()
    assert watch.complaints == []
    context.close()


def test_a_queue_is_paused_and_its_page_follows(page: Page, host: Host, redis_url: str) -> None:
    """By links, files, cookie, token and stream below the path."""
    queue = Jobd(redis_url).queue("q")
    page.goto("/jobd/")
    page.get_by_role("link", name="q", exact=True).first.click()
    expect(page).to_have_url(f"{host.at}/jobd/queues/q")
    page.get_by_role("button", name="Pause").first.click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    assert queue.flow().paused_at is not None
    queue.resume()
    expect(page.get_by_role("button", name="Pause").first).to_be_visible()
    cookies = {each["name"]: each for each in page.context.cookies()}
    [ours] = [each for name, each in cookies.items() if name.startswith("jobd-")]
    assert (ours["path"], ours["httpOnly"], ours["sameSite"]) == ("/jobd", True, "Lax")
