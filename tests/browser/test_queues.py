"""A queue: held, let go, emptied by whoever types its name; and schedules."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from support.daemons import eventually

from browser.conftest import Visit
from browser.visitor import Visitor

pytestmark = pytest.mark.usefixtures("tidy")


def test_a_queue_is_paused_and_goes_on(ops: Visitor) -> None:
    """Whoever looks sees it, and why, without loading again."""
    house, page = ops.house, ops.go("/queues/q")
    expect(page.locator("#live")).to_have_text("Live")
    ops.mark()
    page.get_by_label("Why it is paused").fill("a look at <it>")
    ops.button("Pause", page.locator("#hold")).click()
    expect(page.locator("#hold")).to_contain_text("paused")
    expect(page.locator("#flow")).to_contain_text("“a look at <it>”")
    assert house.queue().flow().paused_why == "a look at <it>"
    held = house.queue().add("quick", {"n": 1})
    expect(page.locator("#totals")).to_contain_text(re.compile(r"Waiting\s*1"))
    assert held.state() == "waiting"
    ops.button("Resume", page.locator("#hold")).click()
    expect(ops.button("Pause", page.locator("#hold"))).to_be_visible()
    expect(page.locator("#totals")).to_contain_text(re.compile(r"Waiting\s*0"))
    eventually("its end", lambda: held.state() == "completed")
    assert ops.is_marked, "the page was loaded again"


def test_a_task_alone_is_paused(ops: Visitor) -> None:
    house = ops.house
    handle = house.queue().add("quick", {"n": 1})
    eventually("its end", lambda: handle.state() == "completed")
    page = ops.go("/queues/q")
    row = page.locator("#task-quick")
    expect(row).to_be_visible()
    ops.act("Pause", row)
    expect(row).to_contain_text("paused")
    assert house.queue().flow().paused_tasks == ("quick",)
    ops.act("Resume", row)
    expect(row.get_by_text("paused", exact=True)).to_have_count(0)


def test_a_queue_is_emptied_by_who_types_its_name(ops: Visitor) -> None:
    house = ops.house
    handles = house.queue("odd").add_many([("quiet", {"n": n}) for n in range(300)])
    page = ops.go("/queues/odd")
    ops.button("Purge").click()
    dialog = page.get_by_role("dialog")
    yes = dialog.get_by_role("button", name="Purge")
    expect(yes).to_be_disabled()
    typed = dialog.get_by_role("textbox")
    expect(typed).to_be_focused()
    for wrong in ("od", "ODD", "odd "):
        typed.fill(wrong)
        expect(yes).to_be_disabled()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert handles[0].state() == "waiting"
    ops.button("Purge").click()
    expect(yes).to_have_text("Purge 300 jobs")
    late = house.queue("odd").add("quiet", {"n": 300})
    typed.fill("odd")
    yes.click()
    expect(page).to_have_url(re.compile("/operations/"))
    expect(page.locator("#operation-state")).to_have_text("done")
    assert [handle.state() for handle in (handles[0], handles[-1])] == [None, None]
    assert late.state() == "waiting", "it was added after the count"


def test_who_types_the_name_and_presses_enter_means_it(ops: Visitor) -> None:
    house = ops.house
    handle = house.queue("odd").add("quiet", {"n": 1})
    page = ops.go("/queues/odd")
    ops.button("Purge").click()
    typed = page.get_by_role("dialog").get_by_role("textbox")
    typed.fill("od")
    typed.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    typed.fill("odd")
    expect(page.get_by_role("dialog").get_by_role("button", name="Purge 1 job")).to_be_enabled()
    typed.press("Enter")
    expect(page.locator("#operation-state")).to_have_text("done")
    assert handle.state() is None


def test_a_schedule_is_run_now_paused_and_resumed(ops: Visitor) -> None:
    house, page = ops.house, ops.go("/schedules")
    expect(page.locator("#live")).to_have_text("Live")
    ops.mark()
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="nightly"))
    expect(row).to_contain_text("Europe/Berlin")
    before = len(list(house.queue().find("completed")))
    ops.act("Run now", row)
    expect(page.get_by_role("status").filter(has_text="its job is added")).to_be_visible()
    ops.act("Pause", row)
    expect(row).to_contain_text("paused")
    [nightly] = [one for one in house.api("GET", "/schedules") if one["name"] == "nightly"]
    assert nightly["paused"]
    ops.act("Resume", row)
    expect(row.get_by_text("paused", exact=True)).to_have_count(0)
    assert ops.is_marked, "the page was loaded again"
    page = ops.go("/queues/q/jobs?state=completed&task=quick")
    expect(page.locator("tbody tr")).to_have_count(before + 1)


def test_a_viewer_is_shown_it_and_offered_nothing(visit: Visit) -> None:
    eva = visit("eva")
    for path in ("/queues/q", "/schedules", "/queues/q/schedules/nightly"):
        page = eva.go(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert page.locator("[data-act]").count() == 0
        assert page.get_by_role("button", name=re.compile("Pause|Resume|Purge|Run")).count() == 0
