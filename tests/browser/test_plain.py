"""Acting on single things where scripts are off, or fail to load: by forms, with a word on what was done."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from support.daemons import eventually

from browser.conftest import Visit
from browser.judging import barriers, overlaps, too_wide
from browser.visitor import PHONE

pytestmark = pytest.mark.usefixtures("tidy")


def test_a_dead_job_is_retried_and_deleted_without_scripts(visit: Visit) -> None:
    ops = visit("ops", java_script_enabled=False, viewport=PHONE)
    [job] = ops.house.dead(1, "plain")
    ops.house.tell("plain")
    page = ops.go(f"/queues/q/jobs/{job}")
    ops.button("Retry").click()
    expect(page.get_by_role("status").filter(has_text="It is back in line.")).to_be_visible()
    handle = ops.house.queue().job(job)
    eventually("it ran", lambda: handle.state() == "completed")
    page = ops.go(f"/queues/q/jobs/{job}")
    ops.button("Delete").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Delete this job?")
    page.get_by_role("link", name="Leave it").click()
    assert handle.state() == "completed"
    ops.button("Delete").click()
    ops.button("Delete").click()
    expect(page).to_have_url(re.compile("/queues/q/jobs[?]done="))
    expect(page.get_by_text("Its record is removed.")).to_be_visible()
    assert handle.state() is None


def test_a_queue_is_paused_with_a_reason_by_enter_and_goes_on(visit: Visit) -> None:
    ops = visit("ops", java_script_enabled=False)
    page = ops.go("/queues/q")
    reason = page.get_by_label("Why it is paused")
    reason.fill("no scripts here")
    reason.press("Enter")
    expect(page.locator("#flow")).to_contain_text("“no scripts here”")
    ops.button("Resume").click()
    expect(page.get_by_text("It goes on.")).to_be_visible()
    assert not ops.house.queue().flow().is_paused


def test_where_scripts_do_not_load_buttons_act_all_the_same(visit: Visit) -> None:
    ops = visit("ops")
    ops.page.route("**/*.js", lambda route: route.abort())
    with ops.watch.allowing("ERR_FAILED", r"\.js"):
        page = ops.go("/queues/reports")
        ops.button("Pause", page.locator("#hold")).click()
        expect(page.get_by_text("It is paused; what runs goes on.")).to_be_visible()
        ops.button("Resume", page.locator("#hold")).click()
        expect(page.get_by_text("It goes on.")).to_be_visible()


def test_the_page_that_asks_is_good_to_look_at(visit: Visit) -> None:
    ops = visit("ops")
    [job] = ops.house.dead(1, "never")
    ops.page.route("**/app.js", lambda route: route.abort())
    with ops.watch.allowing("ERR_FAILED", r"\.js"):
        page = ops.go(f"/queues/q/jobs/{job}")
        ops.button("Delete").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Delete this job?")
        assert (barriers(page), overlaps(page), too_wide(page)) == ([], [], [])
        page.set_viewport_size(PHONE)
        assert (overlaps(page), too_wide(page)) == ([], [])


def test_with_scripts_enter_pauses_with_the_reason_and_the_page_stays(visit: Visit) -> None:
    ops = visit("ops")
    page = ops.go("/queues/q")
    expect(page.locator("#live")).to_have_text("Live")
    ops.mark()
    reason = page.get_by_label("Why it is paused")
    reason.fill("by hand")
    reason.press("Enter")
    expect(page.locator("#flow")).to_contain_text("“by hand”")
    ops.act("Resume", page.locator("#hold"))
    expect(page.locator("#flow")).not_to_contain_text("by hand")
    assert ops.is_marked
