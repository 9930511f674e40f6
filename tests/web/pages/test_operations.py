"""Operations: how far each is, by itself; how it ends; stopping one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.api import die, ended
from support.pages import Node, PageSite, tree

from jobd import Jobd
from jobd.web.api.operation import Operation, Progress
from jobd.web.api.problems import RequestError


class Gate:
    """An operation that goes on until it is let go."""

    def __init__(self, site: PageSite) -> None:
        self.site = site
        self.open = threading.Event()

    def start(self) -> Operation:
        return self.site.api.house.operations.start(
            self._work,
            verb="retry",
            queue="q",
            by="eva",
            which={"task": "charge", "states": "dead"},
        )

    def _work(self, progress: Progress) -> bool:
        progress.tell(3, 10, {"retried": 2})
        while not self.open.wait(0.01):
            if progress.is_stopped():
                return False
        progress.tell(10, 10, {"retried": 9})
        return True


@pytest.fixture
def site(redis_url: str, tmp_path: Path) -> PageSite:
    return PageSite(redis_url, tmp_path)


@pytest.fixture
def gate(site: PageSite) -> Iterator[Gate]:
    gate = Gate(site)
    yield gate
    gate.open.set()


def shown(site: PageSite, operation: Operation, who: str = "viewer") -> Node:
    return tree(site.get(f"/operations/{operation.id}", who))


def test_where_none_was_it_is_said_how_one_is_begun(site: PageSite) -> None:
    assert "No operation yet." in tree(site.get("/operations")).text


def test_one_that_is_not_known_is_a_page_that_says_so(site: PageSite) -> None:
    assert site.ask("/operations/nope").status_code == 404
    assert site.ask("/operations/%3Cb%3E").status_code in (400, 404, 422)


def test_it_goes_on_by_itself_to_its_end(site: PageSite, gate: Gate) -> None:
    it = gate.start()
    with site.watch(f"/operations/{it.id}") as news:
        news.next("whole")
        gate.open.set()
        content = news.until("parts", lambda content: "went through all" in str(content["parts"]))
    assert "<strong>9</strong>" in content["parts"]["operation-counts"]
    page = shown(site, it)
    assert page.one("progress").attrs | {"value": "10", "max": "10"} == page.one("progress").attrs
    assert page.by_id("operation-state").text == "done"


def test_it_says_what_was_asked_for_by_whom_and_leads_back(site: PageSite, gate: Gate) -> None:
    page = shown(site, gate.start())
    assert "By eva" in page.text
    assert "Task charge" in page.text
    assert page.links["the jobs"] == "/queues/q/jobs?state=dead&task=charge"
    assert page.links["dead letters"] == "/dead?queue=q"
    row = tree(site.get("/operations")).all("tr")[1]
    assert "Retry charge q running" in row.text
    assert "2 retried" in row.text


def test_an_operator_alone_stops_one_and_then_it_says_so(site: PageSite, gate: Gate) -> None:
    it = gate.start()
    assert shown(site, it).acts == {}
    assert shown(site, it, "operator").acts == {"Stop": f"DELETE /api/v1/operations/{it.id}"}
    site.api.act("DELETE", f"/operations/{it.id}")
    ended(site.api, {"id": it.id})
    page = shown(site, it, "operator")
    assert page.acts == {}
    assert "It was stopped before its end." in page.text


def test_one_that_failed_says_why(site: PageSite) -> None:
    def work(_progress: Progress) -> bool:
        raise RequestError("a thing; expected another")

    it = site.api.house.operations.start(work, verb="delete", queue=None, by="eva")
    ended(site.api, {"id": it.id})
    text = shown(site, it).text
    assert "Delete in all queues" in text
    assert "a thing; expected another" in text


def test_what_the_api_begins_says_its_filter_cut_where_it_is_long(
    site: PageSite, redis_url: str
) -> None:
    die(Jobd(redis_url).queue("mail"), 1)
    begun = site.api.act(
        "POST", "/operations", {"verb": "retry", "queue": "mail", "error": "x" * 5000, "task": "a"}
    )
    assert begun["which"] == {"error": "x" * 300, "task": "a"}
    ids = site.api.act("POST", "/operations", {"verb": "retry", "ids": ["a", "b", "a"]})
    assert ids["which"] == {"ids": "2"}


@pytest.mark.parametrize(
    ("asked", "command"),
    [
        ({"verb": "delete", "states": ["dead", "cancelled"], "cause": "lost", "older_than": "7d"},
         "jobd jobs delete --queue q --state dead --state cancelled --cause=lost --older-than=7d"),
        ({"verb": "run-now", "like": "", "dry_run": True}, "jobd jobs run-now --queue q --like= --dry-run"),
        ({"verb": "purge", "confirm": "q"}, "jobd queues purge q"),
        ({"verb": "reschedule", "delay": "1h"}, None),
        ({"verb": "retry", "error": "x" * 300}, None),
        ({"verb": "retry", "ids": ["a"]}, None),
    ],
)  # fmt: skip
def test_it_can_be_done_again_in_a_terminal(
    site: PageSite, redis_url: str, asked: dict[str, object], command: str | None
) -> None:
    """Where there is a command for it, and nothing of what was asked for is cut."""
    Jobd(redis_url).queue("q").add("work")
    begun = site.api.act("POST", "/operations", asked | {"queue": "q"})
    ended(site.api, begun)
    copies = tree(site.get(f"/operations/{begun['id']}")).all("button", "data-copy")
    assert [each.attrs["data-copy"] for each in copies] == ([command] if command else [])
