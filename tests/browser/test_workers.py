"""The fleet: what each worker does, one that is replaced, and where its threads are."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from browser.conftest import Visit
from browser.visitor import Visitor

pytestmark = pytest.mark.usefixtures("tidy")


def test_a_running_job_is_seen_at_its_worker(ops: Visitor) -> None:
    house, page = ops.house, ops.go("/workers")
    expect(page.locator("#live")).to_have_text("Live")
    ops.mark()
    handle = house.queue("naps").add("nap", {"path": house.path("seen")})
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="naps.1"))
    expect(row).to_contain_text("nap")
    expect(row.get_by_role("link", name="nap", exact=True)).to_have_attribute(
        "href", re.compile(f"/queues/naps/jobs/{handle.id}$")
    )
    expect(row).to_contain_text("busy")
    house.tell("seen")
    expect(row).to_contain_text("idle")
    assert ops.is_marked, "the page was loaded again"


def test_a_worker_is_replaced(ops: Visitor) -> None:
    house, page = ops.house, ops.go("/workers")
    before = house.state.queues["q"][0].pid
    rows = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="q.1"))
    old = rows.filter(has_text=re.compile(rf"\b{before}\b"))
    expect(old).to_be_visible()
    ops.act("Recycle", old)
    expect(page.get_by_role("status").filter(has_text="q.1 is replaced")).to_be_visible()
    # While it leaves, it and its successor are there.
    expect(old).to_have_count(0)
    expect(rows.filter(has_text="recycled")).to_have_count(1)
    assert house.state.queues["q"][0].pid != before


def test_the_stacks_of_a_worker_are_shown(ops: Visitor) -> None:
    house, page = ops.house, ops.go("/workers")
    house.queue("naps").add("nap", {"path": house.path("stacked")})
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="naps.1"))
    expect(row).to_contain_text("busy")
    ops.act("Stacks", row)
    shown = page.get_by_role("dialog").filter(has_text="Stacks of naps.1")
    expect(shown).to_contain_text("in wait_for")
    shown.get_by_role("button", name="Close").click()
    expect(shown).to_have_count(0)
    house.tell("stacked")


def test_a_viewer_has_no_button_there(visit: Visit) -> None:
    page = visit("eva").go("/workers")
    expect(page.get_by_role("rowheader", name="q.1")).to_be_visible()
    assert page.locator("[data-act]").count() == 0
