"""The API's actions: what each does to jobs, queues, schedules, alerts and workers, and when it does nothing."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from support.api import NAMESPACE, Api, die, ended
from support.daemons import eventually

from jobd import Jobd, Queue
from jobd.broker.connection import connect
from jobd.broker.store import store_ms
from jobd.core.config_alerts import RuleConfig
from jobd.core.web_events import WebOperationEnded
from jobd.seams import alertfile
from jobd.seams.control import Control
from jobd.seams.place import key_of
from jobd.seams.requests import Refusal
from jobd.web.api.operations import Operations
from jobd.web.api.problems import Busy


@pytest.fixture
def api(redis_url: str, tmp_path: Path) -> Api:
    return Api(redis_url, tmp_path)


@pytest.fixture
def q(redis_url: str) -> Queue:
    return Jobd(redis_url, namespace=NAMESPACE).queue("q")


def refused(api: Api, method: str, path: str, json: object = None) -> tuple[int, str]:
    answer = api.ask(method, path, who="operator", json=json)
    return answer.status_code, answer.json()["code"]


def test_a_queue_and_a_task_are_paused_and_resumed(api: Api, q: Queue) -> None:
    q.add("work")
    assert api.act("POST", "/queues/q/pause", {"why": "a try"}) == {
        "queue": "q", "task": None, "paused": True, "changed": True,
    }  # fmt: skip
    assert (q.flow().is_paused, q.flow().paused_why) == (True, "a try")
    assert not api.act("POST", "/queues/q/pause")["changed"]
    assert api.act("POST", "/queues/q/pause", {"task": "work"})["changed"]
    assert q.flow().paused_tasks == ("work",)
    assert api.act("POST", "/queues/q/resume", {"task": "work"})["changed"]
    assert api.act("POST", "/queues/q/resume")["changed"]
    assert not api.act("POST", "/queues/q/resume")["changed"]
    assert not q.flow().is_paused
    assert refused(api, "POST", "/queues/qq/pause") == (404, "jobd.no_such_queue")
    assert refused(api, "POST", "/queues/q/pause", {"why": "x" * 201}) == (400, "jobd.option")
    assert api.gate.audited[0] == ("pause_queue", {"queue": "q", "why": "a try"}, "done")


def test_jobs_one_at_a_time(api: Api, q: Queue) -> None:
    [dead] = die(q, 1)
    of = f"/queues/q/jobs/{dead}"
    assert refused(api, "POST", f"{of}/cancel") == (409, "jobd.conflict")
    assert refused(api, "POST", f"{of}/run-now") == (409, "jobd.conflict")
    assert api.act("POST", f"{of}/retry") == {"queue": "q", "job": dead, "outcome": "retried"}
    assert refused(api, "POST", f"{of}/retry") == (409, "jobd.conflict")
    assert refused(api, "DELETE", of) == (409, "jobd.conflict")
    assert api.act("POST", f"{of}/reschedule", {"delay": "1h"})["outcome"] == "delayed"
    assert api.act("POST", f"{of}/reschedule", {"delay": 0})["outcome"] == "waiting"
    at = {"run_after": "2999-01-01T00:00:00+01:00"}
    assert api.act("POST", f"{of}/reschedule", at)["outcome"] == "delayed"
    assert api.act("POST", f"{of}/run-now")["outcome"] == "waiting"
    assert api.act("POST", f"{of}/cancel", {"force": True})["outcome"] == "cancelled"
    assert q.job(dead).state() == "cancelled"
    assert api.act("DELETE", of)["outcome"] == "deleted"
    assert q.job(dead).state() is None
    for method, path in (("POST", "/retry"), ("POST", "/cancel"), ("DELETE", "")):
        assert refused(api, method, of + path) == (404, "jobd.no_such_job")


def test_a_time_that_makes_no_sense_moves_nothing(api: Api, q: Queue) -> None:
    job = q.add("work").id
    for body in (
        b"{}", b'{"delay": "soon"}', b'{"delay": -1}', b'{"delay": 1e400}', b'{"delay": "nan"}',
        b'{"delay": 1e300}', b'{"delay": "%sh"}' % (b"1" * 5000),
        b'{"delay": "1h", "run_after": "2999-01-01T00:00:00Z"}', b'{"run_after": "tomorrow"}',
        b'{"run_after": "2999-01-01T00:00:00"}',
    ):  # fmt: skip
        answer = api.ask(
            "POST", f"/queues/q/jobs/{job}/reschedule", who="operator", body=body,
            headers={"content-type": "application/json"},
        )  # fmt: skip
        assert answer.status_code == 400, (body, answer.text)
    assert q.job(job).state() == "waiting"


def test_many_jobs_by_a_filter_with_progress(api: Api, q: Queue) -> None:
    wanted = die(q, 120, "mail", "SMTPError: Connection refused")
    others = die(q, 3, "mail", "another") + die(q, 3, "post", "refused")
    by = {"verb": "retry", "queue": "q", "task": "mail", "error": "REFUSED"}
    dry = ended(api, api.act("POST", "/operations", by | {"dry_run": True}))
    assert (dry["state"], dry["counts"]) == ("done", {"dead": 120})
    assert q.job(wanted[0]).state() == "dead"
    started = api.act("POST", "/operations", by)
    assert (started["verb"], started["queue"], started["by"]) == ("retry", "q", "operator")
    found = ended(api, started)
    assert (found["state"], found["counts"]) == ("done", {"retried": 120})
    assert (found["looked"], found["total"], found["problem"]) == (126, 126, None)
    assert {q.job(job).state() for job in wanted} == {"waiting"}
    told = [
        (e.what, e.who, e.outcome, e.counts) for e in api.told if isinstance(e, WebOperationEnded)
    ]
    assert told[-1] == ("retry", "operator", "done", {"retried": 120})
    assert {q.job(job).state() for job in others} == {"dead"}
    assert [each["id"] for each in api.get("/operations")] == [started["id"], dry["id"]]


def test_what_comes_after_the_count_is_left_alone(api: Api, q: Queue) -> None:
    """With the instant that the dry run's answer gives."""
    counted, by = die(q, 3), {"verb": "delete", "queue": "q"}
    dry = ended(api, api.act("POST", "/operations", by | {"dry_run": True}))
    eventually("another instant", lambda: store_ms(api.client) > dry["as_of"])
    late = die(q, 2)
    done = ended(api, api.act("POST", "/operations", by | {"as_of": dry["as_of"]}))
    assert (done["counts"], done["as_of"]) == ({"deleted": 3}, dry["as_of"])
    assert {q.job(job).state() for job in counted} == {None}
    assert {q.job(job).state() for job in late} == {"dead"}
    for instant in (dry["as_of"] - 3_600_001, dry["as_of"] + 3_600_000, 10**40):
        sent = by | {"as_of": instant}
        assert refused(api, "POST", "/operations", sent) == (400, "jobd.option"), instant
    assert api.act("POST", "/operations", {"verb": "delete", "ids": late})["as_of"] is None


def test_many_jobs_by_their_ids(api: Api, q: Queue) -> None:
    [dead], waiting = die(q, 1), q.add("work").id
    ids = [dead, waiting, dead, "strange"]
    found = ended(api, api.act("POST", "/operations", {"verb": "delete", "ids": ids}))
    assert found["counts"] == {"deleted": 1, "waiting": 1, "gone": 1}
    assert (found["looked"], found["total"]) == (3, 3)


def test_many_jobs_get_another_time(api: Api, q: Queue) -> None:
    jobs = [h.id for h in q.add_many([("work", {})] * 3)]
    later = {"verb": "reschedule", "queue": "q"}
    assert refused(api, "POST", "/operations", later) == (400, "jobd.option")
    odd = {"verb": "retry", "queue": "q", "delay": "1h"}
    assert refused(api, "POST", "/operations", odd) == (400, "jobd.bad_request")
    found = ended(api, api.act("POST", "/operations", later | {"delay": "1h"}))
    assert found["counts"] == {"delayed": 3}
    assert {q.job(job).state() for job in jobs} == {"delayed"}
    by_id = {"verb": "reschedule", "ids": jobs, "delay": 0}
    assert ended(api, api.act("POST", "/operations", by_id))["counts"] == {"waiting": 3}


def test_a_purge_wants_the_name_of_the_queue_again(api: Api, q: Queue) -> None:
    q.add_many([("work", {})] * 70)
    q.add("work", delay="1h")
    purge = {"verb": "purge", "queue": "q"}
    for confirm in (
        {},
        {"confirm": "Q"},
        {"confirm": "q", "task": "work"},
        {"confirm": "q", "states": ["active"]},
    ):
        assert refused(api, "POST", "/operations", purge | confirm) == (400, "jobd.bad_request")
    found = ended(api, api.act("POST", "/operations", purge | {"confirm": "q"}))
    assert found["counts"] == {"purged": 71}


def test_a_purge_leaves_alone_what_was_added_after_the_count(api: Api, q: Queue) -> None:
    q.add_many([("work", {})] * 3)
    purge = {"verb": "purge", "queue": "q", "confirm": "q"}
    dry = ended(api, api.act("POST", "/operations", purge | {"dry_run": True}))
    assert dry["counts"] == {"waiting": 3}
    eventually("another instant", lambda: store_ms(api.client) > dry["as_of"])
    late = [q.add("work").id, q.add("work", delay="1h").id, q.add("work", priority=0).id]
    done = ended(api, api.act("POST", "/operations", purge | {"as_of": dry["as_of"]}))
    assert done["counts"] == {"purged": 3}
    assert [q.job(job).state() for job in late] == ["waiting", "delayed", "waiting"]


UNCLEAR: list[tuple[dict[str, object], str]] = [
    ({"verb": "retry"}, "no job named"),
    ({"verb": "frobnicate", "queue": "q"}, "Invalid enum value"),
    ({"verb": "retry", "queue": "q", "states": ["waiting"]}, "states: 'waiting'; expected for retry"),
    ({"verb": "retry", "ids": ["a"], "task": "t"}, "ids and a filter"),
    ({"verb": "retry", "ids": ["a b"]}, "ids: 'a b'"),
    ({"verb": "retry", "ids": ["a"] * 501}, "length <= 500"),
    ({"verb": "retry", "queue": "q", "force": True}, "force: with retry"),
    ({"verb": "retry", "queue": "q", "confirm": "q"}, "confirm: with retry"),
    ({"verb": "retry", "ids": ["a"], "as_of": 1}, "as_of: with ids"),
    ({"verb": "retry", "queue": "q", "as_of": -1}, ">= 0"),
    ({"verb": "retry", "queue": "q", "older_than": "soon"}, "older_than"),
    ({"verb": "retry", "queue": "nobody"}, "queue 'nobody': not known"),
]  # fmt: skip


def test_an_operation_that_is_unclear_is_not_begun(api: Api, q: Queue) -> None:
    die(q, 1)
    for body, said in UNCLEAR:
        answer = api.ask("POST", "/operations", who="operator", json=body)
        assert answer.status_code in (400, 404), answer.text
        assert said in answer.json()["detail"]
    assert api.get("/operations") == []


def test_an_operation_is_stopped_and_only_so_many_run(redis_url: str) -> None:
    operations = Operations(connect(redis_url), NAMESPACE, host="h", emit=lambda _event: None)
    gate, begun = threading.Event(), []

    def work(progress: Any) -> bool:
        begun.append(progress)
        while not progress.is_stopped():
            gate.wait(0.01)
        return False

    running = [operations.start(work, verb="x", queue=None, by="me") for _ in range(4)]
    with pytest.raises(Busy, match="4 are under way"):
        operations.start(work, verb="x", queue=None, by="me")
    assert operations.get(running[0].id).state == "running"
    for each in running:
        assert operations.stop(each.id).state in ("stopping", "stopped")
    eventually("all stopped", lambda: {o.state for o in operations.all()} == {"stopped"})

    def broken(_progress: Any) -> bool:
        raise ValueError("a secret")

    for _ in range(120):
        failed = operations.start(broken, verb="x", queue=None, by="me")
        eventually("its end", lambda one=failed: operations.get(one.id).ended_at)
    problem = operations.get(failed.id).problem
    assert problem is not None
    assert (problem.code, "secret" in problem.detail) == ("jobd.internal", False)
    assert len(operations.all()) == 100


def test_schedules(api: Api, q: Queue) -> None:
    q.schedules.put("nightly", task="work", cron="0 3 * * *")
    of = "/queues/q/schedules/nightly"
    paused = {"queue": "q", "schedule": "nightly", "outcome": "paused"}
    assert api.act("POST", f"{of}/pause") == paused
    assert api.act("POST", f"{of}/resume")["outcome"] == "resumed"
    assert api.act("POST", f"{of}/resume")["outcome"] == "running"
    ran = api.act("POST", f"{of}/run")
    assert (ran["task"], ran["outcome"], q.job(ran["job"]).state()) == (
        "work",
        "enqueued",
        "waiting",
    )
    for verb in ("pause", "resume", "run"):
        gone = refused(api, "POST", f"/queues/q/schedules/none/{verb}")
        assert gone == (404, "jobd.no_such_schedule")


def test_alerts(redis_url: str, tmp_path: Path) -> None:
    rules = [
        RuleConfig(name="a <b> rule", kind="backlog"),
        RuleConfig(name="gone", kind="redis_down"),
    ]
    api = Api(redis_url, tmp_path, rules=rules)
    muted = api.act("POST", "/alerts/mute", {"rule": "a <b> rule", "for": "2h"})
    assert (muted["was_muted"], muted["muted_until"] > 0) == (False, True)
    assert api.act("POST", "/alerts/mute", {"rule": "a <b> rule", "for": 60})["was_muted"]
    assert api.act("POST", "/alerts/unmute", {"rule": "a <b> rule"})["was_muted"]
    assert not api.act("POST", "/alerts/unmute", {"rule": "a <b> rule"})["was_muted"]
    past = api.get("/alerts/history?limit=3")["changes"]
    assert [(each["what"], each["by"]) for each in past] == [
        ("unmuted", "operator"), ("muted", "operator"), ("muted", "operator"),
    ]  # fmt: skip
    assert api.get("/alerts/history?rule=other") == {"changes": [], "redis_says": None}
    for span in ("0", 0, "59s", "36500d"):
        answer = api.ask(
            "POST", "/alerts/mute", who="operator", json={"rule": "a <b> rule", "for": span}
        )
        assert answer.status_code == 400
        assert "expected 1m to 90d" in answer.json()["detail"]
    assert refused(api, "POST", "/alerts/mute", {"rule": "a", "for": "2h"}) == (
        404,
        "jobd.no_such_rule",
    )
    assert refused(api, "POST", "/alerts/mute", {"rule": "gone", "for": "x"}) == (
        400,
        "jobd.option",
    )
    away = Api("redis://127.0.0.1:1/0", tmp_path, rules=rules)
    assert away.act("POST", "/alerts/mute", {"rule": "gone", "for": "2h"})["muted_until"]
    assert set(alertfile.read_mutes(tmp_path)) == {"gone"}
    shared = refused(away, "POST", "/alerts/mute", {"rule": "a <b> rule", "for": "2h"})
    assert shared == (503, "jobd.broker_unavailable")
    assert away.act("POST", "/alerts/unmute", {"rule": "gone"})["was_muted"]
    assert alertfile.read_mutes(tmp_path) == {}


def test_a_worker_of_this_host_is_recycled_and_of_another_not(api: Api, tmp_path: Path) -> None:
    away = refused(api, "POST", "/hosts/here/workers/q.1/recycle")
    assert away == (503, "jobd.no_daemon")
    control, asked = Control.listen(tmp_path), []
    end = threading.Event()

    def daemon() -> None:
        while not end.wait(0.005):
            for each in control.take():
                asked.append(each.request)
                if getattr(each.request, "slot", None) == "q.9":
                    control.answer(each.client, error=Refusal("no_such_slot", "q.9; expected q.1"))
                else:
                    control.answer(each.client, ok={})

    thread = threading.Thread(target=daemon)
    thread.start()
    try:
        own = key_of(tmp_path)
        done = api.act("POST", f"/hosts/{own}/workers/q.1/recycle")
        assert (done["host"], done["slot"]) == (own, "q.1")
        assert api.act("POST", "/hosts/here/workers/q.1/dump")["slot"] == "q.1"
        assert api.act("POST", "/hosts/here/dump")["slot"] is None
        assert [repr(each) for each in asked] == [
            "Recycle(slot='q.1')",
            "Dump(slot='q.1', tell=True)",
            "Dump(slot=None, tell=True)",
        ]
        assert refused(api, "POST", "/hosts/other/dump") == (404, "jobd.no_such_host")
        assert refused(api, "POST", "/hosts/here/workers/q.9/dump") == (409, "jobd.daemon_refused")
        assert len(asked) == 4
    finally:
        end.set()
        thread.join()
        control.close()
