"""The API: who may, how wrong requests are answered, and that the document says what is served."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

import pytest
from support.api import PATHS, Api

from jobd.web.api.endpoint import Body, Call, Endpoint
from jobd.web.api.house import House
from jobd.web.api.reading import LARGEST_BODY
from jobd.web.api.table import TABLE
from jobd.web.threads import Crowded, Threads, TooLate


@pytest.fixture(scope="module")
def api(servers: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Api:
    """One for all: nothing here leaves anything behind."""
    return Api(next(iter(servers.values())), tmp_path_factory.mktemp("run"))


def _path(endpoint: Endpoint) -> str:
    return endpoint.path.format_map(PATHS)


def test_nobody_is_served_without_a_role_and_nothing_is_done(api: Api) -> None:
    """Not even looked at: the body is no JSON, and the answer is about the person."""
    done: list[str] = []
    own = api.of([each._replace(act=lambda _house, _call: done.append("done")) for each in TABLE])
    for each in TABLE:
        path = _path(each)
        assert own.ask(each.method, path, body=b"{", who=None).status_code == 401, path
        if each.is_action:
            refused = own.ask(each.method, path, body=b"{", who="viewer")
            assert (refused.status_code, refused.json()["code"]) == (403, "test.forbidden"), path
    assert not done
    assert not own.gate.audited


def test_the_methods_of_a_table_fit_its_roles() -> None:
    assert {each.method for each in TABLE} <= {"GET", "POST", "DELETE"}
    assert all(each.role == "operator" for each in TABLE if each.method != "GET")
    assert len({(each.method, each.path) for each in TABLE}) == len(TABLE)
    assert len({each.name for each in TABLE}) == len(TABLE)


def test_what_is_not_served_is_a_problem_and_only_for_who_may_look(api: Api) -> None:
    for path in ("/nothing", "", "/queues/q/jobs/j/nothing", "/queues/", "/a%0Ab/c"):
        answer = api.ask("GET", path)
        assert (answer.status_code, answer.json()["code"]) == (404, "jobd.not_found"), path
        assert answer.headers["content-type"] == "application/problem+json"
        assert api.ask("GET", path, who=None).status_code == 401
    wrong = api.ask("PUT", "/operations", body=b"{}", who="operator")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "jobd.wrong_method")
    assert wrong.headers["allow"] == "GET, POST"
    assert api.ask("HEAD", "/operations").status_code == 200


@pytest.mark.parametrize(
    ("body", "kind", "status", "said"),
    [
        (b"[]", "application/json", 400, "body: list; expected a JSON object"),
        (b"{", "application/json", 400, "body: "),
        (b"\xff", "application/json", 400, "body: "),
        (b'"' + b"[" * 5000, "application/json", 400, "body: "),
        (b"[" * 50_000, "application/json", 400, "body: "),
        (b"{}", "text/plain", 415, "content-type: 'text/plain'; expected application/json"),
        (b"{}", None, 415, "content-type: ''; expected application/json"),
        (b'{"wy": "x"}', "application/json", 400, "body: 'wy', unknown; expected task, why; did you mean 'why'?"),
        (b'{"why": 7}', "application/json", 400, "body: Expected `str`, got `int` - at `why`"),
        (b'{"task": "a b"}', "application/json", 400, "task: 'a b'; expected 1 to 128"),
        (b" " * (LARGEST_BODY + 1), "application/json", 413, "body: more than 131072 bytes"),
    ],
)  # fmt: skip
def test_a_body_that_makes_no_sense_is_refused(
    api: Api, body: bytes, kind: str | None, status: int, said: str
) -> None:
    headers = {} if kind is None else {"content-type": kind}
    answer = api.ask("POST", "/queues/q/pause", body=body, who="operator", headers=headers)
    assert answer.status_code == status
    assert said in answer.json()["detail"]
    assert api.gate.audited[-1] == (
        "pause_queue",
        {"queue": "q"} | _task(body),
        answer.json()["code"],
    )


def _task(body: bytes) -> dict[str, str]:
    return {"task": "a b"} if b"a b" in body else {}


def test_a_body_that_does_not_come_is_not_waited_for(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobd.web.api.reading.BODY_WITHIN", 0.05)

    async def run() -> None:
        async def endless() -> Any:
            yield b"{"
            await asyncio.sleep(60)

        answer = await api.send("POST", "/queues/q/pause", who="operator", content=endless())
        assert (answer.status_code, answer.json()["code"]) == (408, "jobd.slow_request")

    asyncio.run(run())


@pytest.mark.parametrize("name", ["a b", "a%00b", "%3Cscript%3E", "x" * 129, "%ff", "ä"])
def test_a_path_holds_names_alone(api: Api, name: str) -> None:
    answer = api.ask("POST", f"/queues/{name}/pause", who="operator")
    assert (answer.status_code, answer.json()["code"]) == (400, "jobd.option")
    assert answer.json()["detail"].startswith("queue: ")


def _made(act: Any, **more: Any) -> Endpoint:
    return Endpoint("GET", "/made", "made", "x", "x", act, dict, **more)


class _Query(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limit: int = 50
    task: str | None = None
    deep: bool = False


def test_a_query_is_read_strictly(api: Api) -> None:
    seen: list[_Query] = []
    own = api.of([_made(lambda _house, call: seen.append(call.query), query=_Query)])
    assert own.ask("GET", "/made?limit=7&task=null&deep=true").status_code == 200
    assert seen == [_Query(limit=7, task="null", deep=True)]
    for query, said in {
        "lmit=7": "query: 'lmit', unknown; expected deep, limit, task; did you mean 'limit'?",
        "limit=x": "query: Expected `int`",
        "limit=7&limit=8": "query: 'limit', given 2 times; expected each parameter once",
        "limit=": "query: Expected `int`",
    }.items():
        answer = own.ask("GET", f"/made?{query}")
        assert (answer.status_code, answer.json()["code"]) == (400, "jobd.bad_request"), query
        assert said in answer.json()["detail"]


def test_a_mistake_of_ours_is_an_event_and_says_nothing_to_who_asked(api: Api) -> None:
    def broken(_house: House, _call: Call) -> None:
        raise ValueError("a secret")

    own = api.of([_made(broken)])
    answer = own.ask("GET", "/made")
    assert (answer.status_code, answer.json()["code"]) == (500, "jobd.internal")
    assert "secret" not in answer.text
    [event] = own.told
    assert (event.event, event.why) == ("web.failed", "ValueError('a secret')")  # type: ignore[attr-defined]


def test_an_action_that_failed_is_in_the_audit_log_too(api: Api) -> None:
    def broken(_house: House, _call: Call) -> None:
        raise ValueError("x")

    own = api.of([_made(broken)._replace(method="POST")])
    own.ask("POST", "/made", who="operator")
    assert own.gate.audited == [("made", {}, "jobd.internal")]


def test_redis_that_is_away_is_a_503_and_soon(api: Api) -> None:
    away = api.at("redis://127.0.0.1:1/0")
    for method, path in (("GET", "/jobs/j"), ("POST", "/queues/q/pause")):
        answer = away.ask(method, path, who="operator")
        assert (answer.status_code, answer.json()["code"]) == (503, "jobd.broker_unavailable")
        assert answer.headers["retry-after"] == "1"


def test_threads_do_so_much_at_once_and_keep_so_many_in_line() -> None:
    async def run() -> None:
        threads, gate = Threads(most=2, line=1, within=5.0), threading.Event()
        tasks = [asyncio.create_task(threads.run(lambda: gate.wait(30))) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Crowded):
            await threads.run(lambda: 1)
        gate.set()
        assert await asyncio.gather(*tasks) == [True] * 3
        assert await threads.run(lambda: 7) == 7
        with pytest.raises(ZeroDivisionError):
            await threads.run(lambda: 1 // 0)

    asyncio.run(run())


def test_work_that_is_late_keeps_its_place_and_what_has_not_begun_does_not_begin() -> None:
    async def run() -> None:
        threads, gate = Threads(most=1, line=5, within=0.05), threading.Event()
        begun: list[int] = []
        with pytest.raises(TooLate):
            await threads.run(lambda: gate.wait(30))
        with pytest.raises(TooLate):
            await threads.run(lambda: begun.append(1))
        given_up = asyncio.create_task(threads.run(lambda: begun.append(2)))
        await asyncio.sleep(0)
        given_up.cancel()
        gate.set()
        assert await threads.run(lambda: "next") == "next"
        assert begun == []

    asyncio.run(run())


def test_the_document_is_of_the_table(api: Api) -> None:
    answer = api.ask("GET", "/openapi.json")
    document: Mapping[str, Any] = answer.json()
    assert document["openapi"] == "3.1.0"
    told = {
        (method.upper(), path): operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert told.keys() == {(each.method, each.path) for each in TABLE}
    for each in TABLE:
        operation = told[each.method, each.path]
        assert operation["x-role"] == each.role
        assert str(each.status) in operation["responses"]
        assert ("requestBody" in operation) == (each.body is not None)
        for parameter in operation["parameters"]:
            assert parameter["schema"].get("default", "") is not None
            assert parameter["schema"].keys() & {"type", "enum"}, parameter
    for ref in _refs(document):
        assert ref.rpartition("/")[2] in document["components"]["schemas"]


def _refs(found: Any) -> list[str]:
    if isinstance(found, dict):
        own = [found["$ref"]] if isinstance(found.get("$ref"), str) else []
        return own + [ref for value in found.values() for ref in _refs(value)]
    return [ref for value in found for ref in _refs(value)] if isinstance(found, list) else []
