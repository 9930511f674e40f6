"""The API, asked without a socket, with a gate that knows three people by a header."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from starlette.applications import Starlette
from starlette.requests import Request

from jobd.broker.connection import connect
from jobd.core.config_alerts import RuleConfig
from jobd.core.events import Event
from jobd.web.api.endpoint import Endpoint
from jobd.web.api.gate import Role
from jobd.web.api.house import House
from jobd.web.api.operations import Operations
from jobd.web.api.problems import RequestError
from jobd.web.api.routes import api_routes
from jobd.web.api.table import TABLE

NAMESPACE = "jobd"


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
        runtime_dir: Path,
        *,
        table: Sequence[Endpoint] = TABLE,
        rules: Sequence[RuleConfig] = (),
    ) -> None:
        self.told: list[Event] = []
        self.gate = Gatekeeper()
        self.client = connect(url, timeout=2.0)
        self._url = url
        self._runtime_dir = runtime_dir
        house = House(self.client, NAMESPACE, runtime_dir, rules, Operations(emit=self.told.append))
        self.app = Starlette(
            routes=api_routes(house, self.gate, emit=self.told.append, table=table)
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
