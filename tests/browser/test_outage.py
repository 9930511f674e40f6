"""Redis is away, or answers nothing: pages say so, keep what they have shown, and come back by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from chaos.stores import DURABLE, Store
from playwright.sync_api import Browser, expect

from browser.conftest import Visit
from browser.house import PROGRAM, House
from browser.test_live import count, is_live

# A worker's claim and a look each wait for their own time-outs; the stream tells when a look is over.
IN_TIME_MS = 60_000

pytestmark = pytest.mark.usefixtures("tidy")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    made = Store(PROGRAM, tmp_path_factory.mktemp("store"), *DURABLE)
    yield made
    made.end()


@pytest.fixture(scope="module")
def house(
    chromium: Browser, store: Store, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    """One whose Redis can be taken away."""
    made = House(tmp_path_factory.mktemp("house"), store.url)
    try:
        made.start("run")
        made.ready()
        yield made
    finally:
        store.thaw()
        made.end()


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_an_open_page_says_that_redis_is_away_and_goes_on_when_it_is_back(
    visit: Visit, store: Store, how: str
) -> None:
    one = visit("ops")
    page = one.go("/")
    one.house.queue("odd").add_many([("quiet", {"n": n}) for n in range(3)])
    expect(count(page, "waiting", "odd")).to_have_text("3")
    is_live(page)
    one.mark()
    with one.watch.allowing("/live", "/session", "503", "ERR_"):
        away, back = _ways(store)[how]
        away()
        try:
            banner = page.locator("#away")
            expect(banner).to_contain_text("last seen", timeout=IN_TIME_MS)
            expect(page.locator("#live")).to_have_text("No news")
            assert count(page, "waiting", "odd").inner_text() == "3", "what was shown is gone"
        finally:
            back()
        expect(banner).to_be_hidden(timeout=IN_TIME_MS)
        one.house.queue("odd").add("quiet", {"n": 4})
        expect(count(page, "waiting", "odd")).to_have_text("4", timeout=IN_TIME_MS)
    assert one.is_marked, "the page was loaded again"


def _ways(store: Store) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    return {"killed": (store.kill, store.start), "frozen": (store.freeze, store.thaw)}


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_a_page_that_is_opened_meanwhile_says_why_and_tries_again(
    visit: Visit, store: Store, how: str
) -> None:
    one = visit("ops")
    page = one.go("/")
    wanted = "/queues/odd?minutes=all"
    away, back = _ways(store)[how]
    with one.watch.allowing("503", "/live", "ERR_", "/session"):
        away()
        try:
            answer = page.goto(wanted, timeout=IN_TIME_MS)
            assert answer is not None
            assert answer.status == 503
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            expect(page.locator("main")).to_contain_text("looks again")
            expect(page.locator("main")).to_contain_text("keeps who is logged in")
            assert "Traceback" not in page.content()
        finally:
            back()
        expect(page.get_by_role("heading", level=1)).to_have_text("odd", timeout=IN_TIME_MS)
        assert page.url.endswith(wanted), "what was asked for is shown, without another log-in"


def test_a_log_in_meanwhile_says_that_it_is_not_the_password(visit: Visit, store: Store) -> None:
    one = visit(None)
    page = one.go("/login")
    store.kill()
    try:
        with one.watch.allowing("503"):
            one.fill_in("ops")
            expect(page.get_by_role("alert")).to_contain_text("It is not your password")
            assert "ops" not in page.url, "addresses are logged, and kept in histories"
    finally:
        store.start()
    one.fill_in("ops")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview", timeout=IN_TIME_MS)
