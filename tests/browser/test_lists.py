"""A list of jobs while somebody reads it: it stands still, says that there is more, and asks before it acts."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from browser.house import House
from browser.visitor import Visitor


@pytest.fixture(autouse=True)
def tidy(house: House) -> Iterator[None]:
    """Each test begins with no jobs."""
    yield
    house.clear()


def test_what_comes_meanwhile_is_told_and_moves_no_row(ops: Visitor) -> None:
    [first] = ops.house.dead(1, "never")
    page = ops.go("/queues/q/jobs?state=dead")
    expect(page.locator("#live")).to_have_text("Live")
    page.get_by_label(f"Tick job {first}").check()
    ops.mark()
    ops.house.dead(2, "never")
    expect(page.locator("#tab-dead .many")).to_have_text("3")
    expect(page.locator("#news")).to_contain_text("2 more than when this list was made.")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.get_by_label(f"Tick job {first}")).to_be_checked()
    assert ops.is_marked, "the page was loaded again"
    page.get_by_role("link", name="Show now").click()
    expect(page.locator("tbody tr")).to_have_count(3)
    expect(page.locator("#news")).to_be_hidden()


def test_ticks_are_counted_and_forgotten_with_the_page(ops: Visitor) -> None:
    """A browser that fills in what was ticked before would tick other jobs' rows."""
    ops.house.dead(3, "never")
    page = ops.go("/queues/q/jobs?state=dead")
    box = page.get_by_label("Tick all jobs of this page")
    acts = page.get_by_role("group", name="Act on the ticked jobs")
    box.check()
    expect(acts).to_contain_text("3 ticked")
    page.locator("input[name=pick]").first.uncheck()
    expect(acts).to_contain_text("2 ticked")
    assert box.evaluate("(e) => e.indeterminate")
    page.goto("/dead")
    page.go_back()
    expect(acts).to_contain_text("0 ticked")
    expect(acts.get_by_role("button", name="Retry")).to_be_disabled()


def test_all_are_counted_before_and_left_alone_by_who_says_no(ops: Visitor) -> None:
    ops.house.dead(3, "never")
    page = ops.go("/queues/q/jobs?state=dead&error=no+such")
    ops.button("Delete all").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Delete: 3 jobs, as of now. This cannot be taken back.")
    dialog.get_by_role("button", name="Leave it").click()
    expect(dialog).to_be_hidden()
    expect(page).to_have_url(re.compile(r"/queues/q/jobs\?"))
    assert ops.house.client.zcard("jobd:{q}:dead") == 3


def test_what_dies_while_somebody_thinks_about_it_is_left_alone(ops: Visitor) -> None:
    """The number in the question is that of the answer."""
    ops.house.dead(3, "never")
    page = ops.go("/queues/q/jobs?state=dead")
    ops.button("Delete all").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Delete: 3 jobs, as of now.")
    late = ops.house.dead(2, "never")
    dialog.get_by_role("button", name="Delete 3 jobs").click()
    expect(page.locator("#operation-state")).to_have_text("done")
    expect(page.locator("#operation-counts")).to_contain_text(re.compile(r"deleted\s*3"))
    assert {ops.house.queue().job(job).state() for job in late} == {"dead"}


def test_a_job_is_moved_to_another_time(ops: Visitor) -> None:
    handle = ops.house.queue("odd").add("quiet", {"n": 1})
    page = ops.go(f"/queues/odd/jobs/{handle.id}")
    page.get_by_text("Run later").click()
    page.get_by_role("textbox", name="In").fill("1h")
    ops.button("Move it").click()
    expect(page.locator("#job-head .state")).to_have_text("delayed")
    assert handle.state() == "delayed"


def test_what_cannot_be_begun_says_so_and_leads_to_what_is_under_way(ops: Visitor) -> None:
    [job] = ops.house.dead(1, "never")
    page = ops.go("/queues/q/jobs?state=dead")
    ops.button("Delete all").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Delete: 1 job, as of now.")
    ops.context.set_offline(True)
    with ops.watch.allowing("ERR_INTERNET_DISCONNECTED"):
        dialog.get_by_role("button", name="Delete 1 job").click()
        told = page.locator(".toast")
        expect(told).to_contain_text("The dashboard does not answer")
        ops.context.set_offline(False)
    assert ops.house.queue().job(job).state() == "dead"
    told.get_by_role("link", name="See the operations").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Operations")
