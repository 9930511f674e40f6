"""Every page, full of jobs: for axe, in light and dark, on a desk and on a phone, without scripts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from browser.conftest import Visit
from browser.house import House
from browser.judging import barriers, overlaps, too_wide
from browser.places import EMPTY, LIVED, Lived, leave, live_in, looked_at
from browser.visitor import PHONE, Visitor

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


@pytest.fixture(scope="module")
def house(own_house: House) -> House:
    """Nothing has happened in it yet."""
    return own_house


def is_good(page: Page) -> None:
    """Find nothing: by axe-core no serious violation, nothing that overlaps, nothing that scrolls sideways."""
    assert barriers(page) == []
    assert overlaps(page) == []
    assert too_wide(page) == []


@pytest.mark.parametrize("path", looked_at(EMPTY))
def test_where_nothing_is_it_says_so(ops: Visitor, path: str) -> None:
    """Before anything has happened; each page says what would be there."""
    page = ops.go(path)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        is_good(page)


@pytest.fixture(scope="module")
def lived(house: House) -> Iterator[Lived]:
    lived = live_in(house)
    yield lived
    leave(house, lived)


@pytest.mark.parametrize("place", looked_at(LIVED))
def test_it_is_good_in_light_and_dark_on_a_desk_and_on_a_phone(
    ops: Visitor, lived: Lived, place: str
) -> None:
    page = ops.go(LIVED[place](lived))
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.title().endswith(" · jobd")
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        is_good(page)
    page.set_viewport_size(PHONE)
    is_good(page)


@pytest.mark.parametrize("place", looked_at(LIVED))
def test_it_is_read_without_scripts_and_offers_nothing_that_does_nothing(
    visit: Visit, lived: Lived, place: str
) -> None:
    """The same words as with them but for times; every button in sight is one of a form that is sent."""
    page = visit("ops", java_script_enabled=False).go(LIVED[place](lived))
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator("noscript p").first).to_be_visible()
    dead = [
        button.text_content()
        for button in page.locator("button:visible").all()
        if button.locator("xpath=ancestor::form[@action or @method]").count() == 0
        and not button.evaluate("it => it.form?.id === 'acts' && it.hasAttribute('formaction')")
    ]
    assert dead == []
    assert page.locator("form[data-act]:visible").count() == 0


@pytest.mark.parametrize("place", looked_at(LIVED))
def test_a_viewer_sees_it_all_and_no_button_that_acts(
    visit: Visit, lived: Lived, place: str
) -> None:
    page = visit("eva").go(LIVED[place](lived))
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.locator("[data-act], [data-bulk], input[name=pick]").count() == 0
