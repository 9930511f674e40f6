"""Pages that go on by themselves: no loading again, no jumps, and back after whatever was away."""

from __future__ import annotations

import os
import re
import signal

import pytest
from playwright.sync_api import Locator, Page, expect

from browser.conftest import Visit
from browser.judging import shifts
from browser.visitor import Visitor

pytestmark = pytest.mark.usefixtures("tidy")


def count(page: Page, state: str, queue: str = "q") -> Locator:
    """Where the overview says how many jobs of a queue are in a state."""
    return page.locator(f"#queue-{queue} a[href$='state={state}']")


def is_live(page: Page) -> None:
    expect(page.locator("#live")).to_have_text("Live")


def test_counts_move_while_jobs_run(ops: Visitor) -> None:
    house, page = ops.house, ops.go("/")
    is_live(page)
    ops.mark()
    naps = [house.queue("naps").add("nap", {"path": house.path(f"nap{n}")}) for n in range(5)]
    expect(count(page, "active", "naps")).to_have_text("2")
    expect(count(page, "waiting", "naps")).to_have_text("3")
    for n in range(5):
        house.tell(f"nap{n}")
    expect(count(page, "active", "naps")).to_have_text("0")
    expect(count(page, "waiting", "naps")).to_have_text("0")
    assert [nap.state() for nap in naps] == ["completed"] * 5
    house.dead(3)
    expect(count(page, "dead")).to_have_text("3")
    assert ops.is_marked, "the page was loaded again"


def test_news_move_nothing(ops: Visitor) -> None:
    """Figures grow and shrink where they stand; what they push aside would be clicked by mistake."""
    house, odd = ops.house, ops.house.queue("odd")
    odd.add("quiet", {"n": 0})
    page = ops.go("/")
    is_live(page)
    expect(count(page, "waiting", "odd")).to_have_text("1")
    before, _ = shifts(page)
    for number in (1, 100, 2000):
        odd.add_many([("quiet", {"n": n}) for n in range(number)])
        waiting = house.client.zcard("jobd:{odd}:waiting")
        expect(count(page, "waiting", "odd")).to_have_text(f"{waiting:,}")
        house.queue("q").add_many([("quick", {"n": n}) for n in range(number)])
    moved, what = shifts(page)
    assert moved - before < 0.005, what


def test_a_hidden_tab_is_sent_nothing(ops: Visitor) -> None:
    """It has no stream, so a browser with many tabs keeps the server free for those in sight."""
    page = ops.go("/")
    is_live(page)
    assert page.evaluate(
        """() => { Object.defineProperty(document, 'hidden', { value: true, configurable: true });
        document.dispatchEvent(new Event('visibilitychange')); return true; }"""
    )
    house = ops.house
    house.queue("odd").add("quiet", {"n": 1})
    # What is seen by another page that is in sight has been sent to all who listen.
    other = ops.context.new_page()
    other.goto("/")
    expect(count(other, "waiting", "odd")).to_have_text("1")
    house.queue("odd").add("quiet", {"n": 1})
    expect(count(other, "waiting", "odd")).to_have_text("2")
    expect(count(page, "waiting", "odd")).to_have_text("0")
    page.evaluate(
        """() => { Object.defineProperty(document, 'hidden', { value: false, configurable: true });
        document.dispatchEvent(new Event('visibilitychange')); }"""
    )
    expect(count(page, "waiting", "odd")).to_have_text("2")


def test_the_stream_comes_back_after_the_web_process_was_killed(ops: Visitor) -> None:
    house, page = ops.house, ops.go("/")
    is_live(page)
    ops.mark()
    before = house.web_pid()
    with ops.watch.allowing("/live", "ERR_"):
        os.kill(before, signal.SIGKILL)
        expect(page.locator("#live")).to_have_text("Connecting")
        house.queue("odd").add("quiet", {"n": 1})
        expect(count(page, "waiting", "odd")).to_have_text("1", timeout=30_000)
        is_live(page)
    expect(page.locator("#away")).to_be_hidden()
    assert ops.is_marked, "the page was loaded again"
    assert house.web_pid() != before


def test_whose_session_ends_is_asked_to_log_in(visit: Visit) -> None:
    """However it ends: the open page leads to the form by itself, and from there back."""
    one = visit(None)
    page = one.go("/")
    one.fill_in("ops")
    is_live(page)
    other = one.context.new_page()
    other.goto("/")
    other.get_by_role("button", name="Log out").click()
    with one.watch.allowing("401", "/live", "ERR_"):
        # The server looks after a while; the stream is cut here, as a laptop's is that was asleep.
        os.kill(one.house.web_pid(), signal.SIGKILL)
        expect(page).to_have_url(re.compile("/login"), timeout=40_000)
    one.house.ready()
