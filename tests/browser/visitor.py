"""Somebody at the dashboard, with a browser of their own."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Browser, BrowserContext, Locator, Page
from support.logins import PASSWORDS

from browser.house import House
from browser.watching import Watch

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
# A machine of two cores may be busy with the jobs meanwhile.
PATIENCE_MS = 60_000


class Visitor:
    """A browser at a house, logged in as `user` or as nobody. `options` are those of a context."""

    def __init__(self, browser: Browser, house: House, user: str | None, **options: Any) -> None:
        self.house = house
        self.context: BrowserContext = browser.new_context(
            **({"base_url": house.at, "viewport": DESK, "locale": "en-GB"} | options)
        )
        self.watch = Watch(self.context, house.at)
        self.context.set_default_timeout(PATIENCE_MS)
        if user is not None:
            self.log_in_as(user)
        self.page: Page = self.context.new_page()

    def log_in_as(self, user: str) -> None:
        """Take a session of this user along, without the form."""
        cookies = self.house.session(user)
        self.context.add_cookies(
            [{"name": name, "value": cookies[name], "url": self.house.at} for name in cookies]
        )

    def go(self, path: str) -> Page:
        """Open a page of the site, which has to be there."""
        answer = self.page.goto(path)
        assert answer is not None
        assert answer.ok, f"{answer.status} {path}: {answer.text()[:2000]}"
        return self.page

    def fill_in(self, user: str, password: str | None = None) -> None:
        """Fill in the form of the log-in, and send it."""
        self.page.get_by_label("User").fill(user)
        self.page.get_by_label("Password").fill(PASSWORDS[user] if password is None else password)
        self.page.get_by_role("button", name="Log in").click()

    def act(self, name: str, within: Locator | None = None, *, typed: str | None = None) -> None:
        """Press a button; where the page asks whether it is meant, say so."""
        self.button(name, within).click()
        dialog = self.page.get_by_role("dialog")
        if typed is not None:
            dialog.get_by_role("textbox").fill(typed)
        # What it shows may be there by now, in a dialog too, which asks nothing.
        yes = dialog.locator("button[value=yes]")
        if yes.is_visible():
            yes.click()

    def mark(self) -> None:
        """Leave a mark in the page, which is gone when it is loaded again."""
        self.page.evaluate("window.__mark = true")

    @property
    def is_marked(self) -> bool:
        return bool(self.page.evaluate("window.__mark === true"))

    def button(self, name: str, within: Locator | None = None) -> Locator:
        return (within or self.page.locator("body")).get_by_role("button", name=name)

    def close(self) -> list[str]:
        """Close; give what was complained of."""
        self.context.close()
        return self.watch.complaints
