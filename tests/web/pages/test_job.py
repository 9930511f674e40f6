"""One job's page: what is recorded of it, what happened, why it waits, what may be done; live."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.api import HOSTILE, NAMESPACE, die, furnish
from support.pages import Node, PageSite, tree

from jobd import Jobd
from jobd.broker import hosts
from jobd.broker.commands import Completed
from jobd.broker.keys import QueueKeys
from jobd.broker.store import store_ms
from jobd.cli.main import main
from jobd.core.masking import MASKED
from jobd.core.portrait import Daemon, Worker
from jobd.core.states import STATES
from jobd.web.pages.filters import mark, told, visible


@pytest.fixture
def site(redis_url: str, tmp_path: Path) -> PageSite:
    return PageSite(redis_url, tmp_path)


@pytest.fixture
def app(redis_url: str) -> Jobd:
    return Jobd(redis_url)


def _look(site: PageSite, job: str, who: str = "viewer", query: str = "") -> Node:
    return tree(site.get(f"/queues/q/jobs/{job}{query}", who))


def _put(site: PageSite, job: str, **fields: Any) -> None:
    """Write into a job's record, as its runs do."""
    written = {
        name.replace("_", "~", 1) if name.startswith("_") else name: value
        if isinstance(value, str | bytes | int)
        else json.dumps(value)
        for name, value in fields.items()
    }
    site.client.hset(QueueKeys(NAMESPACE, "q").job(job), mapping=written)


def _claimed(app: Jobd, job: str) -> Any:
    """Let a worker take the job; give the store it did so by, and the claim."""
    store = app.queue("q")._producer.store("q")
    store.join("w.1", 30_000)
    claim = store.claim("w.1", 30_000, limit=1, budget_us=10**9, costs=["work", 1])
    assert [each.id.decode() for each in claim.jobs] == [job]
    return store, claim


def test_a_job_that_waits_shows_its_data_and_why_it_waits(site: PageSite, app: Jobd) -> None:
    job = app.queue("q").add("work", {"user": 7}, group="g", meta={"trace": "t-1"}, delay="1h").id
    page = _look(site, job)
    assert page.one("h1").text == "work"
    assert '{ "user": 7 }' in page.text
    facts = page.by_id("job-facts")
    assert facts.links["g"] == "/queues/q/jobs?state=delayed&group=g"
    assert "t-1" in facts.text
    why = page.by_id("job-why")
    assert "it was asked to wait until" in why.text
    assert "no worker serves queue 'q'" in why.text
    assert "Starts: not before that has changed: no_workers" in why.text
    assert why.all("time", "datetime")  # in the zone of who looks
    assert [step.text.split()[0] for step in page.one("ol", class_="timeline").all("li")] == [
        "added", "due",
    ]  # fmt: skip


def test_the_history_tells_each_run_with_its_times_host_error_and_traceback(
    site: PageSite, app: Jobd
) -> None:
    [job] = die(app.queue("q"), 1, error="ValueError: second")
    failed = {"kind": "failed", "at": 1_700_000_060_000, "ran_ms": 2500, "worker": "q.1", "token": 1_700_000_050_000 * 1024,
              "host": "eva", "error": "ValueError: first", "traceback": "Traceback …\n  line 1"}  # fmt: skip
    crash = {"kind": "crash", "at": 1_700_000_090_000, "how": "SIGSEGV", "token": 1_700_000_080_000 * 1024, "among": 2}  # fmt: skip
    again = {"kind": "retried", "at": 1_700_000_095_000, "was": "dead", "failed": 1}
    _put(site, job, history=[failed, crash, again])
    added, first, second, retried, died = (
        _look(site, job).one("ol", class_="timeline").all("li", "id")
    )
    assert added.text.startswith("added")
    assert "Run 1 failed 2023-11-14 22:14:20 UTC" in first.text
    assert "began 2023-11-14 22:14:17 UTC ran for 2.5 s host eva worker q.1" in first.text
    assert "ValueError: first" in first.text
    assert first.one("details").one("pre").text == "Traceback … line 1"
    assert "Run 2 crashed its process" in second.text
    assert "claimed 2023-11-14 22:14:40 UTC how SIGSEGV among 2" in second.text
    assert "Run" not in retried.text
    assert "put back in line by hand" in retried.text
    assert "cause failed: its attempts are used up" in died.text


def test_a_run_that_ended_well_says_when_it_was_claimed_if_it_said_anything(
    site: PageSite, app: Jobd
) -> None:
    job = app.queue("q").add("work").id
    store, claim = _claimed(app, job)
    done = Completed(claim.jobs[0].id, claim.number, "work|1|2|3", b"7")
    assert store.settle("w.1", 30_000, completed=[done]) == []
    assert "Run 1 completed" in _look(site, job).by_id("step-now").text
    assert "claimed" not in _look(site, job).by_id("step-now").text
    _put(site, job, _progress=[1_700_000_000_000, 1_700_000_000_000 * 1024 + 5, 0.5, "half"])
    assert "claimed 2023-11-14 22:13:20 UTC" in _look(site, job).by_id("step-now").text


def test_a_run_that_ended_well_says_where_and_how_long_it_ran_if_it_left_a_line(
    site: PageSite, app: Jobd
) -> None:
    job = app.queue("q").add("work").id
    store, claim = _claimed(app, job)
    line = f"2500 {claim.number} q.1 <b>eva</b>".encode()
    done = Completed(claim.jobs[0].id, claim.number, "work|1|2|3", b"7", line)
    assert store.settle("w.1", 30_000, completed=[done]) == []
    step = _look(site, job).by_id("step-now")
    assert "Run 1 completed" in step.text
    assert "ran for 2.5 s host <b>eva</b> worker q.1" in step.text
    assert "not recorded" not in step.text


def test_it_goes_on_while_it_is_looked_at(site: PageSite, app: Jobd) -> None:
    job = app.queue("q").add("work").id
    path = f"/queues/q/jobs/{job}"
    with site.watch(path) as news:
        assert "waits for a worker" in news.next("whole")["html"]
        store, claim = _claimed(app, job)
        content = news.until("parts", lambda it: "job-head" in it["parts"])["parts"]
        assert "active" in content["job-head"]
        assert "runs" in content["step-now"]
        _put(site, job, _progress=[1_700_000_000_000, claim.number, 0.25, "row 1"])
        content = news.until("parts", lambda it: "job-why" in it["parts"])["parts"]
        assert 'value="0.25"' in content["job-why"]
        assert "row 1" in content["job-why"]
        done = Completed(claim.jobs[0].id, claim.number, "work|1|2|3", b'{"sum": 3}')
        assert store.settle("w.1", 30_000, completed=[done]) == []
        content = news.until("parts", lambda it: "job-result" in it["parts"])["parts"]
        assert "&#34;sum&#34;: 3" in content["job-result"]
        site.api.act("DELETE", f"/queues/q/jobs/{job}")
        news.until("gone", lambda _: True)
    assert site.ask(path).status_code == 404


def test_a_new_line_of_the_log_is_sent_with_few_others(site: PageSite, app: Jobd) -> None:
    job = app.queue("q").add("work", delay="1h").id
    _log(site, job, 310)
    page = _look(site, job)
    shown = [line.text for line in page.by_id("job-log").all("li")]
    assert (len(shown), shown[-1]) == (210, "2023-11-14 22:13:20 UTC line 309")
    assert "100 earlier lines are not shown" in page.by_id("job-log").text
    whole = _look(site, job, query="?logs=all")
    assert len(whole.by_id("job-log").all("li")) == 310
    with site.watch(f"/queues/q/jobs/{job}") as news:
        news.next("whole")
        _log(site, job, 311)
        content = news.next("parts")["parts"]
    assert list(content) == ["log-6"]
    assert len(tree(content["log-6"]).all("li")) == 11


def test_lines_that_are_not_kept_any_more_are_counted(site: PageSite, app: Jobd) -> None:
    job = app.queue("q").add("work", delay="1h").id
    _log(site, job, 3, dropped=1200)
    assert "The first 1,200 lines are not kept any more." in _look(site, job).by_id("job-log").text


def _log(site: PageSite, job: str, count: int, dropped: int = 0) -> None:
    lines = [json.dumps([1_700_000_000_000, 5, f"line {n}"]) for n in range(count)]
    _put(site, job, _log="\n".join(lines), _noted=f"5 1 {count} {count} {dropped}")


def test_secrets_are_masked(site: PageSite, app: Jobd) -> None:
    job = app.queue("q").add("work", {"password": "hunter2", "user": "eva"}, delay="1h").id
    _put(site, job, **{"_once:a": {"token": "hunter2"}})
    html = site.get(f"/queues/q/jobs/{job}", "operator")
    assert "hunter2" not in html
    assert html.count(MASKED) == 2


@pytest.mark.parametrize(
    ("state", "acts"),
    [
        ("waiting", {"Cancel": "POST cancel", "Move it": "POST reschedule"}),
        ("delayed", {"Cancel": "POST cancel", "Move it": "POST reschedule", "Run now": "POST run-now"}),
        ("active", {"Cancel": "POST cancel", "Cancel by force": "POST cancel"}),
        ("completed", {"Delete": "DELETE "}),
        ("dead", {"Delete": "DELETE ", "Retry": "POST retry"}),
        ("cancelled", {"Delete": "DELETE ", "Retry": "POST retry"}),
    ],
)  # fmt: skip
def test_operators_have_what_can_be_done_and_its_command(
    site: PageSite, state: str, acts: dict[str, str]
) -> None:
    job = furnish(site.client)[state][0]
    page = _look(site, job, "operator")
    found = {
        label: act.replace(f"/api/v1/queues/q/jobs/{job}", "").replace(" /", " ")
        for label, act in page.by_id("main").acts.items()
    }
    assert found == acts
    commands = " ".join(each.attrs["data-copy"] for each in page.all("button", "data-copy"))
    for label in {"Retry", "Cancel", "Delete"} & set(acts):
        assert f"jobd jobs {label.lower()} {job} --queue q" in commands
    for button in page.all("button", "data-act"):
        assert ("data-confirm" in button.attrs) == (button.text not in ("Retry", "Run now"))
    assert not _look(site, job, "viewer").by_id("main").acts


def test_commands_are_such_as_there_are(site: PageSite) -> None:
    for jobs in furnish(site.client).values():
        for button in _look(site, jobs[0]).by_id("job-command-list").all("button", "data-copy"):
            said = [
                word for word in button.attrs["data-copy"].split()[1:] if not word.startswith("--")
            ]
            verbs = said[: 1 if said[0] == "why" else 2]
            assert main([*verbs, "--help"]) == 0


@pytest.mark.parametrize("state", STATES)
def test_what_strangers_wrote_is_text(site: PageSite, state: str) -> None:
    for job in furnish(site.client)[state]:
        html = site.get(f"/queues/q/jobs/{job}", "operator")
        assert "<script>alert" not in html
        assert "\u202e" not in html
        assert "\0" not in html


@pytest.mark.parametrize("text", [*HOSTILE, "x" * 1_000_000, "\x1b[2J", "{{1}} `a`"])
def test_no_error_traceback_log_or_argument_breaks_the_page(
    site: PageSite, app: Jobd, text: str
) -> None:
    [job] = die(app.queue("q"), 1)
    line = {"kind": text, "at": 10**30, "ran_ms": 10**400 if len(text) < 9 else True, "token": -1, "error": text,
            "traceback": text, text[:50]: [text], "host": 7, "note": text}  # fmt: skip
    _put(site, job, error=text.encode(), args={text[:99]: text}, history=[line], meta={text: 1}, _log=json.dumps([1, 1, text]),
         _progress=[10**17, 1, 1e300, text], result={"a": text}, options={text[:99]: {"b": text}, "group": text},
         **{f"_once:{text[:99]}": text})  # fmt: skip
    page = tree(html := site.get(f"/queues/q/jobs/{job}", "operator"))
    assert not page.by_id("main").all("script")
    assert len(html) < 1_000_000
    assert "more characters" in html or len(text) < 10_000
    assert len(site.parts(f"/queues/q/jobs/{job}")) > 5


def test_a_job_that_is_gone_says_so(site: PageSite, app: Jobd) -> None:
    app.queue("q").add("work")
    answer = site.ask("/queues/q/jobs/nobody")
    assert answer.status_code == 404
    assert "not recorded in queue 'q'" in tree(answer.text).text
    assert site.ask("/queues/q/jobs/a%20b").status_code == 400


def test_a_job_that_was_here_a_moment_ago_is_told_from_one_that_never_was(
    site: PageSite, app: Jobd
) -> None:
    [job] = die(app.queue("q"), 1)
    site.api.act("DELETE", f"/queues/q/jobs/{job}")
    answer = site.ask(f"/queues/q/jobs/{job}")
    assert answer.status_code == 404
    assert "it ended within the last minute or two" in tree(answer.text).text


def test_an_id_leads_to_its_job_and_a_part_of_one_to_a_word_about_that(
    site: PageSite, app: Jobd
) -> None:
    job = app.queue("q").add("work").id
    assert site.ask(f"/find?id=%20{job}").headers["location"] == f"/queues/q/jobs/{job}"
    answer = site.ask(f"/find?id={job[:8]}")
    assert answer.status_code == 404
    page = tree(answer.text)
    assert "a part of one finds nothing" in page.text
    assert page.one("input", name="id").attrs["value"] == job[:8]


def test_sentences_of_ours_have_times_and_commands_and_nothing_else() -> None:
    said = told(f"until {mark(0)}, see `jobd why <x>`: <b>\u202e")
    assert said == (
        'until <time datetime="1970-01-01T00:00:00.000Z" data-when>1970-01-01 00:00:00 UTC</time>, '
        "see <code>jobd why &lt;x&gt;</code>: &lt;b&gt;\\u202e"
    )
    assert told(mark(10**15)) == "—"
    assert visible("a\0\x1b\n\t\x9b\ud800") == "a␀␛\n\t\\x9b\\ud800"


def test_a_run_that_goes_on_says_where_and_leads_there(site: PageSite, app: Jobd) -> None:
    """By what the hosts said of their workers; where none has, the worker's name is all."""
    job = app.queue("q").add("work").id
    _claimed(app, job)
    assert "worker w.1" in _look(site, job).by_id("step-now").text
    worker = Worker(
        slot="q.3", queue="q", phase="busy", pid=4, incarnation="w.1", restarts=0, last_exit=None
    )
    said = Daemon(
        running=True, stopping=False, pid=7, started_at=1.0, up_for=1.0, generation=1,
        last_error=None, helpers={}, host="web1", jobd="1.2.3", workers=[worker],
    )  # fmt: skip
    hosts.say(site.client, NAMESPACE, "h1", said, wall_ms=store_ms(site.client))
    step = _look(site, job).by_id("step-now")
    assert step.links == {"web1": "/workers/h1", "q.3": "/workers/h1/q.3"}


def test_what_no_record_has_of_the_last_run_is_said(site: PageSite, app: Jobd) -> None:
    job = app.queue("q").add("work").id
    store, claim = _claimed(app, job)
    done = [Completed(job.encode(), claim.number, "work|1|1|2", b"")]
    store.settle("w.1", 30_000, completed=done)
    step = _look(site, job).by_id("step-now").text
    assert "when it began, and how long it ran not recorded" in step


def test_attempts_timeout_and_backoff_are_those_of_the_call_or_the_workers(
    site: PageSite, app: Jobd
) -> None:
    job = app.queue("q").add("work", attempts=4).id
    facts = _look(site, job).by_id("job-facts").text
    assert "attempts 4" in facts
    assert "timeout as the worker's configuration says" in facts
    assert "backoff as the worker's configuration says" in facts


def test_a_job_whose_task_nobody_knows_does_not_start_in_seconds(site: PageSite, app: Jobd) -> None:
    """That is only when it is looked at again."""
    job = app.queue("q").add("tpyo", delay="15s").id
    error = "no worker knows the task 'tpyo'; deploy the code that declares it"
    _put(site, job, error=error, parked=1_700_000_000_000)
    page = _look(site, job)
    why = page.by_id("job-why").text
    assert "Starts: not before that has changed: unknown_task" in why
    assert "set aside: no worker has known its task" in page.by_id("step-now").text
