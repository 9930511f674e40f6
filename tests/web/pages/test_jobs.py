"""The list of jobs: what it shows by state and filter, how it goes on, what may be done to many at once."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from support.api import HOSTILE, NAMESPACE, die, ended, furnish
from support.pages import Node, PageSite, tree

from jobd import Jobd
from jobd.broker.keys import QueueKeys
from jobd.cli.main import main
from jobd.core.states import STATES


@pytest.fixture
def site(redis_url: str, tmp_path: Path) -> PageSite:
    return PageSite(redis_url, tmp_path)


@pytest.fixture
def app(redis_url: str) -> Jobd:
    return Jobd(redis_url)


def _look(site: PageSite, query: str = "", who: str = "viewer") -> Node:
    return tree(site.get(f"/queues/q/jobs{query}", who))


def _ids(page: Node) -> list[str]:
    return [row.one("th").text for row in page.one("tbody").all("tr")]


def test_tabs_count_each_state_and_keep_the_filter(site: PageSite, app: Jobd) -> None:
    die(app.queue("q"), 3)
    app.queue("q").add("work")
    tabs = _look(site, "?state=dead&task=work&limit=25").one("nav", aria_label="Jobs by state")
    assert tabs.text == "waiting 1 delayed 0 active 0 completed 0 dead 3 cancelled 0"
    assert tabs.one("a", aria_current="page").text == "dead 3"
    assert tabs.by_id("tab-waiting").attrs["href"] == (
        "/queues/q/jobs?state=waiting&limit=25&task=work"
    )


def test_counts_go_on_while_the_list_stands_still(site: PageSite, app: Jobd) -> None:
    app.queue("q").add("work")
    with site.watch("/queues/q/jobs") as news:
        first = news.next("parts")["parts"]
        assert set(first) == {f"tab-{state}" for state in STATES}
        app.queue("q").add("work")
        content = news.next("parts")["parts"]
    assert list(content) == ["tab-waiting"]
    assert 'data-count="2"' in content["tab-waiting"]


def test_pages_go_forward_to_the_end_and_back_to_the_first(site: PageSite, app: Jobd) -> None:
    added = [handle.id for handle in app.queue("q").add_many([("work", {})] * 5)]
    page, found = _look(site, "?limit=2"), []
    assert "2 of 5" in page.text
    for _ in added:
        found += _ids(page)
        if "Next page →" not in page.links:
            break
        page = tree(site.get(page.links["Next page →"]))
    assert found == added
    assert page.links["First page"] == "/queues/q/jobs?state=waiting&limit=2"


@pytest.mark.parametrize(
    ("query", "found"),
    [("task=other", 2), ("task=nobody", 0), ("error=BOOM", 2), ("like=boom+%23", 2), ("older_than=1h", 0),
     ("newer_than=1h", 3), ("group=g", 0)],
)  # fmt: skip
def test_filters_narrow_the_list_and_stay_in_the_form(
    site: PageSite, app: Jobd, query: str, found: int
) -> None:
    die(app.queue("q"), 1)
    die(app.queue("q"), 2, task="other", error="boom 17")
    page = _look(site, f"?state=dead&{query}")
    assert (len(_ids(page)) if found else 0) == found
    assert found or "No dead job matches." in page.text
    name, _, value = query.partition("=")
    assert page.one("input", name=name).attrs["value"] == value.replace("+%23", " #")
    assert page.links["Clear"] == "/queues/q/jobs?state=dead"


@pytest.mark.parametrize(
    ("query", "words"),
    [("state=broken", "Invalid enum value"), ("limit=1000", "Expected `int` <= 200"), ("nonsense=1", "unknown"),
     ("older_than=soon", "expected a duration"), ("cursor=abc", "cursor"), ("task=a%20b", "task:")],
)  # fmt: skip
def test_what_cannot_be_read_is_said_beside_the_form(
    site: PageSite, app: Jobd, query: str, words: str
) -> None:
    app.queue("q").add("work")
    page = _look(site, f"?{query}")
    assert words in page.one(role="alert", class_="problem").text
    assert page.one("form", "data-filter")
    assert not page.all("tbody")


def test_a_page_that_found_nothing_says_how_many_it_looked_at_and_goes_on(
    site: PageSite, app: Jobd
) -> None:
    app.queue("q").add_many([("work", {})] * 2100 + [("rare", {})])
    page = _look(site, "?task=rare")
    assert "Looked at 2,000 jobs, none matched: go on" in page.text
    assert len(_ids(tree(site.get(page.links["go on"])))) == 1


@pytest.mark.parametrize("state", STATES)
def test_an_empty_state_says_what_would_be_there(site: PageSite, app: Jobd, state: str) -> None:
    die(app.queue("q"), 1)
    job = next(iter(_ids(_look(site, "?state=dead"))))
    site.api.act("DELETE", f"/queues/q/jobs/{job}")
    assert "Jobs" in _look(site, f"?state={state}").one("div", class_="empty").text


@pytest.mark.parametrize(
    ("query", "found"), [("cause=failed", 2), ("cause=poison", 0), ("cause=odd", 1)]
)
def test_the_dead_are_chosen_by_what_they_died_of(
    site: PageSite, app: Jobd, query: str, found: int
) -> None:
    ids = die(app.queue("q"), 3)
    site.client.hset(QueueKeys(NAMESPACE, "q").job(ids[0]), "cause", "odd")
    page = _look(site, f"?state=dead&{query}")
    assert (len(_ids(page)) if found else 0) == found
    chosen = page.one("select", name="cause").one("option", "selected")
    assert f"cause={chosen.text}" == query
    assert not _look(site, "?state=waiting").all("select", name="cause")


def _bulk(page: Node) -> dict[str, dict[str, object]]:
    return {
        f"{button.attrs['data-bulk']} {button.attrs['data-verb']}": json.loads(
            button.attrs["data-body"]
        )
        for button in page.all("button", "data-bulk")
    }


def test_operators_act_on_the_ticked_and_on_all_that_match(site: PageSite, app: Jobd) -> None:
    ids = die(app.queue("q"), 2)
    page = _look(site, "?state=dead&error=no", "operator")
    bulk = _bulk(page)
    assert set(bulk) == {"ticked retry", "all retry", "ticked delete", "all delete"}
    assert {box.attrs["value"] for box in page.all("input", name="pick")} == set(ids)
    assert bulk["all delete"] == {"verb": "delete", "queue": "q", "states": ["dead"], "error": "no"}
    for body, count in ((bulk["all retry"] | {"dry_run": True}, {"dead": 2}),
                        (bulk["ticked retry"] | {"ids": ids}, {"retried": 2})):  # fmt: skip
        assert ended(site.api, site.api.act("POST", "/operations", body))["counts"] == count


@pytest.mark.parametrize(
    ("state", "verbs"),
    [("waiting", {"cancel"}), ("delayed", {"cancel", "run-now"}), ("active", {"cancel"}), ("completed", {"delete"}),
     ("dead", {"retry", "delete"}), ("cancelled", {"retry", "delete"})],
)  # fmt: skip
def test_each_state_has_the_acts_that_can_be_done(
    site: PageSite, state: str, verbs: set[str]
) -> None:
    furnish(site.client)
    bulk = _bulk(_look(site, f"?state={state}", "operator"))
    assert {each.partition(" ")[2] for each in bulk} == verbs


def test_viewers_have_nothing_to_act_with(site: PageSite) -> None:
    furnish(site.client)
    page = _look(site, "?state=dead")
    assert not page.all("button", "data-bulk")
    assert not page.all("input", name="pick")


@pytest.mark.parametrize("state", STATES)
def test_what_strangers_wrote_is_text(site: PageSite, state: str) -> None:
    furnish(site.client)
    html = site.get(f"/queues/q/jobs?state={state}", "operator")
    assert "<script>alert" not in html
    assert "\u202e" not in html
    assert len(html) < 100_000  # no value of theirs in full
    assert len(_ids(tree(html))) == len(HOSTILE)


def test_an_id_that_is_no_name_is_shown_and_leads_nowhere(site: PageSite, app: Jobd) -> None:
    app.queue("q").add("work")
    site.client.zadd(QueueKeys(NAMESPACE, "q").waiting, {"../<b>": 0})
    page = _look(site, "", "operator")
    assert "../<b>" in _ids(page)
    assert len(page.all("input", name="pick")) == 1


def test_other_queues_are_a_step_away_and_one_that_is_not_there_says_so(
    site: PageSite, app: Jobd
) -> None:
    app.queue("q").add("work")
    app.queue("mail").add("work")
    assert _look(site, "?state=dead").links["mail"] == "/queues/mail/jobs?state=dead"
    answer = site.ask("/queues/mial/jobs")
    assert answer.status_code == 404
    assert "did you mean 'mail'" in tree(answer.text).text


def test_the_command_that_lists_the_same_is_one_that_a_shell_reads(
    site: PageSite, app: Jobd
) -> None:
    app.queue("q").add("work")
    page = _look(site, "?state=dead&error=" + quote("it's; rm"))
    assert page.one("button", "data-copy").attrs["data-copy"] == (
        "jobd jobs list --queue q --state dead '--error=it'\"'\"'s; rm'"
    )


def test_the_command_lists_what_the_page_does_by_each_filter(
    site: PageSite, app: Jobd, redis_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOBD_REDIS_URL", redis_url)
    wanted = die(app.queue("q"), 2, "mail", "--no 17")
    die(app.queue("q"), 1, "mail", "other")
    die(app.queue("q"), 1, "work", "--no 17")
    said = {
        "task": "mail",
        "error": "--no",
        "like": "--no #",
        "cause": "failed",
        "newer_than": "1h",
        "older_than": "0",
    }
    page = _look(site, f"?state=dead&{urlencode(said)}")
    assert set(_ids(page)) == set(wanted)
    command = page.one("button", "data-copy").attrs["data-copy"]
    assert main([*shlex.split(command)[1:], "--json"]) == 0
    assert {job["id"] for job in json.loads(capsys.readouterr().out)} == set(wanted)


def test_links_know_below_which_path_the_dashboard_is(
    redis_url: str, tmp_path: Path, app: Jobd
) -> None:
    app.queue("q").add_many([("work", {})] * 2)
    site = PageSite(redis_url, tmp_path, root="/admin")
    page = _look(site, "?limit=1", "operator")
    inner = page.by_id("main")
    assert all(link.startswith("/admin/") for link in inner.links.values())
    assert all(
        each.attrs["data-path"] == "/admin/api/v1/operations"
        for each in inner.all("button", "data-bulk")
    )


def test_a_value_that_is_too_long_is_refused_not_cut(site: PageSite) -> None:
    """A part of it would find more jobs than were meant."""
    long = "x" * 2001
    for path in (f"/queues/q/jobs?error={long}", f"/dead?queue={long}", f"/find?id={long}"):
        answer = site.ask(path)
        assert answer.status_code == 400, path
        assert "2001 characters; expected at most 2000" in answer.text
    assert site.ask(f"/live/queues/q/jobs?error={long}").status_code == 400
    assert site.told == []
    assert site.ask(f"/queues/none/jobs?error={long[1:]}").status_code == 404
