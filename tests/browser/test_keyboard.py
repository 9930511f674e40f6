"""With the keyboard alone: everything is reached, one sees where one is, and nothing catches the focus."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect
from support.daemons import eventually
from support.logins import PASSWORDS

from browser.conftest import Visit
from browser.visitor import Visitor

pytestmark = pytest.mark.usefixtures("tidy")

# What has the focus: its words, whether it can be seen, and whether it is seen that it has the focus.
FOCUSED = """
() => { const e = document.activeElement;
  if (!e || e === document.body) return null;
  const style = getComputedStyle(e), box = e.getBoundingClientRect();
  return {
    name: e.getAttribute('aria-label') || e.labels?.[0]?.textContent.trim() || e.textContent.trim() || e.name,
    shown: box.width > 0 && box.height > 0 && box.right > 0 && box.left < innerWidth,
    marked: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1,
  };
}
"""


def tab_to(page: Page, name: str, most: int = 80) -> None:
    """Press the tabulator until what is so called has the focus. Whatever had it on the way was marked."""
    for _ in range(most):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused is None:
            continue
        assert focused["shown"], focused
        assert focused["marked"], focused
        if re.fullmatch(name, focused["name"], re.DOTALL):
            return
    raise AssertionError(f"{name}: not reached in {most} steps")


def test_who_has_no_mouse_logs_in_goes_to_a_queue_and_pauses_it(visit: Visit) -> None:
    one = visit(None)
    page = one.go("/")
    expect(page.get_by_label("User")).to_be_focused()
    page.keyboard.type("ops")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORDS["ops"])
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    tab_to(page, "q")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("q")
    tab_to(page, "Why it is paused.*")
    page.keyboard.type("by keys")
    page.keyboard.press("Enter")
    expect(page.locator("#flow")).to_contain_text("by keys")
    assert one.house.queue().flow().paused_why == "by keys"


def test_the_first_step_skips_to_the_content(ops: Visitor) -> None:
    page = ops.go("/")
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED)["name"] == "Skip to the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")


def test_news_leave_the_focus_where_it_is(ops: Visitor) -> None:
    """And what is typed: a page that goes on by itself must not take it away."""
    page = ops.go("/queues/odd")
    expect(page.locator("#live")).to_have_text("Live")
    why = page.get_by_label("Why it is paused")
    why.focus()
    page.keyboard.type("half a sen")
    ops.house.queue("odd").add("quiet", {"n": 1})
    expect(page.locator("#totals")).to_contain_text(re.compile(r"Waiting\s*1"))
    ops.house.queue("odd").pause(task="quiet")
    expect(page.locator("#flow")).to_contain_text("quiet")
    page.keyboard.type("tence")
    expect(why).to_have_value("half a sentence")
    expect(why).to_be_focused()
    ops.house.queue("odd").resume(task="quiet")


def test_who_presses_what_then_is_gone_stays_where_they_are(ops: Visitor) -> None:
    """A button that makes way for its opposite hands on the focus."""
    page = ops.go("/queues/odd")
    expect(page.locator("#live")).to_have_text("Live")
    for pressed, then in (("Pause", "Resume"), ("Resume", "Pause")):
        head = page.locator("#hold")
        ops.button(pressed, head).focus()
        page.keyboard.press("Enter")
        expect(ops.button(then, head)).to_be_focused()


def test_a_question_takes_the_focus_and_gives_it_back(ops: Visitor) -> None:
    page = ops.go("/schedules")
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="tidy"))
    button = ops.button("Pause", row)
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Leave it")).to_be_focused()
    for _ in range(6):  # it goes around within
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body || document.activeElement.closest('dialog') !== null"
        )
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Pause").focus()
    page.keyboard.press("Enter")
    expect(row).to_contain_text("paused")

    def is_paused() -> bool:
        found = ops.house.api("GET", "/schedules")
        return any(one["name"] == "tidy" and one["paused"] for one in found)

    eventually("its pause", is_paused)
    ops.house.api("POST", "/queues/q/schedules/tidy/resume")
