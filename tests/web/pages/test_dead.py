"""Dead letters: groups, what is done with one, and how little the live view asks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.api import HOSTILE, NAMESPACE, die, ended, furnish
from support.pages import Node, PageSite, tree

from jobd import Jobd
from jobd.broker.browse_groups import MOST_SAMPLED
from jobd.broker.keys import QueueKeys
from jobd.web.pages import dead
from jobd.web.pages.page import Ask, Live, Model
from jobd.web.pages.slowly import slowly

CARD = "CardError: card 4242 was declined"
SILENT = "TimeoutError: no answer"


@pytest.fixture
def site(redis_url: str, tmp_path: Path) -> PageSite:
    return PageSite(redis_url, tmp_path)


@pytest.fixture
def app(redis_url: str) -> Jobd:
    app = Jobd(redis_url)
    die(app.queue("mail"), 3, "charge", CARD)
    die(app.queue("mail"), 1, "sync", SILENT)
    return app


def groups(site: PageSite, path: str = "/dead", who: str = "viewer") -> list[Node]:
    return tree(site.get(path, who)).all("li", class_="card group")


def test_where_nothing_is_dead_it_is_said_what_would_be_here(site: PageSite) -> None:
    text = tree(site.get("/dead")).text
    assert "Nothing is dead." in text


def test_a_group_says_what_killed_its_jobs_and_leads_to_them(site: PageSite, app: Jobd) -> None:
    first, second = groups(site)
    assert CARD in first.text
    assert "3 75 %" in first.text
    assert "its attempts are used up" in first.text
    assert first.links["all of them"] == (
        "/queues/mail/jobs?state=dead&task=charge&like=CardError%3A+card+%23+was+declined&cause=failed"
    )
    assert first.links["newest job"].startswith("/queues/mail/jobs/")
    assert "1 25 %" in second.text


def test_one_queue_alone_is_asked_for_and_one_that_is_not_there_is_said(
    site: PageSite, app: Jobd
) -> None:
    app.queue("other").add("x")
    assert len(groups(site, "/dead?queue=mail")) == 2
    assert "Nothing is dead in this queue." in tree(site.get("/dead?queue=other")).text
    assert site.ask("/dead?queue=nope").status_code == 404


def test_an_operator_alone_has_buttons(site: PageSite, app: Jobd) -> None:
    assert [node.acts for node in groups(site)] == [{}, {}]
    assert list(groups(site, who="operator")[0].acts) == ["Retry all", "Delete all"]


@pytest.mark.parametrize(("label", "state"), [("Retry all", "waiting"), ("Delete all", None)])
def test_what_a_button_sends_concerns_its_group_alone(
    site: PageSite, app: Jobd, label: str, state: str | None
) -> None:
    [button] = [
        node for node in groups(site, who="operator")[0].all("button") if node.text == label
    ]
    assert button.attrs["data-of"] == (
        "of charge in queue mail, dead of failed with an error like “CardError: card # was declined”"
    )
    assert button.attrs["data-go"] == "/operations/{id}"
    body = json.loads(button.attrs["data-body"])
    ended(site.api, site.api.act("POST", "/operations", body))
    [left] = groups(site)
    assert SILENT in left.text
    counts = site.api.house.views().counts("mail")
    assert counts["dead"] == 1
    assert state is None or counts[state] == 3


def test_groups_that_differ_in_their_cause_alone_are_acted_on_one_by_one(
    site: PageSite, app: Jobd
) -> None:
    crashed = die(app.queue("mail"), 2, "charge", CARD)
    key = QueueKeys(NAMESPACE, "mail").job
    site.client.hset(key(crashed[0]), "cause", "poison")
    site.client.hdel(key(crashed[1]), "cause")
    for cause, count in (("poison", 1), ("?", 1), ("failed", 3)):
        [group] = [each for each in groups(site, who="operator") if f"charge {cause} " in each.text]
        listed = tree(site.get(group.links["all of them"]))
        assert len(listed.one("tbody").all("tr")) == count
        assert (
            f"charge in queue mail, dead of {cause} with" in group.all("button")[0].attrs["data-of"]
        )
        body = json.loads(group.all("button")[0].attrs["data-body"])
        assert ended(site.api, site.api.act("POST", "/operations", body))["counts"] == {
            "retried": count
        }
    assert SILENT in groups(site)[0].text


def test_a_group_whose_task_a_stranger_named_has_no_buttons(site: PageSite) -> None:
    furnish(site.client)
    for group in groups(site, who="operator"):
        assert group.acts == {}
        assert "act on its jobs one by one" in group.text
    assert any(HOSTILE[0] in group.text for group in groups(site))


def test_an_error_that_is_empty_is_a_group_that_can_be_named(
    site: PageSite, redis_url: str
) -> None:
    [job] = die(Jobd(redis_url).queue("mail"), 1, "charge", "x")
    site.client.hset(QueueKeys(NAMESPACE, "mail").job(job), "error", b"")
    [group] = groups(site, who="operator")
    assert "(no error is recorded)" in group.text
    die(Jobd(redis_url).queue("mail"), 2, "charge", "another")
    [all_of_them] = [each for each in group.all("a") if each.text == "all of them"]
    listed = tree(site.get(all_of_them.attrs["href"], "operator"))
    assert len(listed.one("tbody").all("tr")) == 1
    [field] = [each for each in listed.all("input") if each.attrs.get("name") == "like"]
    assert "data-empty" in field.attrs
    assert '"like": ""' in listed.all("button", "data-bulk")[-1].attrs["data-body"]
    body = json.loads(group.all("button")[0].attrs["data-body"])
    assert ended(site.api, site.api.act("POST", "/operations", body))["counts"] == {"retried": 1}


def test_of_very_many_the_newest_are_looked_at_and_that_is_said(site: PageSite, app: Jobd) -> None:
    for _ in range(MOST_SAMPLED // 250):
        die(app.queue("mail"), 250, "charge", CARD)
    page = tree(site.get("/dead", "operator"))
    assert "5,004 dead: the newest 5,000 were looked at" in page.text


def test_the_groups_change_by_themselves(app: Jobd, redis_url: str, tmp_path: Path) -> None:
    live = Live(slowly(dead.read, every=0.01), "dead.html")
    site = PageSite(redis_url, tmp_path, table=[dead.PAGE._replace(live=live)])
    with site.watch("/dead") as news:
        news.next("whole")
        die(app.queue("mail"), 2, "charge", CARD)
        news.until("parts", lambda content: ">5<" in str(content["parts"]))


def test_between_two_dear_reads_the_last_is_given_again(site: PageSite) -> None:
    asked: list[str] = []

    def read(_house: object, ask: Ask) -> Model:
        asked.append(ask.query["q"])
        return {"n": len(asked)}

    seldom, often = slowly(read, every=3600.0), slowly(read, every=0.0)
    for q in ("a", "b", "a", "b"):
        seldom(site.api.house, Ask({}, {"q": q}, "viewer"))
    assert asked == ["a", "b"]
    often(site.api.house, Ask({}, {"q": "a"}, "viewer"))
    often(site.api.house, Ask({}, {"q": "a"}, "viewer"))
    assert asked == ["a", "b", "a", "a"]
