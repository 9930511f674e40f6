"""The API, asked without a socket, with a gate that knows three people by a header."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from starlette.applications import Starlette
from starlette.requests import Request

from jobd import Queue
from jobd.broker.browse import Browser
from jobd.broker.commands import Completed, Ending
from jobd.broker.connection import connect
from jobd.broker.keys import QueueKeys
from jobd.broker.new_job import NewJob
from jobd.broker.store import Store, register_queues
from jobd.core.config_alerts import RuleConfig
from jobd.core.events import Event
from jobd.core.masking import Masking
from jobd.core.states import STATES
from jobd.web.api.endpoint import Endpoint
from jobd.web.api.gate import Role
from jobd.web.api.house import House
from jobd.web.api.operations import Operations
from jobd.web.api.problems import RequestError
from jobd.web.api.routes import api_routes
from jobd.web.api.table import TABLE
from jobd.web.threads import Threads
from support.daemons import eventually

NAMESPACE = "jobd"
MASK = Masking()
# A name for each part that a path may have.
PATHS = {"queue": "q", "job": "j-1", "schedule": "s", "operation": "o", "host": "h", "slot": "q.1"}


class Known(NamedTuple):
    """Somebody who was admitted."""

    name: str


class Unknown(RequestError):
    code = "test.unknown"
    status = 401


class Forbidden(RequestError):
    code = "test.forbidden"
    status = 403


class Gatekeeper:
    """A gate: the header `who` is believed."""

    def __init__(self) -> None:
        self.audited: list[tuple[str, Mapping[str, str], str]] = []

    def admit(self, request: Request, role: Role) -> Known:
        who = request.headers.get("who")
        if who is None:
            raise Unknown("who: nobody")
        if role == "operator" and who != "operator":
            raise Forbidden("who: a viewer")
        return Known(who)

    def audit(
        self, request: Request, person: object, what: str, on: Mapping[str, str], outcome: str
    ) -> None:
        self.audited.append((what, dict(on), outcome))


class Api:
    """One API on one Redis."""

    def __init__(
        self,
        url: str,
        runtime_dir: Path | None,
        *,
        table: Sequence[Endpoint] = TABLE,
        rules: Sequence[RuleConfig] = (),
        mask: Masking = MASK,
        timeout: float = 2.0,
        sinks: Sequence[str] | None = None,
    ) -> None:
        """`timeout` is that of its client of Redis, in seconds."""
        self.told: list[Event] = []
        self.gate = Gatekeeper()
        self.client = connect(url, timeout=timeout)
        self._url = url
        self._runtime_dir = runtime_dir
        self.house = House(
            self.client,
            NAMESPACE,
            Browser(self.client, NAMESPACE),
            runtime_dir,
            rules,
            Operations(self.client, NAMESPACE, host="here", emit=self.told.append),
            mask,
            sinks,
        )
        self.app = Starlette(
            routes=api_routes(
                self.house, self.gate, threads=Threads(), emit=self.told.append, table=table
            )
        )

    def of(self, table: Sequence[Endpoint]) -> Api:
        """The same with another table."""
        return Api(self._url, self._runtime_dir, table=table)

    def at(self, url: str) -> Api:
        """The same on another Redis."""
        return Api(url, self._runtime_dir)

    def ask(
        self,
        method: str,
        path: str,
        *,
        who: str | None = "viewer",
        body: bytes | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Ask, as one of them."""
        more: dict[str, Any] = {"content": body} if json is None else {"json": json}
        if headers:
            more["headers"] = dict(headers)
        return asyncio.run(self.send(method, path, who=who, **more))

    async def send(self, method: str, path: str, *, who: str | None, **more: Any) -> httpx.Response:
        headers = more.pop("headers", {}) | ({} if who is None else {"who": who})
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x/api/v1") as client:
            return await client.request(method, path, headers=headers, **more)

    def act(self, method: str, path: str, json: object = None) -> Any:
        """Do something as an operator; give what is answered."""
        answer = self.ask(method, path, who="operator", json=json)
        assert answer.is_success, answer.text
        return answer.json()

    def get(self, path: str) -> Any:
        """Look as a viewer; give what is answered."""
        answer = self.ask("GET", path)
        assert answer.is_success, answer.text
        return answer.json()


# Text that breaks what does not expect it.
HOSTILE = (
    "<script>alert(1)</script>", "\u202egnp.exe", "a\0b", "😀", "'; DROP TABLE jobs", "x" * 100_000,
)  # fmt: skip


def furnish(client: Any, queue: str = "q") -> dict[str, list[str]]:
    """Put jobs into each state, what a stranger may write included; give their ids by state."""
    register_queues(client, NAMESPACE, [queue])
    store = Store(client, NAMESPACE, queue)
    keys = QueueKeys(NAMESPACE, queue)
    ids = {state: [f"{state}-{n}" for n in range(len(HOSTILE))] for state in STATES}
    gone = [*ids["completed"], *ids["dead"], *ids["active"]]
    store.add([NewJob(job, "work", b'{"x": 1}') for job in gone])
    store.join("w.1", 30_000_000)
    claim = store.claim("w.1", 30_000_000, limit=256, budget_us=10**9, costs=["work", 1])
    by_id = {job.id.decode(): job for job in claim.jobs}
    store.settle(
        "w.1", 30_000_000,
        completed=[Completed(by_id[job].id, claim.number, "work|1|2|3", b'{"r": 1}') for job in ids["completed"]],
        endings=[
            Ending("dead", by_id[job].id, claim.number, "work|1|2|3", 0, "failed", {"error": text})
            for job, text in zip(ids["dead"], HOSTILE, strict=True)
        ],
    )  # fmt: skip
    store.add([NewJob(job, "work", b"{}") for job in ids["waiting"] + ids["cancelled"]])
    store.add([NewJob(job, "work", b"{}", due="+100000000") for job in ids["delayed"]])
    store.cancel(ids["cancelled"])
    for state in STATES:
        for job, text in zip(ids[state], HOSTILE, strict=True):
            raw = text.encode() + b"\xed\xa0\x80"
            client.hset(
                keys.job(job), mapping={"task": raw, "~log": raw, "meta": raw, "group": raw}
            )
            client.hset(
                keys.job(job), mapping={"history": b"\xff" + raw, "options": b"[" * 3000, "at": raw}
            )
    return ids


def die(queue: Queue, count: int, task: str = "work", error: str = "no") -> list[str]:
    """Add jobs and let them be dead."""
    ids = [h.id for h in queue.add_many([(task, {})] * count)]
    store = queue._producer.store(queue.name)
    store.join("w.1", 30_000)
    claim = store.claim("w.1", 30_000, limit=count, budget_us=10**9, costs=[task, 1])
    ends = [
        Ending("dead", job.id, claim.number, f"{task}|0|0|0", 0, "failed", {"error": error})
        for job in claim.jobs
    ]
    assert len(ends) == count
    assert store.settle("w.1", 30_000, endings=ends) == []
    return ids


def ended(api: Api, operation: dict[str, Any]) -> dict[str, Any]:
    """Wait for the end of an operation."""

    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = api.get(f"/operations/{operation['id']}")
        return found if found["ended_at"] is not None else None

    return eventually("the end of an operation", look)
