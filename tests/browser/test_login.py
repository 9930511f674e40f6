"""Sessions, as people have them."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from support.logins import PASSWORDS

from browser.conftest import Visit
from browser.house import House


@pytest.fixture(scope="module")
def house(own_house: House) -> House:
    """Who logs in wrongly here is held up nowhere else."""
    return own_house


def test_who_comes_without_a_session_logs_in_and_is_where_they_wanted_to_be(visit: Visit) -> None:
    nobody = visit(None)
    page = nobody.go("/?x=1")
    expect(page).to_have_url(re.compile(r"/login\?next=/%3Fx%3D1$"))
    nobody.fill_in("ops")
    expect(page).to_have_url(f"{nobody.house.at}/?x=1")
    expect(page.get_by_role("banner")).to_contain_text("ops")
    assert page.evaluate("document.cookie") == "", "a script can read the session"


def test_a_wrong_password_is_said_and_the_way_is_kept(visit: Visit) -> None:
    nobody = visit(None)
    page = nobody.go("/?y=2")
    nobody.fill_in("ops", "not this one")
    expect(page.get_by_role("alert")).to_have_text("User or password is wrong.")
    expect(page.get_by_label("Password")).to_be_empty()
    nobody.fill_in("ops")
    expect(page).to_have_url(f"{nobody.house.at}/?y=2")


def test_nobody_is_led_to_another_site(visit: Visit) -> None:
    for elsewhere in (
        "//example.com/",
        "https://example.com/",
        "/\\example.com",
        "javascript:alert(1)",
    ):
        nobody = visit(None)
        page = nobody.page
        page.goto("/login?next=" + elsewhere)
        nobody.fill_in("ops")
        expect(page).to_have_url(f"{nobody.house.at}/")


def test_who_logs_out_is_out_with_the_way_back_too(visit: Visit) -> None:
    one = visit(None)
    page = one.go("/")
    one.fill_in("ops")
    one.button("Log out").click()
    expect(page).to_have_url(re.compile("/login"))
    page.go_back()
    expect(page.get_by_label("Password")).to_be_visible()


def test_a_session_that_ends_leads_to_the_log_in(visit: Visit) -> None:
    """Its page was open all the while; what it shows is not of use any more when somebody acts."""
    one = visit(None)
    page = one.go("/")
    one.fill_in("ops")
    with one.watch.allowing("answer: 401 GET .*/live", "console: .*401"):
        one.context.clear_cookies()
        page.get_by_role("link", name="Overview").click()
        expect(page).to_have_url(re.compile(r"/login\?next=/$"))


def test_the_form_works_without_scripts(visit: Visit) -> None:
    plain = visit(None, java_script_enabled=False)
    page = plain.go("/")
    plain.fill_in("ops", "wrong")
    expect(page.get_by_role("alert")).to_be_visible()
    plain.fill_in("ops", PASSWORDS["ops"])
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    plain.button("Log out").click()
    expect(page.get_by_label("Password")).to_be_visible()
