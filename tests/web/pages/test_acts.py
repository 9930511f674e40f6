"""Forms that act without scripts: they do what the API does, for the same people, and no more than was meant."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.api import NAMESPACE, die
from support.logins import PASSWORDS
from support.pages import Node, PageSite, check, tree

from jobd import Jobd, Queue
from jobd.core.web_events import WebAudit
from jobd.web.api.table import TABLE
from jobd.web.pages.plain import PLAIN, SAID, plain_path, sign, word_of

ROOT = "/ops/jobs"


@pytest.fixture
def site(redis_url: str, tmp_path: Path) -> PageSite:
    return PageSite(redis_url, tmp_path, root=ROOT)


@pytest.fixture
def q(redis_url: str) -> Queue:
    return Jobd(redis_url, namespace=NAMESPACE).queue("q")


class Plain:
    """A browser without scripts, logged in as one of them; None: as nobody."""

    def __init__(self, site: PageSite, user: str | None) -> None:
        self._site = site
        self._cookies: Mapping[str, str] = {}
        if user is not None:
            given = {"user": user, "password": PASSWORDS[user]}
            self._cookies = dict(self.send(f"{ROOT}/login", given).cookies)
            assert self._cookies

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._site.app, root_path=ROOT)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://127.0.0.1", cookies=dict(self._cookies)
            ) as them:
                return await them.request(method, path, **more)

        return asyncio.run(send())

    def send(
        self, path: str, given: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        sent = {"origin": "http://127.0.0.1", "accept": "text/html"} | dict(headers or {})
        return self.ask("POST", path, data=dict(given), headers=sent)

    def look(self, path: str) -> Node:
        answer = self.ask("GET", path, headers={"accept": "text/html"})
        assert answer.status_code == 200, answer.text
        page = tree(answer.text)
        check(page)
        return page

    def press(self, page: Node, label: str, **typed: str) -> httpx.Response:
        """Send what a browser sends by this button of the frame's form, with what was typed into its fields."""
        [button] = [each for each in page.all("button", "formaction") if each.text == label]
        assert button.attrs["form"] == "acts"
        given = {
            each.attrs["name"]: each.attrs["value"] for each in page.by_id("acts").all("input")
        }
        own = {button.attrs["name"]: button.attrs["value"]} if "name" in button.attrs else {}
        fields = {each.attrs["name"]: "" for each in page.all("input", "name", form="acts")}
        assert typed.keys() <= fields.keys()
        return self.send(button.attrs["formaction"], given | fields | typed | own)

    def confirm(self, answer: httpx.Response) -> httpx.Response:
        """Say yes on the page that asks."""
        assert answer.status_code == 200
        page = tree(answer.text)
        check(page)
        [form] = page.all("form")
        assert "action" not in form.attrs  # to where it was sent
        given = {each.attrs["name"]: each.attrs["value"] for each in form.all("input")}
        return self.send(answer.request.url.raw_path.decode(), given)

    def follow(self, answer: httpx.Response) -> Node:
        """Go where an action leads; the page says that it was done."""
        assert answer.status_code == 303, tree(answer.text).text
        return self.look(answer.headers["location"])


def told(site: PageSite) -> list[WebAudit]:
    return [each for each in site.told if isinstance(each, WebAudit) and each.what != "login"]


def test_a_dead_job_is_retried_and_the_page_says_so_once(site: PageSite, q: Queue) -> None:
    [job] = die(q, 1)
    ops, at = Plain(site, "ops"), f"{ROOT}/queues/q/jobs/{job}"
    answer = ops.press(ops.look(f"{at}?logs=all"), "Retry")
    assert q.job(job).state() == "waiting"
    assert answer.headers["location"].startswith(f"{at}?logs=all&done=retry_job.")
    page = ops.follow(answer)
    assert page.one("p", class_="banner good").text == SAID["retry_job"].done
    # What comes next is said in its stead.
    answer = ops.confirm(ops.press(page, "Cancel"))
    assert answer.headers["location"].count("done=") == 1
    assert ops.follow(answer).one("p", class_="banner good").text == SAID["cancel_job"].done
    [first, second] = told(site)
    assert (first.who, first.via, first.what, first.outcome) == (
        "ops",
        "session",
        "retry_job",
        "done",
    )
    assert first.on == {"queue": "q", "job": job}
    assert second.what == "cancel_job"


def test_what_destroys_is_asked_about_and_not_done_before(site: PageSite, q: Queue) -> None:
    [job] = die(q, 1)
    ops, at = Plain(site, "ops"), f"{ROOT}/queues/q/jobs/{job}"
    asked = ops.press(ops.look(at), "Delete")
    page = tree(asked.text)
    assert job in page.text
    assert "cannot be taken back" in page.text
    assert page.links == {"Leave it": at}
    assert q.job(job).state() == "dead"
    assert told(site) == []
    after = ops.follow(ops.confirm(asked))
    assert q.job(job).state() is None
    assert after.one("h1").text == "Jobs of q"  # its own page is gone
    assert [each.what for each in told(site)] == ["delete_job"]


def test_a_queue_and_a_task_are_paused_with_a_reason_and_go_on(site: PageSite, q: Queue) -> None:
    die(q, 1)
    ops, at = Plain(site, "ops"), f"{ROOT}/queues/q"
    page = ops.look(at)
    [of_queue, of_task] = [
        each for each in page.all("button", "formaction") if each.text == "Pause"
    ]
    assert of_queue is page.by_id("hold").all("button")[0]  # so Enter in the field means it
    del of_task.attrs["formaction"]
    page = ops.follow(ops.press(page, "Pause", why="<the mailer> is down"))
    assert q.flow().paused_why == "<the mailer> is down"
    ops.follow(ops.press(page, "Resume"))
    assert not q.flow().is_paused
    given = {"csrf": page.by_id("acts").all("input")[0].attrs["value"], "back": "/queues/q"}
    ops.follow(ops.send(f"{ROOT}/act/post/queues/q/pause", given | {"body": '{"task": "work"}'}))
    assert q.flow().paused_tasks == ("work",)


def test_a_schedule_runs_pauses_and_goes_on(site: PageSite, q: Queue) -> None:
    q.schedules.put("nightly", "work", cron="0 3 * * *", tz="UTC")
    ops = Plain(site, "ops")
    page = ops.look(f"{ROOT}/schedules")
    page = ops.follow(ops.press(page, "Run now"))
    assert "Waiting 1" in ops.look(f"{ROOT}/queues/q").by_id("totals").text
    page = ops.follow(ops.press(page, "Pause"))
    assert q.schedules.get("nightly").paused
    ops.follow(ops.press(page, "Resume"))
    assert not q.schedules.get("nightly").paused


def test_what_cannot_be_done_is_a_page_that_leads_back(site: PageSite, q: Queue) -> None:
    [job] = die(q, 1)
    ops, at = Plain(site, "ops"), f"{ROOT}/queues/q/jobs/{job}"
    page = ops.look(at)
    ops.press(page, "Retry")
    answer = ops.press(page, "Retry")
    assert answer.status_code == 409
    said = tree(answer.text)
    check(said)
    assert "it is waiting; nothing was changed" in said.text
    assert said.links["Back"] == at
    assert "refresh" not in answer.text  # nothing is sent again by itself
    assert [each.outcome for each in told(site)] == ["done", "jobd.conflict"]


@pytest.mark.parametrize("endpoint", PLAIN, ids=lambda each: each.name)
def test_without_session_role_or_token_nothing_is_done(
    site: PageSite, q: Queue, endpoint: Any
) -> None:
    [job] = die(q, 1)
    names = {
        "queue": "q",
        "job": job,
        "schedule": "s",
        "host": "h",
        "slot": "q.1",
        "operation": "o",
    }
    path = f"{ROOT}/act/{endpoint.method.lower()}{endpoint.path.format_map(names)}"
    nobody, eva, ops = (Plain(site, user) for user in (None, "eva", "ops"))
    csrf = {user: _csrf(browser) for user, browser in (("eva", eva), ("ops", ops))}
    yes, keys = {"sure": "yes", "back": "/"}, sorted(_keys(site))
    assert nobody.send(path, yes | {"csrf": csrf["ops"]}).status_code == 401
    assert eva.send(path, yes | {"csrf": csrf["eva"]}).status_code == 403
    for given in ({}, {"csrf": ""}, {"csrf": csrf["eva"]}):
        assert ops.send(path, yes | given).status_code == 403
    elsewhere = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert ops.send(path, yes | {"csrf": csrf["ops"]}, elsewhere).status_code == 403
    assert ops.ask("GET", f"{path}?sure=yes&csrf={csrf['ops']}").status_code == 405
    as_json = {
        "content": json.dumps(yes | {"csrf": csrf["ops"]}),
        "headers": {"content-type": "application/json"},
    }
    assert ops.ask("POST", path, **as_json).status_code == 400
    assert (q.job(job).state(), q.flow().is_paused) == ("dead", False)
    assert sorted(_keys(site)) == keys
    refused = [each for each in told(site) if each.outcome != "done"]
    assert refused
    assert refused == told(site)


def _csrf(browser: Plain) -> str:
    return str(browser.ask("GET", f"{ROOT}/session").json()["csrf"])


def _keys(site: PageSite) -> list[str]:
    return [str(key) for key in site.client.scan_iter() if "session" not in str(key)]


@pytest.mark.parametrize(
    "back", ["https://evil.example/", "//evil.example", "/\\evil.example", "", "x"]
)
def test_it_leads_back_into_this_site_alone(site: PageSite, q: Queue, back: str) -> None:
    q.add("work")
    ops = Plain(site, "ops")
    answer = ops.send(f"{ROOT}/act/post/queues/q/pause", {"csrf": _csrf(ops), "back": back})
    assert answer.headers["location"].startswith(f"{ROOT}/?done=pause_queue.")


def test_no_one_elsewhere_writes_a_link_that_says_something_was_done(site: PageSite) -> None:
    ops = Plain(site, "ops")
    for forged in ("delete_job", "delete_job.", sign("delete_job", "another session's"), "é.é"):
        page = ops.ask("GET", f"{ROOT}/", params={"done": forged})
        assert page.status_code == 200
        assert "banner good" not in page.text
    assert word_of(sign("retry_job", "x"), "x") == SAID["retry_job"].done
    assert word_of(sign("made_up", "x"), "x") == ""


def test_fields_that_make_no_sense_are_refused(site: PageSite, q: Queue) -> None:
    q.add("work")
    ops = Plain(site, "ops")
    own = {"csrf": _csrf(ops)}
    for given in (
        {"body": "["},
        {"body": "[]"},
        {"body": '"x"'},
        {"odd": "x"},
        {"body": '{"task": 1}'},
        {"body": "[" * 9000},
    ):
        assert ops.send(f"{ROOT}/act/post/queues/q/pause", own | given).status_code == 400, given
    assert not q.flow().is_paused


def test_what_is_sent_by_forms_are_actions_there_are() -> None:
    assert {each.name for each in PLAIN} == SAID.keys()
    assert all(each.is_action for each in PLAIN)
    assert plain_path("/x", "POST", "/x/api/v1/queues/a/pause") == "/x/act/post/queues/a/pause"
    assert plain_path("", "DELETE", "/api/v1/queues/a/jobs/b") == "/act/delete/queues/a/jobs/b"
    for scripted in ("/api/v1/operations", "/api/v1/queues/a/jobs/b/reschedule", "#no-path/retry"):
        assert plain_path("", "POST", scripted) is None
    assert len(TABLE) > len(PLAIN)
