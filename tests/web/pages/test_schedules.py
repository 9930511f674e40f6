"""Schedules: when they fire, what became of it, what stands out, who may act."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.api import HOSTILE, NAMESPACE
from support.pages import PageSite, tree

from jobd import Jobd
from jobd.broker.keys import QueueKeys
from jobd.broker.new_job import NewJob
from jobd.broker.store import Store, register_queues, store_ms
from jobd.core.schedule import job_id
from jobd.web.pages.schedules import MOST_SHOWN

KEYS = QueueKeys(NAMESPACE, "mail")
DAY = 86_400_000
ONE = "/queues/mail/schedules/digest"


@pytest.fixture
def site(redis_url: str, tmp_path: Path) -> PageSite:
    return PageSite(redis_url, tmp_path)


@pytest.fixture
def app(redis_url: str) -> Jobd:
    app = Jobd(redis_url)
    mail = app.queue("mail")
    mail.schedules.put(
        "digest", task="send", args={"to": "all", "api_token": "s3cret"}, cron="0 9 * * 1-5",
        tz="Europe/Berlin", missed="latest",
    )  # fmt: skip
    mail.schedules.put("beat", task="beat", every="30m")
    return app


def test_a_namespace_without_schedules_says_how_one_comes_to_be(site: PageSite) -> None:
    text = tree(site.get("/schedules")).text
    assert "No schedule yet." in text
    assert 'reports.cron("0 9 * * *", tz="Europe/Berlin")' in text
    assert "[[schedules]]" in text


def test_a_schedule_is_a_row_with_its_next_five_runs(site: PageSite, app: Jobd) -> None:
    page = tree(site.get("/schedules"))
    row, beat = page.by_id("schedule-mail-digest"), page.by_id("schedule-mail-beat")
    for said in (
        "digest",
        "send",
        "0 9 * * 1-5",
        "Europe/Berlin",
        "Monday to Friday at 09:00",
        "API",
    ):
        assert said in row.text
    assert "never yet" in row.text
    assert "every 30m" in beat.text
    times = [item.one("time").attrs["datetime"] for item in beat.all("li")]
    assert len(times) == 5
    assert times[0] == beat.one("summary").one("time").attrs["datetime"]
    assert page.all("", class_="problem") == []
    assert row.links["digest"] == ONE


def test_the_outcome_of_the_last_time_is_shown_and_leads_to_its_job(
    site: PageSite, app: Jobd
) -> None:
    now = store_ms(site.client)
    job = app.queue("mail").add("send", {}).id
    site.client.hset(KEYS.schedule_prefix + "digest", mapping={"last_job": job, "last_at": now})
    site.client.hset(KEYS.schedule_prefix + "beat", mapping={"last_job": "gone", "last_at": now})
    page = tree(site.get("/schedules"))
    row = page.by_id("schedule-mail-digest")
    assert row.links["waiting"] == f"/queues/mail/jobs/{job}"
    assert "job no longer kept" in page.by_id("schedule-mail-beat").text
    app.queue("mail").job(job).cancel()
    assert "cancelled" in site.parts("/schedules")["schedule-mail-digest"]


def test_what_does_not_fire_stands_out(site: PageSite, app: Jobd) -> None:
    now = store_ms(site.client)
    mail = app.queue("mail")
    for name in ("forsaken", "unknown", "late", "paused"):
        mail.schedules.put(name, task="t", every="1h")
    site.client.hset(
        KEYS.schedule_prefix + "forsaken",
        mapping={"origin": "declared", "declared_at": now - 700_000},
    )
    site.client.hset(KEYS.schedule_prefix + "unknown", mapping={"every": "?", "cron": "61 * * * *"})
    site.client.zadd(
        KEYS.schedules, {"late": now - 60_000, "beat": now - 5_000, "paused": now - 60_000}
    )
    mail.schedules.pause("paused")
    page = tree(site.get("/schedules"))
    standing = page.by_id("standing").text
    assert "forsaken of mail declared by no host for ten minutes" in standing
    assert "unknown of mail its time or its zone is not known" in standing
    assert "late of mail was due" in standing
    assert "6 schedules, 1 paused, 3 in trouble" in standing
    assert "overdue" in page.by_id("schedule-mail-late").text
    assert "overdue" not in page.by_id("schedule-mail-beat").text
    assert "paused" in page.by_id("schedule-mail-paused").text


def test_an_operator_runs_pauses_and_resumes_and_a_viewer_does_not(
    site: PageSite, app: Jobd
) -> None:
    row = tree(site.get("/schedules", "operator")).by_id("schedule-mail-digest")
    api = f"/api/v1{ONE}"
    assert row.acts == {"Run now": f"POST {api}/run", "Pause": f"POST {api}/pause"}
    assert tree(site.get("/schedules")).one("main").acts == {}
    site.api.act("POST", f"{ONE}/pause")
    assert tree(site.get(ONE, "operator")).by_id("top").acts == {
        "Run now": f"POST {api}/run", "Resume": f"POST {api}/resume",
    }  # fmt: skip
    assert tree(site.get(ONE)).one("main").acts == {}


def test_a_pause_shows_by_itself_and_alone(site: PageSite, app: Jobd) -> None:
    with site.watch("/schedules") as news:
        news.next("whole")
        site.api.act("POST", f"{ONE}/pause")
        content = news.next("parts")
    assert set(content["parts"]) == {"schedule-mail-digest", "standing"}


def test_the_schedules_of_one_queue(site: PageSite, app: Jobd) -> None:
    app.queue("other").schedules.put("else", task="t", every="1h")
    page = tree(site.get("/schedules?queue=other"))
    assert len(page.all("th", scope="row")) == 1
    assert page.one("option", "selected").text == "other"
    register_queues(site.client, NAMESPACE, ["bare"])
    assert "No schedule on this queue yet." in tree(site.get("/schedules?queue=bare")).text
    assert site.ask("/schedules?queue=none").status_code == 404


def test_one_schedule_has_its_arguments_masked_and_its_runs_in_its_zone(
    site: PageSite, app: Jobd
) -> None:
    page = tree(site.get(ONE))
    text = page.text
    assert "s3cret" not in site.get(ONE)
    assert '"to": "all"' in text
    assert "of what is missed the last is made up for" in text
    assert "jobd schedules preview digest --queue mail" in text
    rows = page.by_id("next").one("tbody").all("tr")
    assert len(rows) == 10
    assert all("09:00:00 CE" in row.text for row in rows)


def test_recent_runs_are_those_whose_jobs_are_kept(site: PageSite, app: Jobd) -> None:
    slot = store_ms(site.client) // 1_800_000 * 1_800_000
    site.client.hset(KEYS.schedule_prefix + "beat", mapping={"last_slot": slot, "last_at": slot})
    path = "/queues/mail/schedules/beat"
    assert "No job of its last times is kept." in tree(site.get(path)).text
    kept = [job_id("beat", at) for at in (slot, slot - 3_600_000)]
    Store(site.client, NAMESPACE, "mail").add([NewJob(job, "beat", b"{}") for job in kept])
    links = [link.attrs["href"] for link in tree(site.get(path)).by_id("recent").all("a")]
    assert links == [f"/queues/mail/jobs/{job.replace(':', '%3A')}" for job in kept]


def test_what_is_not_there_is_a_page_that_says_so(site: PageSite, app: Jobd) -> None:
    answer = site.ask("/queues/mail/schedules/none")
    assert answer.status_code == 404
    assert "schedule 'none'" in tree(answer.text).text


def test_of_very_many_some_are_shown_those_in_trouble_first(site: PageSite, app: Jobd) -> None:
    now = store_ms(site.client)
    pipe = site.client.pipeline()
    for n in range(MOST_SHOWN + 50):
        pipe.zadd(KEYS.schedules, {f"s{n:04}": now + DAY})
        pipe.hset(KEYS.schedule_prefix + f"s{n:04}", mapping={"task": "t", "every": "60000"})
    pipe.zadd(KEYS.schedules, {f"s{MOST_SHOWN + 49:04}": now - DAY})
    pipe.execute()
    page = tree(site.get("/schedules"))
    assert len(page.all("th", scope="row")) == MOST_SHOWN
    assert "overdue" in page.all("th", scope="row")[0].text
    assert f"{MOST_SHOWN + 52} schedules, 1 in trouble; {MOST_SHOWN} are shown" in page.text


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_stranger_wrote_of_a_schedule_is_text(site: PageSite, app: Jobd, text: str) -> None:
    fields = ("task", "cron", "tz", "missed", "origin", "last_job", "args", "options")
    site.client.hset(KEYS.schedule_prefix + "digest", mapping=dict.fromkeys(fields, text.encode()))
    for number in ("1e300", "-1e300", "nan", text):
        numbers = ("every", "expires", "priority", "last_slot", "last_at", "fired", "declared_at")
        record = KEYS.schedule_prefix + "beat"
        site.client.hset(record, mapping=dict.fromkeys(numbers, number.encode()))
        site.client.zadd(KEYS.schedules, {"digest": 1e300, "beat": -1e300})
        for path in ("/schedules", ONE, "/queues/mail/schedules/beat"):
            assert len(tree(site.get(path, "operator")).by_id("main").all("script")) == 0
