"""The overview: what it shows of queues, and to whom."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.api import NAMESPACE, die
from support.evaluators import Host, rules
from support.pages import PageSite, tree

from jobd import Jobd
from jobd.broker import hosts
from jobd.broker.alerts import AlertStore
from jobd.broker.store import store_ms
from jobd.core.portrait import Daemon, Worker


@pytest.fixture
def site(redis_url: str, tmp_path: Path) -> PageSite:
    return PageSite(redis_url, tmp_path)


@pytest.fixture
def app(redis_url: str) -> Jobd:
    return Jobd(redis_url)


def test_a_namespace_without_queues_says_how_one_comes_to_be(site: PageSite) -> None:
    assert "No queue yet." in tree(site.get("/")).text


def test_a_queue_is_a_row_and_its_counts_move_by_themselves(site: PageSite, app: Jobd) -> None:
    app.queue("mail").add("x")
    with site.watch("/") as news:
        assert 'id="queue-mail"' in news.next("whole")["html"]
        app.queue("mail").add("x")
        content = news.until("parts", lambda content: "queue-mail" in content["parts"])
    assert ">2<" in content["parts"]["queue-mail"]
    assert ">2<" in site.parts("/")["queue-mail"]


def test_jobs_that_nobody_serves_stand_out(site: PageSite, app: Jobd) -> None:
    app.queue("mail").add("x")
    app.queue("later").add("x", delay="1h")
    page = tree(site.get("/"))
    needs = page.by_id("needs")
    assert "mail has jobs that nobody serves" in needs.text
    assert "later" not in needs.text
    assert page.by_id("queue-mail").attrs["class"] == "needy"
    assert "nobody" in page.by_id("queue-mail").text
    assert "class" not in page.by_id("queue-later").attrs


def test_what_fires_is_shown_with_what_it_saw(redis_url: str, tmp_path: Path) -> None:
    site = PageSite(redis_url, tmp_path, rules=rules("dead"))
    die(Jobd(redis_url).queue("mail"), 2)
    assert "dead" not in tree(site.get("/")).by_id("needs").text
    Host(site.client, "dead").look()
    page = tree(site.get("/"))
    assert "dead fires: mail" in page.by_id("needs").text
    assert page.by_id("needs").links == {"See alerts": "/alerts"}
    assert "Alerts firing 1 of 1 rule" in page.by_id("totals").text


def test_a_redis_that_was_flushed_is_no_quiet_one(site: PageSite) -> None:
    """For an hour after somebody has noticed."""
    assert "flushed" not in tree(site.get("/")).by_id("needs").text
    now = store_ms(site.client)
    AlertStore(site.client, NAMESPACE).note_reset("an epoch", now)
    assert "Redis was flushed" in tree(site.get("/")).by_id("needs").text
    AlertStore(site.client, NAMESPACE).note_reset("an epoch", now - 3_700_000, again=True)
    assert "flushed" not in tree(site.get("/")).by_id("needs").text


def test_a_host_that_is_silent_is_seen_to_be(site: PageSite) -> None:
    said = Daemon(
        running=True, stopping=False, pid=7, started_at=1.0, up_for=1.0, generation=1,
        last_error=None, helpers={}, host="web1", jobd="1.2.3", workers=[],
    )  # fmt: skip
    hosts.say(site.client, NAMESPACE, "h1", said, wall_ms=store_ms(site.client))
    assert "web1 running" in tree(site.get("/")).by_id("host-h1").text
    field = site.client.hget(f"{NAMESPACE}:hosts", "h1").partition(b" ")[2]
    site.client.hset(f"{NAMESPACE}:hosts", "h1", b"%d " % (store_ms(site.client) - 60_000) + field)
    assert "web1 silent heard of" in tree(site.get("/")).by_id("host-h1").text


def test_nothing_is_sent_while_nothing_happens(site: PageSite, app: Jobd) -> None:
    """But for what is known of the last minutes, a minute's end, and a Redis that was away."""
    die(app.queue("mail"), 2)
    app.queue("mail").add("x", delay="1h")
    hub = site.pages.hub
    for path in ("/", "/queues/mail"):
        with site.watch(path, frame=True) as news:
            news.next("whole")
            [topic] = hub._watches
            news.stands_still(lambda at=topic: hub.looked_at(at), path)


def test_nobody_sees_it_who_is_not_logged_in(site: PageSite) -> None:
    answer = site.ask("/", who=None)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/")


def _said(name: str, place: str) -> Daemon:
    worker = Worker(
        slot="mail.1", queue="mail", phase="busy", pid=4, incarnation="n.1", restarts=0,
        last_exit=None, running=1, job="j", memory=1 << 20,
    )  # fmt: skip
    return Daemon(
        running=True, stopping=False, pid=7, started_at=1.0, up_for=1.0, generation=1,
        last_error=None, helpers={}, host=name, jobd="1.2.3", workers=[worker], runtime_dir=place,
    )  # fmt: skip


def test_two_daemons_of_one_machine_are_told_apart(site: PageSite) -> None:
    """By where they run; each leads to its own page."""
    for key, name, place in (("h1", "vm", "/run/a"), ("h2", "vm", "/run/b"), ("h3", "db", "/c")):
        hosts.say(
            site.client, NAMESPACE, key, _said(name, place), wall_ms=store_ms(site.client)
        )  # fmt: skip
    page = tree(site.get("/"))
    assert page.by_id("host-h1").text.startswith("vm /run/a running")
    assert page.by_id("host-h2").text.startswith("vm /run/b running")
    assert page.by_id("host-h2").links == {"vm": "/workers/h2"}
    assert page.by_id("host-h3").text.startswith("db running 1 1 1")


def test_of_a_silent_host_nothing_is_counted_and_it_needs_somebody(site: PageSite) -> None:
    """On the overview and among the workers alike: what it said is of the past."""
    hosts.say(site.client, NAMESPACE, "h1", _said("web1", "/r"), wall_ms=store_ms(site.client))
    field = site.client.hget(f"{NAMESPACE}:hosts", "h1").partition(b" ")[2]
    site.client.hset(f"{NAMESPACE}:hosts", "h1", b"%d " % (store_ms(site.client) - 60_000) + field)
    page = tree(site.get("/"))
    assert "silent: web1" in page.by_id("needs").text
    assert page.by_id("needs").links["See the host"] == "/workers/h1"
    assert page.by_id("host-h1").text.endswith("— — —")
    fleet = tree(site.get("/workers")).by_id("fleet").text
    assert "1 silent, and not counted" in fleet
    assert "Workers 0 Busy 0" in fleet


def test_active_jobs_are_no_share_of_workers(site: PageSite, app: Jobd) -> None:
    """One worker may run many."""
    app.queue("mail").add("x")
    assert "Active 0 by 0 workers" in tree(site.get("/")).by_id("totals").text
