"""Alerts: what fires is seen, and is quiet for as long as somebody says."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from browser.house import House
from browser.visitor import Visitor

pytestmark = pytest.mark.usefixtures("tidy")


@pytest.fixture(scope="module")
def house(own_house: House) -> House:
    """Its alerts fire for nobody else."""
    return own_house


def test_what_fires_is_seen_muted_and_told_again(ops: Visitor) -> None:
    house, page = ops.house, ops.go("/alerts")
    rule = page.get_by_role("article", name="jobs of q die")
    expect(rule).to_be_visible()
    expect(page.locator("#live")).to_have_text("Live")
    ops.mark()
    house.dead(2)
    expect(rule).to_contain_text("firing")
    rule.locator("summary", has_text="Mute").first.click()
    ops.act("4h", rule)
    expect(rule.get_by_text("muted", exact=True)).to_be_visible()
    expect(page.get_by_role("table")).to_contain_text("ops")
    ops.act("Unmute", rule)
    expect(rule.get_by_text("muted", exact=True)).to_have_count(0)
    assert ops.is_marked, "the page was loaded again"
    page = ops.go("/")
    expect(page.locator("#needs")).to_contain_text("jobs of q die")
