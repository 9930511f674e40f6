"""What HTTP shows of payloads: nothing that is secret by its name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.api import NAMESPACE, Api

from jobd import Jobd, Queue
from jobd.broker.keys import QueueKeys
from jobd.core.masking import MASKED, Masking

SECRET = "hunter2"
HIDDEN: dict[str, Any] = {"user": "eva", "password": SECRET, "in": [{"API-Key": {"a": SECRET}}]}
SHOWN = {"user": "eva", "password": MASKED, "in": [{"API-Key": MASKED}]}


@pytest.fixture
def q(redis_url: str) -> Queue:
    return Jobd(redis_url, namespace=NAMESPACE).queue("q")


def recorded(q: Queue) -> str:
    """Add a job that has a secret wherever a record may have one; give its id."""
    job = q.add("work", HIDDEN, meta=HIDDEN, delay="1h").id
    raw = json.dumps(HIDDEN)
    line = {"kind": "failed", "at": 1, "token": 77, "error": "it said no", "data": HIDDEN}
    fields = {
        "result": raw,
        "history": json.dumps([line]),
        "~once:step": raw,
        "~once:a-token": f'"{SECRET}"',
    }
    store = q._producer.store("q")
    store._client.hset(QueueKeys(NAMESPACE, "q").job(job), mapping=fields)
    return job


def test_a_job_is_shown_without_its_secrets(redis_url: str, tmp_path: Path, q: Queue) -> None:
    job = recorded(q)
    api = Api(redis_url, tmp_path)
    for path in (f"/jobs/{job}", f"/queues/q/jobs/{job}"):
        found = api.get(path)
        assert SECRET not in json.dumps(found)
        assert (found["args"], found["meta"], found["result"]) == (SHOWN, SHOWN, SHOWN)
        assert found["steps"] == {"step": SHOWN, "a-token": MASKED}
        assert found["history"] == [
            {"kind": "failed", "at": 1, "token": 77, "error": "it said no", "data": SHOWN}
        ]


def test_a_schedule_is_shown_without_its_secrets(redis_url: str, tmp_path: Path, q: Queue) -> None:
    q.schedules.put("s", task="work", cron="0 3 * * *", args=HIDDEN, meta=HIDDEN)
    api = Api(redis_url, tmp_path)
    found = api.get("/queues/q/schedules/s")
    assert SECRET not in json.dumps(found)
    assert (found["args"], found["options"]["meta"]) == (SHOWN, SHOWN)


def test_the_patterns_are_the_houses_own(redis_url: str, tmp_path: Path, q: Queue) -> None:
    job = recorded(q)
    shown = Api(redis_url, tmp_path, mask=Masking([])).get(f"/jobs/{job}")
    assert (shown["args"], shown["steps"]["a-token"]) == (HIDDEN, SECRET)
    found = Api(redis_url, tmp_path, mask=Masking(["USER"])).get(f"/jobs/{job}")["args"]
    assert found == {**HIDDEN, "user": MASKED}


def test_arguments_that_cannot_be_read_are_not_shown_by_the_way(
    redis_url: str, tmp_path: Path, q: Queue
) -> None:
    """What is no JSON is shown as its text; so is what is too deep to be read."""
    job = q.add("work").id
    store = q._producer.store("q")
    for raw in (
        f'{{"password": "{SECRET}"',
        f'{{"token": "{SECRET}", "a": {"[" * 3000}{"]" * 3000}}}',
    ):
        store._client.hset(
            QueueKeys(NAMESPACE, "q").job(job),
            mapping=dict.fromkeys(("args", "result", "~once:s"), raw),
        )
        found = Api(redis_url, tmp_path).get(f"/jobs/{job}")
        assert [found["args"], found["result"], found["steps"]["s"]] == [MASKED] * 3


def test_no_answer_has_a_secret(redis_url: str, tmp_path: Path, q: Queue) -> None:
    """Whatever is looked at: lists have no payloads, and the rest is masked."""
    job = recorded(q)
    q.schedules.put("s", task="work", every="1h", args=HIDDEN, meta=HIDDEN)
    api = Api(redis_url, tmp_path)
    at = {"job": job, "queue": "q", "schedule": "s", "state": "delayed"}
    paths = [
        "/queues", "/queues/{queue}", "/queues/{queue}/tasks", "/queues/{queue}/jobs?state={state}", "/dead",
        "/jobs/{job}", "/queues/{queue}/jobs/{job}", "/queues/{queue}/jobs/{job}/why", "/schedules",
        "/queues/{queue}/schedules/{schedule}",
    ]  # fmt: skip
    for path in paths:
        assert SECRET not in api.ask("GET", path.format(**at)).text
