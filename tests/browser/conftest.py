"""One Chromium and one house for the tests in here, one context for each visitor.

A file whose tests leave behind more than jobs has a house of its own, by a fixture of the same name.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Error, expect, sync_playwright

from browser.house import House, at_work
from browser.visitor import PATIENCE_MS, Visitor

NAMES = ("chromium", "chromium-browser", "google-chrome")

Visit = Callable[..., Visitor]


# Ends with this directory: while playwright is there its event loop counts as running in this thread,
# and nothing else could start one.
@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The browser of this machine; tests are skipped where there is none, or it does not start."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no browser on the PATH; looked for {', '.join(NAMES)}")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"]
            )
        except Error as error:
            pytest.skip(f"{program} does not start: {error.message.splitlines()[0]}")
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def house(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The one that is shared. What it has on files goes by names: no two tests tell the same one."""
    with at_work(tmp_path_factory) as made:
        yield made


@pytest.fixture(scope="module")
def own_house(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One for the tests of a file alone."""
    with at_work(tmp_path_factory) as made:
        yield made


@pytest.fixture
def visit(chromium: Browser, house: House) -> Iterator[Visit]:
    """Makes visitors. Whatever their browsers complain of fails the test."""
    visitors: list[Visitor] = []

    def make(user: str | None = "ops", **options: object) -> Visitor:
        visitors.append(Visitor(chromium, house, user, **options))
        return visitors[-1]

    yield make
    complaints = [text for visitor in visitors for text in visitor.close()]
    assert complaints == []


@pytest.fixture
def ops(visit: Visit) -> Visitor:
    """An operator who is logged in."""
    return visit("ops")


@pytest.fixture
def tidy(house: House) -> Iterator[None]:
    """Leave no jobs behind, whatever becomes of the test."""
    yield
    house.clear()
