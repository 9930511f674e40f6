"""Alerts: what each rule watches, sees and was told; muting; what happened."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.api import die
from support.evaluators import Host, rules
from support.pages import Node, PageSite, tree

from jobd import Jobd
from jobd.core.alerts.kinds import KINDS
from jobd.web.pages.page import Ask

OURS = rules("dead", "no_workers", "redis_down")


@pytest.fixture
def site(redis_url: str, tmp_path: Path) -> PageSite:
    return PageSite(redis_url, tmp_path, rules=OURS)


def rule(site: PageSite, name: str, who: str = "viewer") -> Node:
    return tree(site.get("/alerts", who)).by_id(f"rule-{name}")


def fire(site: PageSite, url: str, *kinds: str) -> Host:
    die(Jobd(url).queue("mail"), 2)
    host = Host(site.client, *(kinds or ("dead", "no_workers")))
    host.look()
    return host


def test_without_rules_it_is_said_how_to_have_one(redis_url: str, tmp_path: Path) -> None:
    text = tree(PageSite(redis_url, tmp_path).get("/alerts")).text
    assert "No rule yet." in text
    assert "[[alerts.sinks]]" in text
    assert "Nothing has happened yet." in text


def test_a_rule_says_in_words_what_it_watches_and_when_it_fires(site: PageSite) -> None:
    assert f"dead watches {KINDS['dead'].watches}. Fires above 0." in (rule(site, "dead").text)
    assert "Fires when it is so for 30s" in rule(site, "no_workers").text
    assert "Each host looks and tells for itself" in rule(site, "redis_down").text


@pytest.mark.parametrize(
    ("sinks", "said", "unsaid"),
    [
        (["ops", "night"], "Tells ops, night. Told last", "Logged"),
        ([], "Tells nobody, for there is no sink; the log has it. Logged last", "Told"),
        (None, "Told last", "Tells"),
    ],
)
def test_who_is_told_is_said_as_far_as_it_is_known(
    redis_url: str, tmp_path: Path, sinks: list[str] | None, said: str, unsaid: str
) -> None:
    """One that an application has mounted knows no sinks, and says nothing of them."""
    site = PageSite(redis_url, tmp_path, rules=rules("dead"), sinks=sinks)
    fire(site, redis_url, "dead")
    text = rule(site, "dead").text
    assert said in text
    assert unsaid not in text


def test_a_rule_that_nobody_looked_at_is_unknown(site: PageSite) -> None:
    assert "Nobody has looked yet" in rule(site, "dead").text


def test_what_fires_comes_first_with_what_it_sees_and_what_to_do(
    site: PageSite, redis_url: str
) -> None:
    fire(site, redis_url)
    page = tree(site.get("/alerts"))
    first = page.all("article")[0]
    assert first.attrs["id"] == "rule-dead"
    assert "firing mail 2 jobs died within 15m" in first.text
    assert "What to do: See why with jobd jobs list --state dead" in first.text
    assert page.by_id("rule-no_workers").text.startswith("no_workers inactive")


def test_a_rule_of_another_host_is_shown_as_one(site: PageSite, redis_url: str) -> None:
    fire(site, redis_url, "backlog")
    text = rule(site, "backlog").text
    assert "not configured here" in text
    assert f"backlog watches {KINDS['backlog'].watches}." in text
    assert "Fires" not in text


def test_where_no_daemon_belongs_to_it_the_shared_states_show_and_where_rules_are_is_said(
    redis_url: str,
) -> None:
    """As where an application has mounted it: what hosts share is all there is, and can be muted."""
    site = PageSite(redis_url, None)
    page = tree(site.get("/alerts"))
    assert "configured in jobd.toml on the hosts where jobd run is" in page.text
    assert "No host has looked at a rule." in page.text
    assert "[[alerts" not in page.text  # it could not be written here
    fire(site, redis_url, "dead")
    site.api.act("POST", "/alerts/mute", {"rule": "dead", "for": "1h"})
    page = tree(site.get("/alerts", "operator"))
    [shown] = page.all("article")
    assert shown.text.startswith("dead firing warning muted until")
    assert f"dead watches {KINDS['dead'].watches}." in shown.text
    assert "What to do:" in shown.text
    assert "not configured" not in shown.text
    [muted, fired] = [row.text for row in page.one("tbody").all("tr")]
    assert ("muted" in muted, "firing" in fired) == (True, True)
    assert tree(site.get("/")).by_id("totals").links["Alerts firing 1 of 1 rule"] == "/alerts"


def test_an_operator_mutes_and_unmutes(site: PageSite, redis_url: str) -> None:
    fire(site, redis_url)
    assert rule(site, "dead").acts == {}
    shown = rule(site, "dead", "operator")
    assert [node.text for node in shown.all("button")] == ["1h", "4h", "1d", "Mute"]
    form = shown.one("form", "data-act")
    assert shown.one("input").attrs["name"] == "for"
    body = json.loads(form.attrs["data-body"]) | {"for": "2h"}
    assert site.api.act("POST", "/alerts/mute", body)["muted_until"]
    shown = rule(site, "dead", "operator")
    assert "muted until" in shown.text
    [unmute] = [node for node in shown.all("button") if node.text == "Unmute"]
    site.api.act("POST", "/alerts/unmute", json.loads(unmute.attrs["data-body"]))
    assert "muted until" not in rule(site, "dead").text


def test_the_history_is_newest_first_and_bounded(site: PageSite, redis_url: str) -> None:
    fire(site, redis_url)
    for _ in range(15):
        site.api.act("POST", "/alerts/mute", {"rule": "dead", "for": "1h"})
        site.api.act("POST", "/alerts/unmute", {"rule": "dead"})
    page = tree(site.get("/alerts"))
    rows = page.all("tr")[1:]
    assert len(rows) == 25
    assert "unmuted dead" in rows[0].text
    assert "operator" in rows[0].text
    [more] = [link for text, link in page.links.items() if text.startswith("All that is kept")]
    rows = tree(site.get(more)).all("tr")[1:]
    assert len(rows) == 31
    assert "firing dead mail: 2 jobs died within 15m" in rows[-1].text


def test_a_rule_that_begins_to_fire_shows_so_by_itself(site: PageSite, redis_url: str) -> None:
    with site.watch("/alerts") as news:
        news.next("whole")
        fire(site, redis_url)
        news.until("whole", lambda content: "2 jobs died" in content["html"])


def test_while_redis_is_away_what_this_host_knows_is_shown(redis_url: str, tmp_path: Path) -> None:
    site = PageSite("redis://127.0.0.1:1/0", tmp_path, rules=OURS)
    model = site.pages._table["alerts"].read(site.api.house, Ask({}, {}, "viewer"))
    html = site.pages._renderer.render("alerts.html", model, root="", role="viewer")
    assert "Redis cannot be asked" in html
    assert "Nobody can look now." in html
