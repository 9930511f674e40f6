"""What the API shows: what is there, whatever bytes it is made of."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from support.api import HOSTILE, NAMESPACE, Api, die, ended, furnish

from jobd import Jobd, Queue
from jobd.broker import hosts
from jobd.broker.alerts import AlertStore, Move
from jobd.broker.keys import QueueKeys
from jobd.core.alerts.machine import InstanceState, RuleState
from jobd.core.config_alerts import RuleConfig
from jobd.core.portrait import Daemon
from jobd.core.states import STATES
from jobd.seams import alertfile
from jobd.seams.alertfile import LocalAlerts
from jobd.seams.place import key_of


@pytest.fixture
def api(redis_url: str, tmp_path: Path) -> Api:
    return Api(redis_url, tmp_path)


@pytest.fixture
def q(redis_url: str) -> Queue:
    return Jobd(redis_url, namespace=NAMESPACE).queue("q")


def missing(api: Api, path: str) -> tuple[int, str]:
    answer = api.ask("GET", path)
    return answer.status_code, answer.json()["code"]


def test_a_job_is_found_by_its_id_and_explained(api: Api, q: Queue) -> None:
    job = q.add("work", {"user": "ä"}, priority=3, delay="1h").id
    found = api.get(f"/jobs/{job}")
    assert (found["queue"], found["state"], found["args"]) == ("q", "delayed", {"user": "ä"})
    assert api.get(f"/queues/q/jobs/{job}") == found
    why = api.get(f"/queues/q/jobs/{job}/why")
    assert why["reasons"][0]["word"] == "delayed"
    for path in (
        "/jobs/none",
        "/queues/q/jobs/none",
        "/queues/q/jobs/none/why",
        f"/queues/x/jobs/{job}",
    ):
        assert missing(api, path) == (404, "jobd.no_such_job")


def test_whatever_bytes_a_record_has_it_is_shown_as_json(api: Api) -> None:
    ids = furnish(api.client)
    for state in STATES:
        for job, text in zip(ids[state], HOSTILE, strict=True):
            answer = api.ask("GET", f"/queues/q/jobs/{job}")
            assert answer.headers["content-type"] == "application/json"
            assert answer.headers["x-content-type-options"] == "nosniff"
            shown = answer.json()
            assert (shown["id"], shown["state"]) == (job, state)
            assert shown["task"].startswith(text)
            if state == "dead":
                assert shown["error"] == text
            assert api.get(f"/queues/q/jobs/{job}/why")["state"] == state
    assert api.told == []


def test_numbers_that_json_does_not_have_are_null(api: Api, q: Queue) -> None:
    job = q.add("work").id
    api.client.hset(
        f"jobd:{{q}}:job:{job}", mapping={"args": b'{"a": 1e308, "n": NaN}', "priority": "inf"}
    )
    shown = api.get(f"/jobs/{job}")
    assert shown["args"] == '{"a": 1e308, "n": NaN}'
    assert all(not isinstance(value, float) or math.isfinite(value) for value in shown.values())


def test_schedules_are_listed(api: Api, q: Queue, redis_url: str) -> None:
    q.schedules.put("nightly", task="work", cron="0 3 * * *", tz="Europe/Berlin")
    Jobd(redis_url, namespace=NAMESPACE).queue("r").schedules.put("often", task="t", every="5m")
    listed = api.get("/schedules")
    assert [(each["queue"], each["name"], each["every"]) for each in listed] == [
        ("q", "nightly", None), ("r", "often", 300.0),
    ]  # fmt: skip
    assert [each["name"] for each in api.get("/schedules?queue=r")] == ["often"]
    assert missing(api, "/schedules?queue=x") == (404, "jobd.no_such_queue")


def test_a_schedule_says_when_it_runs_next_and_how_it_went(api: Api, q: Queue) -> None:
    """In its zone; of a job that is not kept any more only that it was."""
    q.schedules.put("nightly", task="work", cron="0 3 * * *", tz="Europe/Berlin")
    before = api.get("/queues/q/schedules/nightly/runs?count=3")
    assert (before["zone"], before["last"], before["paused"]) == ("Europe/Berlin", None, False)
    assert [run["local"][11:16] for run in before["runs"]] == ["03:00"] * 3
    assert before["runs"][0]["at"] > before["now"]

    ran = api.act("POST", "/queues/q/schedules/nightly/run")["job"]
    last = api.get("/queues/q/schedules/nightly/runs")["last"]
    if last is None:  # what is run by hand is none of its own
        api.client.hset("jobd:{q}:schedule:nightly", mapping={"last_job": ran, "last_at": "5"})
        last = api.get("/queues/q/schedules/nightly/runs")["last"]
    assert (last["job"], last["state"]) == (ran, "waiting")
    api.client.hset("jobd:{q}:schedule:nightly", "last_job", "gone")
    assert api.get("/queues/q/schedules/nightly/runs")["last"]["state"] is None

    api.client.hset("jobd:{q}:schedule:nightly", mapping={"cron": "", "every": 10**18})
    assert api.get("/queues/q/schedules/nightly/runs")["runs"] == []
    api.client.hset("jobd:{q}:schedule:nightly", "cron", "x")
    assert not api.get("/queues/q/schedules/nightly/runs")["reckoned"]
    assert missing(api, "/queues/q/schedules/x/runs") == (404, "jobd.no_such_schedule")


def test_a_job_says_what_it_went_through(api: Api, q: Queue) -> None:
    """Whatever is recorded."""
    job = q.add("work").id
    line = {"kind": "failed", "at": 9, "ran_ms": 4, "worker": "q.1", "host": "w", "error": "<b>"}
    api.client.hset(f"jobd:{{q}}:job:{job}", "history", json.dumps([line, {"kind": 5}]))
    first, second = api.get(f"/queues/q/jobs/{job}/attempts")
    assert (first["number"], first["started_at"], first["slot"], first["error"]) == (
        1, 5, "q.1", "<b>",
    )  # fmt: skip
    assert second["outcome"] == "?"
    assert missing(api, "/queues/q/jobs/none/attempts") == (404, "jobd.no_such_job")


def test_hosts_are_listed_with_the_one_that_serves(api: Api, tmp_path: Path) -> None:
    daemon = Daemon(
        running=True, stopping=False, pid=7, started_at=1.0, up_for=2.0, generation=1, last_error=None,
        helpers={}, workers=[],
    )  # fmt: skip
    own = key_of(tmp_path)
    hosts.say(api.client, NAMESPACE, own, daemon, wall_ms=0)
    api.client.hset("jobd:hosts", b"\xff", b"\xff")
    found = api.get("/hosts")
    assert found["here"] == own
    by_key = {each["key"]: each for each in found["hosts"]}
    assert by_key[own]["daemon"]["pid"] == 7
    assert by_key["\ufffd"]["daemon"] is None


RULES = [
    RuleConfig(name="backlog", kind="backlog", above=10.0),
    RuleConfig(name="away", kind="redis_down", above=5.0),
]


def _state(phase: Any, shown: str) -> RuleState:
    at = InstanceState(phase=phase, since_ms=1, seen_ms=2, value=12.0, shown=shown)
    return RuleState(instances={"q": at}, looked_ms=3)


def test_rules_are_shown_with_what_they_see_also_while_redis_is_away(
    redis_url: str, tmp_path: Path
) -> None:
    api = Api(redis_url, tmp_path, rules=RULES)
    store = AlertStore(api.client, NAMESPACE)
    moves = [Move(name, b"", _state("firing", "12 jobs")) for name in ("backlog", "<b>old</b>")]
    assert store.move(moves) == ["moved", "moved"]
    store.mute("backlog", 60_000)
    here = {"away": _state("pending", "no answer"), "backlog": _state("pending", "of old")}
    alertfile.write(tmp_path, LocalAlerts(rules=here))
    found = api.get("/alerts")
    assert found["redis_says"] is None
    shown = {each["name"]: each for each in found["rules"]}
    assert {name: each["state"] for name, each in shown.items()} == {
        "backlog": "firing", "away": "pending", "<b>old</b>": "firing",
    }  # fmt: skip
    assert shown["backlog"]["instances"][0]["shown"] == "12 jobs"
    assert shown["backlog"]["threshold"] == 10.0
    assert shown["backlog"]["muted_until"] > 0
    assert not shown["<b>old</b>"]["configured"]
    away = Api("redis://127.0.0.1:1/0", tmp_path, rules=RULES).get("/alerts")
    assert {each["name"]: each["state"] for each in away["rules"]} == {
        "backlog": "unknown", "away": "pending",
    }  # fmt: skip
    assert "127.0.0.1:1" in away["redis_says"]


def test_jobs_are_listed_page_by_page_with_all_filters(api: Api, q: Queue) -> None:
    ids = [h.id for h in q.add_many([("work", {"n": n}) for n in range(120)])]
    other = q.add("other", group="g").id
    seen: list[str] = []
    cursor = ""
    for _ in range(4):
        page = api.get(f"/queues/q/jobs?state=waiting&limit=50{cursor}")
        seen += [row["id"] for row in page["rows"]]
        assert page["total"] == 121
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == [*ids, other]
    assert "args" not in page["rows"][0]
    for query in ("task=other", "group=g", "task=other&older_than=0s", "group=g&newer_than=1h"):
        found = api.get(f"/queues/q/jobs?state=waiting&{query}")
        assert [row["id"] for row in found["rows"]] == [other], query
    assert api.get("/queues/q/jobs?state=dead")["rows"] == []
    for query, said in {
        "": "missing required field `state`",
        "state=odd": "Invalid enum value 'odd'",
        "state=dead&limit=0": "`int` >= 1",
        "state=dead&limit=201": "`int` <= 200",
        "state=dead&cursor=x": "cursor",
        "state=dead&cursor=%00%ff": "cursor",
        "state=dead&task=a%20b": "task: 'a b'",
        "state=dead&older_than=soon": "older_than",
        "state=dead&older_than=nan": "duration: 'nan'",
    }.items():
        answer = api.ask("GET", f"/queues/q/jobs?{query}")
        assert answer.status_code == 400, query
        assert said in answer.json()["detail"], answer.json()
    assert missing(api, "/queues/x/jobs?state=dead") == (404, "jobd.no_such_queue")
    waiting = api.get("/queues/q/jobs?state=waiting&limit=1")["next"]
    assert missing(api, f"/queues/q/jobs?state=dead&cursor={waiting}") == (400, "jobd.option")


def test_the_dead_are_grouped_and_a_group_is_retried(api: Api, q: Queue) -> None:
    die(q, 3, "mail", "SMTPError: 554 from 10.0.0.7")
    die(q, 2, "mail", "KeyError: 'x'")
    found = api.get("/dead")
    assert (found["sampled"], found["total"]) == (5, 5)
    assert [(each["task"], each["count"]) for each in found["groups"]] == [("mail", 3), ("mail", 2)]
    assert api.get("/dead?queue=q") == found
    assert missing(api, "/dead?queue=x") == (404, "jobd.no_such_queue")
    like = found["groups"][0]["like"]
    started = api.act(
        "POST", "/operations", {"verb": "retry", "queue": "q", "task": "mail", "like": like}
    )
    assert ended(api, started)["counts"] == {"retried": 3}
    assert [each["count"] for each in api.get("/dead")["groups"]] == [2]


def test_lists_show_whatever_bytes_there_are(api: Api) -> None:
    furnish(api.client)
    for state in STATES:
        page = api.get(f"/queues/q/jobs?state={state}")
        assert len(page["rows"]) == len(HOSTILE)
        assert max(len(row["error"] or "") for row in page["rows"]) < 1000
    assert api.get("/dead")["total"] == len(HOSTILE)
    assert api.told == []


def test_what_holds_a_queue_back_is_shown(api: Api, q: Queue) -> None:
    q.add("work")
    api.act("POST", "/queues/q/pause", {"why": "<it burns>"})
    flow = api.get("/queues/q/flow")
    assert (flow["paused_why"], flow["paused_at"] > 0, flow["rate_max"]) == ("<it burns>", True, 0)
    assert missing(api, "/queues/x/flow") == (404, "jobd.no_such_queue")


def test_the_server_is_shown_with_what_is_wrong_with_it(api: Api) -> None:
    api.client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        found = api.get("/redis")
    finally:
        api.client.config_set("maxmemory-policy", "noeviction")
    assert found["server"]["used_memory"] > 0
    assert any("allkeys-lru" in each["why"] for each in found["unfit"])


def test_queues_are_listed_with_their_figures(api: Api, q: Queue) -> None:
    die(q, 2, "mail", "no")
    q.add_many([("work", {})] * 3)
    [row] = api.get("/queues")
    assert (row["name"], row["due"], row["paused"]) == ("q", 3, False)
    assert (row["counts"]["dead"], row["counts"]["waiting"]) == (2, 3)
    shown = api.get("/queues/q")
    assert shown["queue"]["name"] == "q"
    assert {each["name"]: each["outcomes"]["dead"] for each in shown["tasks"]} == {"mail": 2}
    assert api.get("/queues/q/tasks") == shown["tasks"]
    for path in ("/queues/x", "/queues/x/tasks"):
        assert missing(api, path) == (404, "jobd.no_such_queue")


def test_a_schedule_is_shown_with_its_arguments_and_lists_have_none(api: Api, q: Queue) -> None:
    q.schedules.put("nightly", task="work", args={"user": 1}, every="5m")
    assert api.get("/queues/q/schedules/nightly")["args"] == {"user": 1}
    assert api.get("/schedules")[0]["args"] is None
    assert missing(api, "/queues/q/schedules/none") == (404, "jobd.no_such_schedule")


def test_times_that_no_calendar_has_are_shown_all_the_same(api: Api, q: Queue) -> None:
    """Some can be asked for, others a stranger wrote."""
    job = q.add("work").id
    late = {"run_after": "9999-12-31T23:59:59-23:59"}
    assert api.act("POST", f"/queues/q/jobs/{job}/reschedule", late)["outcome"] == "delayed"
    keys = QueueKeys(NAMESPACE, "q")
    for fields in ({"at": "1e308"}, {"parked": "1e300"}, {"expires": "9" * 25}, {"cancel": "-inf"}):
        api.client.hset(keys.job(job), mapping=fields)
        assert api.get(f"/queues/q/jobs/{job}/why")["state"] == "delayed"
        assert api.get(f"/jobs/{job}")["state"] == "delayed"
    strange = {"inf": "inf", "neg": "-inf", b"\xff": 5}
    for key in (keys.waiting, keys.delayed, keys.dead, keys.completed, keys.leases, keys.schedules):
        api.client.zadd(key, strange)
        for path in ("/queues", "/queues/q", "/dead", "/schedules", "/hosts", "/redis"):
            api.get(path)
        for state in STATES:
            api.get(f"/queues/q/jobs?state={state}")
        api.client.zrem(key, *strange)
    assert api.told == []


def test_a_key_of_another_type_is_no_mistake_of_ours(api: Api, q: Queue) -> None:
    job = q.add("work").id
    furnish(api.client)
    paths = [f"/jobs/{job}", f"/queues/q/jobs/{job}/why", "/queues/q/flow", "/queues/q", "/queues"]
    lists = [
        "/dead",
        "/schedules",
        "/alerts",
        "/hosts",
        *(f"/queues/q/jobs?state={s}" for s in STATES),
    ]
    found = sorted(api.client.scan_iter(match=b"jobd:*"))
    for key in [key for key in found if b":job:" not in key or job.encode() in key]:
        kept = api.client.dump(key)
        api.client.set(key, "x")
        for path in paths + lists:
            assert api.ask("GET", path).status_code in (200, 404, 503), (key, path, api.told)
        api.client.restore(key, 0, kept, replace=True)
    assert api.told == []
