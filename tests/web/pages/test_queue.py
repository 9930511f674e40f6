"""The page of a queue: what it shows, what may be done and by whom."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.api import HOSTILE, NAMESPACE, die, ended, furnish
from support.pages import PageSite, tree

from jobd import Jobd
from jobd.broker import hosts
from jobd.broker.store import store_ms
from jobd.core.portrait import Daemon, QueueView, Worker


@pytest.fixture
def site(redis_url: str, tmp_path: Path) -> PageSite:
    return PageSite(redis_url, tmp_path)


@pytest.fixture
def app(redis_url: str) -> Jobd:
    return Jobd(redis_url)


def test_a_queue_that_is_not_known_is_a_page_that_says_so(site: PageSite) -> None:
    answer = site.ask("/queues/nowhere")
    assert answer.status_code == 404
    assert "queue 'nowhere': not known" in tree(answer.text).text


def test_each_state_leads_to_its_jobs(site: PageSite, app: Jobd) -> None:
    app.queue("q").add("x")
    links = tree(site.get("/queues/q")).by_id("totals").links
    assert links["Waiting 1"] == "/queues/q/jobs?state=waiting"
    assert links["Dead 0"] == "/queues/q/jobs?state=dead"


def test_a_viewer_has_no_buttons_and_an_operator_has_them(site: PageSite, app: Jobd) -> None:
    die(app.queue("q"), 1)
    assert tree(site.get("/queues/q", "viewer")).acts == {}
    page = tree(site.get("/queues/q", "operator"))
    assert page.by_id("hold").acts == {"Pause": "POST /api/v1/queues/q/pause"}
    assert page.by_id("task-work").acts == {"Pause": "POST /api/v1/queues/q/pause"}
    purge = page.one("button", data_path="/api/v1/operations")
    assert (purge.attrs["data-typed"], purge.attrs["data-go"]) == ("q", "/operations/{id}")
    assert purge.attrs["data-bulk"] == "all"  # it is counted first
    assert json.loads(purge.attrs["data-body"]) == {"verb": "purge", "queue": "q", "confirm": "q"}


def test_what_a_purge_sends_is_an_operation_that_empties_the_queue(
    site: PageSite, app: Jobd
) -> None:
    app.queue("q").add("x")
    purge = tree(site.get("/queues/q", "operator")).one("button", data_path="/api/v1/operations")
    operation = site.api.act("POST", "/operations", json.loads(purge.attrs["data-body"]))
    assert ended(site.api, operation)["counts"] == {"purged": 1}
    assert "Waiting 0" in tree(site.get("/queues/q")).by_id("totals").text


def test_a_pause_and_why_show_by_themselves_and_it_can_be_resumed(
    site: PageSite, app: Jobd
) -> None:
    app.queue("q").add("x")
    with site.watch("/queues/q", "operator") as news:
        assert "Nothing but that nobody serves it" in news.next("whole")["html"]
        site.api.act("POST", "/queues/q/pause", {"why": "<b>the mailer</b> is down"})
        parts = news.until("parts", lambda it: "flow" in it["parts"])["parts"]
    assert "“<b>the mailer</b> is down”" in tree(parts["flow"]).text
    assert tree(parts["hold"]).acts == {"Resume": "POST /api/v1/queues/q/resume"}
    assert "paused" in tree(site.get("/")).by_id("queue-q").text


def test_one_task_is_paused_and_resumed_by_its_name(site: PageSite, app: Jobd) -> None:
    die(app.queue("q"), 2)
    button = tree(site.get("/queues/q", "operator")).by_id("task-work").one("button")
    path = button.attrs["data-path"].removeprefix("/api/v1")
    site.api.act("POST", path, json.loads(button.attrs["data-body"]))
    row = tree(site.get("/queues/q", "operator")).by_id("task-work")
    assert row.acts == {"Resume": "POST /api/v1/queues/q/resume"}
    assert json.loads(row.one("button").attrs["data-body"]) == {"task": "work"}
    assert "Tasks paused: work." in tree(site.get("/queues/q")).by_id("flow").text


def test_a_rate_limit_says_how_much_of_it_is_used(site: PageSite, app: Jobd) -> None:
    queue = app.queue("q")
    queue.add("x")
    site.client.hset("jobd:{q}:meta", mapping={"rate_max": 100, "rate_ms": 60_000, "max_active": 7})
    flow = tree(site.get("/queues/q")).by_id("flow").text
    assert "0 of 100 starts used, in 1m over all hosts." in flow
    assert "0 of at most 7 jobs run" in flow


def test_workers_and_schedules_of_the_queue_and_of_no_other_are_shown(
    site: PageSite, app: Jobd
) -> None:
    def worker(slot: str, **more: Any) -> Worker:
        queue = slot.partition(".")[0]
        return Worker(
            slot=slot, queue=queue, phase="busy", pid=4, incarnation=None, restarts=0,
            last_exit=None, **more,
        )  # fmt: skip

    said = Daemon(
        running=True, stopping=False, pid=7, started_at=1.0, up_for=1.0, generation=1,
        last_error=None, helpers={}, host="web1", jobd="1.2.3",
        workers=[worker("q.1", job="j-1", task="work", running=1, running_for=5.0), worker("r.1")],
        queues={"q": QueueView(wanted=3, gave_up=True, useless=9)},
    )  # fmt: skip
    app.queue("q").schedules.put("nightly", "work", cron="0 3 * * *")
    hosts.say(site.client, NAMESPACE, "h1", said, wall_ms=store_ms(site.client))
    page = tree(site.get("/queues/q"))
    assert page.by_id("worker-h1-q.1--4").links["work"] == "/queues/q/jobs/j-1"
    assert page.all(id="worker-h1-r.1--4") == []
    assert "(9 in a row)" in page.by_id("flow").text
    assert page.by_id("schedule-nightly").links == {"nightly": "/queues/q/schedules/nightly"}


def test_the_chart_and_its_table_say_the_same(site: PageSite, app: Jobd) -> None:
    app.queue("q").add("x")
    minute = store_ms(site.client) // 60_000
    site.client.hset(f"jobd:{{q}}:minute:{minute - 7}", mapping={"completed": 12, "failed": 3})
    page = tree(site.get("/queues/q"))
    assert "completed 12 failed 3" in page.by_id("hour").text
    rows = [row.text.split()[-2:] for row in page.by_id("minutes").all("tr")[1:]]
    assert [at for at, row in enumerate(rows, 1) if row != ["0", "0"]] in ([7], [8])
    assert ["12", "3"] in rows


def test_whatever_a_stranger_wrote_is_text(site: PageSite) -> None:
    furnish(site.client)
    keys = "jobd:{q}:"
    for text in HOSTILE:
        site.client.hset(f"{keys}meta", mapping={"paused": 1, "paused_why": text})
        site.client.hset(f"{keys}off", text, 1)
        html = site.get("/queues/q", "operator")
        assert "<script>alert" not in html
        site.get("/")


def test_what_never_ran_is_no_failed_run_and_spans_say_how_well_they_are_known(
    site: PageSite, app: Jobd
) -> None:
    """Chart, rate and tasks count the same."""
    app.queue("q").add("x")
    minute = store_ms(site.client) // 60_000
    counts = {"completed": 6, "crashed": 2, "lost": 1, "failed": 1, "dead": 3, "unrun": 3}
    site.client.hset(f"jobd:{{q}}:minute:{minute}", mapping=counts)
    tally = {f"{word}|work": n for word, n in counts.items()}
    tally |= {"run|work|9": 10, "run_us|work": 3_000_000, "parked|?": 9}
    site.client.hset("jobd:{q}:tally", mapping=tally)
    page = tree(site.get("/queues/q"))
    assert "completed 6 failed 4" in page.by_id("hour").text
    assert "Errors 40 %" in page.by_id("pace").text
    assert "Run p50 / p95 ~360 ms / ~490 ms" in page.by_id("pace").text
    row = page.by_id("task-work").text
    assert row.startswith("work 6 4 3 0 40 %")
    assert "~360 ms / ~490 ms mean 300 ms" in row
    assert "failed 1" in row
    assert "crashed 2" in row
    assert "set aside, times 9" in page.text


def test_jobs_whose_task_nobody_knows_hold_a_queue_back(site: PageSite, app: Jobd) -> None:
    """On its page, and on the overview as long as workers meet them."""
    queue = app.queue("q")
    jobs = [queue.add("tpyo", delay="15s").id for _ in range(3)]
    queue.add("work", delay="10s")
    for job in jobs:
        error = "no worker knows the task 'tpyo'; deploy the code that declares it"
        site.client.hset(f"jobd:{{q}}:job:{job}", mapping={"error": error, "parked": 1})
    page = tree(site.get("/queues/q"))
    assert "at least 3 jobs of tpyo wait for a worker that knows it" in page.by_id("flow").text
    assert page.by_id("flow").links["See them"] == "/queues/q/jobs?state=delayed&task=tpyo"
    assert "no worker knows tpyo" in page.by_id("needs").text
    assert "Nothing: no pause" not in page.by_id("flow").text
    assert "no worker knows" not in tree(site.get("/")).by_id("needs").text
    minute = store_ms(site.client) // 60_000
    site.client.hset(f"jobd:{{q}}:minute:{minute}", mapping={"parked": 3})
    for job in jobs:  # they are due, and stand in line again
        site.client.zrem("jobd:{q}:delayed", job)
    assert "set jobs aside" in tree(site.get("/queues/q")).by_id("flow").text
    assert "no worker knows tasks of q" in tree(site.get("/")).by_id("needs").text


def test_an_empty_chart_has_an_axis_that_counts(site: PageSite, app: Jobd) -> None:
    app.queue("q").add("x")
    axis = tree(site.get("/queues/q")).by_id("hour").one("div", class_="y")
    assert axis.text == "2 1 0"
