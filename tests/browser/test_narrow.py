"""On phones, with names as long as names may be: nothing sticks out, and everything is reached."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from browser.conftest import Visit
from browser.house import House
from browser.judging import overlaps, too_wide
from browser.places import looked_at
from browser.test_jobs import plant_dead
from browser.visitor import Visitor

LONG = "a-name-that-is-as-long-as-a-name-may-be." * 3 + "12345678"
WIDTHS = (360, 390)
PLACES = {
    "overview": "/",
    "queue": f"/queues/{LONG}",
    "waiting": f"/queues/{LONG}/jobs?state=waiting",
    "dead": f"/queues/{LONG}/jobs?state=dead&task={LONG}&cause=failed&like=KeyError",
    "a job": f"/queues/{LONG}/jobs/{LONG}",
    "dead letters": f"/dead?queue={LONG}",
    "workers": "/workers",
    "schedules": "/schedules",
    "schedules of a queue": f"/schedules?queue={LONG}",
    "a schedule": f"/queues/{LONG}/schedules/{LONG[:100]}",
    "alerts": "/alerts",
    "operations": "/operations",
    "an operation": "/operations/{operation}",
}
# Buttons and links in the content of which some part is not within the screen's width.
_OUT = """
() => [...document.querySelectorAll('main button, main .row a')].filter((e) => {
  const box = e.getBoundingClientRect();
  return e.checkVisibility() && !e.closest('.jobs, .scroll:not(:has(.cards))')
    && (box.left < 0 || box.right > innerWidth + 1);
}).map((e) => e.outerHTML.slice(0, 120))
"""
_CURRENT = """
() => { const item = document.querySelector('.top nav a[aria-current]').getBoundingClientRect();
  const nav = document.querySelector('.top nav').getBoundingClientRect();
  return item.left >= nav.left - 1 && item.right <= nav.right + 1; }
"""


@pytest.fixture(scope="module")
def house(own_house: House) -> House:
    """It is full of long names."""
    return own_house


@pytest.fixture(scope="module")
def operation(house: House) -> Iterator[str]:
    """A house full of long names; an operation that has ended in it."""
    queue = house.queue(LONG)
    queue.add(LONG, {"n": 1}, job_id=LONG)
    queue.schedules.put(LONG[:100], LONG, {"n": 1}, cron="0 3 * * *", tz="Europe/Berlin")
    plant_dead(house, 3, LONG)
    pipe = house.client.pipeline(transaction=False)
    for job in house.client.zrange(f"jobd:{{{LONG}}}:dead", 0, -1):
        pipe.hset(f"jobd:{{{LONG}}}:job:{job.decode()}", mapping={"task": LONG, "error": LONG * 3})
    pipe.execute()
    order = {
        "verb": "delete",
        "queue": LONG,
        "task": LONG,
        "cause": LONG,
        "like": LONG,
        "dry_run": True,
    }
    yield str(house.api("POST", "/operations", order)["id"])
    queue.schedules.remove(LONG[:100])
    house.client.delete(*house.client.keys(f"jobd:{{{LONG}}}:*"))


@pytest.mark.parametrize("place", looked_at(PLACES))
def test_long_names_move_nothing_off_the_screen(ops: Visitor, operation: str, place: str) -> None:
    page = ops.go(PLACES[place].format(operation=operation))
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 740})
        assert too_wide(page) == [], width
        assert overlaps(page) == [], width
        assert page.evaluate(_OUT) == [], width


@pytest.mark.parametrize("path", ["/", "/alerts", "/operations"])
def test_the_menu_shows_where_one_is(visit: Visit, path: str) -> None:
    """It scrolls sideways where it has no room, and the page stays where it is."""
    page: Page = visit("ops", viewport={"width": 360, "height": 740}).go(path)
    expect(page.locator("html.scripted")).to_have_count(1)
    assert page.evaluate(_CURRENT)
    assert page.evaluate("scrollY") == 0
