"""A dashboard that anybody on this host may use: there are no sessions, and web processes come and go."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect
from support.daemons import eventually

from browser.conftest import Visit
from browser.house import WEB, House, at_work


class OpenHouse(House):
    """One without users."""

    @property
    def web(self) -> str:
        return f"{super(House, self).web}[web.dashboard]\nopen = true\n{WEB}"


@pytest.fixture(scope="module")
def house(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with at_work(tmp_path_factory, OpenHouse) as made:
        yield made


def test_an_open_page_acts_when_the_web_process_is_another_one(visit: Visit) -> None:
    """Its token was the old process's; nobody has to load it again."""
    one = visit(None)
    house, page = one.house, one.go("/queues/q")
    expect(page.locator("#live")).to_have_text("Live")
    one.mark()
    with one.watch.allowing("/live", "/session", "/pause", "403", "ERR_"):
        before = house.web_pid()
        os.kill(before, signal.SIGKILL)
        eventually("another one", lambda: house.web_pid() != before)
        house.ready()
        one.button("Pause", page.locator("#hold")).click()
        expect(page.locator("#hold")).to_contain_text("paused")
    one.button("Resume", page.locator("#hold")).click()
    expect(one.button("Pause", page.locator("#hold"))).to_be_visible()
    assert one.is_marked, "the page was loaded again"
