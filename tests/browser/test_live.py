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
        expect(count(page, "waiting", "odd")).to_have_text("1")
        is_live(page)
    expect(page.locator("#away")).to_be_hidden()
    assert ops.is_marked, "the page was loaded again"
    assert house.web_pid() != before


def test_a_browser_that_is_offline_says_so_and_is_back_by_itself(ops: Visitor) -> None:
    page = ops.go("/")
    is_live(page)
    ops.mark()
    with ops.watch.allowing("/live", "/session", "ERR_"):
        ops.context.set_offline(True)
        expect(page.locator("#live")).to_have_text("Offline")
        expect(page.locator("#away")).to_contain_text("offline")
        ops.house.queue("odd").add("quiet", {"n": 1})
        ops.context.set_offline(False)
        expect(count(page, "waiting", "odd")).to_have_text("1")
    is_live(page)
    expect(page.locator("#away")).to_be_hidden()
    assert ops.is_marked, "the page was loaded again"


# A stream whose server has too much to look at; what says so is of tests/web/pages/test_live.py.
LATE = """
globalThis.EventSource = class extends EventTarget {
  constructor() { super(); globalThis.__stream = this; }
  close() {}
};
globalThis.__say = (name, content) => __stream.dispatchEvent(new MessageEvent(name, { data: JSON.stringify(content) }));
"""


def test_news_that_are_late_are_said_to_be_and_how_late(ops: Visitor) -> None:
    ops.page.add_init_script(LATE)
    page, badge = ops.go("/"), ops.page.locator("#live")
    page.evaluate("__say('parts', { now: Date.now(), parts: {}, late: 12400 })")
    expect(badge).to_have_text("Behind")
    expect(badge).to_have_attribute("data-late", " 12s")
    page.evaluate("__say('away', { now: Date.now(), why: 'redis: no answer', late: 13400 })")
    page.evaluate("__say('beat', { now: Date.now(), late: 14400 })")
    expect(badge).to_have_text("No news")
    page.evaluate("__say('parts', { now: Date.now(), parts: {} })")
    is_live(page)
    expect(badge).to_have_attribute("data-late", "")


@pytest.mark.parametrize(("locale", "hours"), [("de-DE", 24), ("en-US", 12), ("fr-FR", 24)])
def test_times_are_english_in_the_viewers_zone_and_way_to_count_hours(
    visit: Visit, locale: str, hours: int
) -> None:
    """As all of the page is, which says that it is."""
    page = visit("ops", locale=locale, timezone_id="America/New_York").go("/schedules")
    ages = page.locator("time[data-ago]").first
    expect(ages).to_have_text(re.compile(r"^in \d+ (hr|h|min|days?)"))
    assert ages.get_attribute("title") is not None
    shown = page.evaluate(
        """async () => { const path = document.querySelector('script[type=module]').src.replace('app.js', 'times.js');
        const { write } = await import(path);
        const time = Object.assign(document.createElement('time'), { dateTime: '2026-11-29T20:15:03Z' });
        const div = document.createElement('div'); div.append(time); write(div); return time.textContent; }"""
    )
    assert "Nov" in shown
    assert ("3:15:03" if hours == 12 else "15:15:03") in shown
    assert ("PM" in shown) == (hours == 12)


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
        expect(page).to_have_url(re.compile("/login"))
    one.house.ready()
