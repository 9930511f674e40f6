"""Every page, full of jobs: for axe, in light and dark, on a desk and on a phone, without scripts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from browser.conftest import Visit
from browser.house import House
from browser.judging import barriers, overlaps, too_wide
from browser.places import EMPTY, LIVED, Lived, leave, live_in
from browser.visitor import PHONE, Visitor


@pytest.mark.parametrize("path", EMPTY)
def test_where_nothing_is_it_says_so(visit: Visit, path: str) -> None:
    """Before anything has happened: axe finds nothing either, and each page says what would be there."""
    for scheme in ("light", "dark"):
        one = visit("ops", color_scheme=scheme, viewport=PHONE)
        page = one.go(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert barriers(page) == []
        assert overlaps(page) == []
        assert too_wide(page) == []


@pytest.fixture(scope="module")
def lived(house: House) -> Iterator[Lived]:
    lived = live_in(house)
    yield lived
    leave(house, lived)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("place", LIVED)
def test_nobody_is_kept_out_and_nothing_lies_over_something_else(
    visit: Visit, lived: Lived, place: str, scheme: str
) -> None:
    """By axe-core: no serious violation, in either scheme."""
    one = visit("ops", color_scheme=scheme)
    page = one.go(LIVED[place](lived))
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert barriers(page) == []
    assert overlaps(page) == []
    assert too_wide(page) == []


@pytest.mark.parametrize("place", LIVED)
def test_it_fits_on_a_phone(visit: Visit, lived: Lived, place: str) -> None:
    one = visit("ops", viewport=PHONE, has_touch=True, device_scale_factor=2)
    page = one.go(LIVED[place](lived))
    assert too_wide(page) == []
    assert overlaps(page) == []
    assert barriers(page) == []


@pytest.mark.parametrize("place", LIVED)
def test_it_is_read_without_scripts_and_promises_nothing_it_cannot_do(
    visit: Visit, lived: Lived, place: str
) -> None:
    """The same words as with them but for times; every button in sight is one of a form that is sent."""
    plain = visit("ops", java_script_enabled=False)
    page = plain.go(LIVED[place](lived))
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator("noscript p")).to_be_visible()
    dead = [
        button.text_content()
        for button in page.locator("button:visible").all()
        if button.locator("xpath=ancestor::form[@action or @method]").count() == 0
    ]
    assert dead == []
    assert page.locator("form[data-act]:visible").count() == 0


@pytest.mark.parametrize("place", LIVED)
def test_a_viewer_sees_it_all_and_no_button_that_acts(
    visit: Visit, lived: Lived, place: str
) -> None:
    eva = visit("eva")
    page = eva.go(LIVED[place](lived))
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.locator("[data-act]").count() == 0
    assert page.locator("input[name=pick]").count() == 0


@pytest.mark.parametrize("place", LIVED)
def test_its_title_says_where_one_is_and_all_that_is_pressed_has_a_name(
    ops: Visitor, lived: Lived, place: str
) -> None:
    page = ops.go(LIVED[place](lived))
    assert page.title().endswith(" · jobd")
    for control in page.locator("button:visible, a:visible, input:visible, select:visible").all():
        name = control.evaluate(
            "(e) => e.getAttribute('aria-label') || e.labels?.[0]?.textContent || e.textContent"
        )
        assert str(name).strip(), control.evaluate("(e) => e.outerHTML")
