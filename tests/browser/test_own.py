"""What belongs to who looks: their zone, their clock, light or dark, what they have opened, where they were."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect
from support.daemons import eventually

from browser.conftest import Visit
from browser.visitor import Visitor

pytestmark = pytest.mark.usefixtures("tidy")


def test_times_are_in_the_zone_of_who_looks(visit: Visit) -> None:
    """A job that was added is so at one instant, which has another name in Tokyo and New York."""
    [job] = visit("ops").house.dead(1, "zoned")
    for zone in ("Asia/Tokyo", "America/New_York"):
        page = visit("ops", timezone_id=zone).go(f"/queues/q/jobs/{job}")
        shown = page.locator("#step-added time[data-when], .timeline time[data-when]").first
        at = datetime.fromisoformat(str(shown.get_attribute("datetime")))
        there = at.astimezone(ZoneInfo(zone))
        expect(shown).to_contain_text(f"{there:%H:%M:%S}")
        expect(shown).to_contain_text(f"{there.day} ")
    plain = visit("ops", java_script_enabled=False).go(f"/queues/q/jobs/{job}")
    expect(plain.locator(".timeline time").first).to_have_text(re.compile("UTC$"))


def test_a_wrong_clock_of_who_looks_makes_no_age_wrong(visit: Visit) -> None:
    for year in (2001, 2077):
        one = visit("ops")
        [job] = one.house.dead(1, "never")
        one.context.clock.set_fixed_time(datetime(year, 1, 1, tzinfo=UTC))
        page = one.go(f"/queues/q/jobs/{job}")
        expect(page.locator(".timeline time[data-ago]").last).to_have_text(
            re.compile(r"^(now|\d+ sec\.? ago)$")
        )


def test_an_age_goes_on_by_itself(ops: Visitor) -> None:
    """And costs no news: the stream says nothing meanwhile."""
    [job] = ops.house.dead(1, "never")
    page = ops.go(f"/queues/q/jobs/{job}")
    age = page.locator(".timeline time[data-ago]").last
    expect(age).to_have_text(re.compile("ago|now"))
    expect(page.locator("#live")).to_have_text("Live")
    page.evaluate(
        "window.__news = 0; document.addEventListener('jobd:news', () => window.__news++)"
    )

    def goes_on_unheard() -> bool:
        """What the death has changed on other pages may still be on its way."""
        before = age.inner_text()
        page.evaluate("window.__news = 0")
        expect(age).not_to_have_text(before)
        return bool(page.evaluate("window.__news") == 0)

    eventually("an age that goes on, and no news", goes_on_unheard)


def test_who_chooses_dark_has_it_on_the_next_page_too(visit: Visit) -> None:
    one = visit("ops", color_scheme="light")
    page = one.go("/")

    def background() -> int:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", str(colour))[:3]))

    assert background() > 600
    one.button("Light or dark").click()
    assert background() < 200
    page.get_by_role("link", name="Workers").click()
    assert background() < 200
    one.button("Light or dark").click()
    assert background() > 600


def test_what_was_opened_and_ticked_stays_so_when_news_come(ops: Visitor) -> None:
    house = ops.house
    handle = house.queue("reports").add("report", {"path": house.path("open"), "steps": 2})
    page = ops.go(f"/queues/reports/jobs/{handle.id}")
    page.locator("#job-commands summary").click()
    house.tell("open.1")
    expect(page.locator("#job-why")).to_contain_text("1 of 2 done")
    expect(page.locator("#job-command-list")).to_be_visible()
    house.tell("open.2")
    house.tell("open.end")
    expect(page.locator("#job-head .state")).to_have_text("completed")
    expect(page.locator("#job-command-list")).to_be_visible()
    late = house.dead(2, "never")
    page = ops.go("/queues/q/jobs?state=dead")
    page.get_by_label(f"Tick job {late[0]}").check()
    house.dead(1, "never")
    expect(page.locator("#news")).to_contain_text("1 more")
    expect(page.get_by_label(f"Tick job {late[0]}")).to_be_checked()
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_role("link", name="Show now").click()
    expect(page.locator("tbody tr")).to_have_count(3)


def test_who_comes_back_sees_what_is_new(ops: Visitor) -> None:
    """Also where the browser has kept the page as it was left."""
    page = ops.go("/queues/odd")
    expect(page.locator("#live")).to_have_text("Live")
    page.get_by_role("link", name="Overview").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    ops.house.queue("odd").add("quiet", {"n": 1})
    page.go_back()
    expect(page.locator("#totals")).to_contain_text(re.compile(r"Waiting\s*1"))
    ops.house.queue("odd").add("quiet", {"n": 1})
    expect(page.locator("#totals")).to_contain_text(re.compile(r"Waiting\s*2"))


def test_a_command_is_copied_and_is_the_one_that_does_the_same(visit: Visit) -> None:
    one = visit("ops", permissions=["clipboard-read", "clipboard-write"])
    [job] = one.house.dead(1, "copied")
    page = one.go(f"/queues/q/jobs/{job}")
    page.locator("#job-commands summary").click()
    page.locator("#job-command-list .command").filter(has_text="retry").get_by_role(
        "button"
    ).click()
    expect(page.get_by_role("status").filter(has_text="Copied.")).to_be_visible()
    words = str(page.evaluate("navigator.clipboard.readText()")).split()
    assert words[0] == "jobd"
    one.house.tell("copied")
    done = one.house.jobd(*words[1:])
    assert done.returncode == 0, done.stderr
    expect(page.locator("#job-head .state")).to_have_text("completed")
