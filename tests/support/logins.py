"""A guarded application, and browsers of it: no socket, real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from jobd.broker.connection import connect
from jobd.core.config import WebConfig
from jobd.core.config_web import DashboardConfig, TokenConfig, UserConfig
from jobd.core.events import Event
from jobd.core.passwords import Scrypt, hashed, hashed_token, written
from jobd.core.web_events import WebAudit
from jobd.web.auth.auth import CSRF_HEADER
from jobd.web.auth.guard import guard, note, who_of
from jobd.web.auth.headers import SecureHeaders
from jobd.web.auth.make import make_auth
from jobd.web.threads import Threads

CHEAP = Scrypt(2**4, 8, 1, b"", b"")  # a configuration may not say so
PASSWORDS = {"ops": "correct horse", "eva": "battery staple"}
TOKENS = {"deploy": "jobd_" + "d" * 43, "watch": "jobd_" + "w" * 43}


def hash_of(password: str) -> str:
    return written(hashed(password, b"some salt of it!", CHEAP))


HASHES = {name: hash_of(password) for name, password in PASSWORDS.items()}


def dashboard(**more: Any) -> DashboardConfig:
    """An operator, a viewer, and a program of each kind."""
    users = {
        "ops": UserConfig(password=HASHES["ops"]),
        "eva": UserConfig(password=HASHES["eva"], role="viewer"),
    }
    tokens = {
        "deploy": TokenConfig(token=hashed_token(TOKENS["deploy"])),
        "watch": TokenConfig(token=hashed_token(TOKENS["watch"]), role="viewer"),
    }
    return DashboardConfig(**({"users": users, "tokens": tokens} | more))


class Site:
    """The application of one web process. `did` has what its only action was called with."""

    def __init__(self, url: str, config: DashboardConfig, *, namespace: str = "t") -> None:
        self.did: list[str] = []
        self.events: list[Event] = []
        self.client = connect(url, timeout=1.0)
        made = make_auth(
            WebConfig(dashboard=config), self.client, namespace,
            emit=self.events.append, threads=(threads := Threads()),
        )  # fmt: skip
        assert made is not None
        self.auth, self.login = made
        routes = guard(
            self.auth,
            [
                Route("/", self._page),
                Route("/queues/{queue}/pause", self._act, methods=["POST"], name="queue.pause"),
                Route("/broken", self._broken, methods=["POST"], name="broken"),
            ],
            threads=threads,
            login="/login",
        )
        self.app = SecureHeaders(Starlette(routes=[*self.login.routes(), *routes]))

    async def _page(self, request: Request) -> Response:
        return PlainTextResponse(who_of(request).name)

    async def _act(self, request: Request) -> Response:
        body = await request.body()
        note(request, {"size": str(len(body))})
        self.did.append(request.path_params["queue"])
        return PlainTextResponse("paused")

    async def _broken(self, request: Request) -> Response:
        raise ValueError("a mistake")

    @property
    def told(self) -> list[tuple[str, str, str]]:
        """Who did what, and how it went."""
        return [(e.who, e.what, e.outcome) for e in self.events if isinstance(e, WebAudit)]


class Browser:
    """Somebody with a browser, at an address. Cookies are kept as browsers do."""

    def __init__(
        self, site: Site, *, at: str = "http://127.0.0.1:9180", address: str = "127.0.0.1"
    ) -> None:
        self.site = site
        self.at = at
        self.address = address
        self.cookies = httpx.Cookies()
        self.csrf = ""

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Send one request, as a page of the site does."""
        headers: dict[str, str] = {}
        if method != "GET":
            headers = {"Origin": self.at, CSRF_HEADER: self.csrf}
        given: Mapping[str, str | None] = more.pop("headers", {})
        merged = {k: v for k, v in (headers | dict(given)).items() if v is not None}

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(
                app=self.site.app, client=(self.address, 5), raise_app_exceptions=False
            )
            async with httpx.AsyncClient(
                transport=transport, base_url=self.at, cookies=self.cookies
            ) as client:
                answer = await client.request(method, path, headers=merged, **more)
                self.cookies = client.cookies
                return answer

        return asyncio.run(send())

    def get(self, path: str = "/", **more: Any) -> httpx.Response:
        return self.ask("GET", path, **more)

    def post(self, path: str = "/queues/q/pause", **more: Any) -> httpx.Response:
        return self.ask("POST", path, **more)

    def log_in(self, user: str = "ops", password: str | None = None, **more: Any) -> httpx.Response:
        """Log in as a script of the page does, and keep what it has to send along."""
        given = {"user": user, "password": PASSWORDS.get(user) if password is None else password}
        answer = self.post("/login", json=given, **more)
        if answer.status_code == 200:
            self.csrf = answer.json()["csrf"]
        return answer


def code(answer: httpx.Response) -> tuple[int, str]:
    """Give status and code of a refusal."""
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == answer.status_code
    return answer.status_code, document["code"]
