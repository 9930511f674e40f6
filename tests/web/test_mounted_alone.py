"""The mounted dashboard without a socket: what it is made of, whom it lets in, on which loops."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from jobd import Jobd
from jobd.web import Person, anybody, dashboard, prefixed
from jobd.web.auth import host
from jobd.web.auth.gatekeeper import CSRF_HEADER


def mounted(app: ASGIApp, at: str = "/jobd") -> ASGIApp:
    return Starlette(routes=[Mount(at, app)])


def ask(
    app: ASGIApp, path: str, *, at: str = "http://127.0.0.1:8000", peer: str = "127.0.0.1",
    method: str = "GET", **more: Any,
) -> httpx.Response:  # fmt: skip
    """Ask on an event loop of its own."""

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, client=(peer, 5))
        async with httpx.AsyncClient(transport=transport, base_url=at) as client:
            return await client.request(method, path, **more)

    return asyncio.run(send())


def ops(_request: Request) -> Person:
    return Person("ops", "operator")


def test_it_is_never_open_by_accident(redis_url: str) -> None:
    for wrong in (None, True, "operator", Person("ops", "operator")):
        with pytest.raises(TypeError, match=r"auth: not given; expected a function .*anybody"):
            dashboard(Jobd(redis_url), auth=wrong)  # type: ignore[arg-type]


def test_a_list_is_no_text(redis_url: str) -> None:
    with pytest.raises(TypeError, match=r"hosts: 'jobs\.example'; expected a list"):
        dashboard(Jobd(redis_url), auth=ops, hosts="jobs.example")


@pytest.mark.parametrize(
    ("name", "role", "said"),
    [
        ("ops", "operators", "role: 'operators'; expected operator, viewer; did you mean 'operator'?"),
        ("", "viewer", "name: ''; expected a text"),
        (7, "viewer", "name: 7; expected a text"),
        (None, "viewer", "name: None; expected a text"),
    ],
)  # fmt: skip
def test_a_person_has_a_name_and_a_role(name: Any, role: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("?", r"\?")):
        Person(name, role)


def test_who_is_not_said_to_act_may_look() -> None:
    assert Person("eva").role == "viewer"


def test_opened_to_anybody_it_serves_this_host_alone(redis_url: str) -> None:
    app = mounted(dashboard(Jobd(redis_url), auth=anybody))
    assert ask(app, "/jobd/session").json()["role"] == "operator"
    beyond: list[dict[str, Any]] = [
        {"peer": "10.0.0.9"},
        {"at": "http://10.0.0.1:8000"},
        {"at": "http://evil.example"},
        {"headers": {"X-Forwarded-For": "127.0.0.1"}},
    ]
    for how in beyond:
        refused = ask(app, "/jobd/session", **how)
        assert (refused.status_code, refused.json()["code"]) == (403, "jobd.wrong_host"), how


def test_it_may_be_served_by_many_loops_at_once(redis_url: str) -> None:
    """As by test clients: each has its own, that ends."""
    app = mounted(dashboard(Jobd(redis_url), auth=ops))
    said: list[int] = []

    def some() -> None:
        said.extend(ask(app, "/jobd/api/v1/queues").status_code for _ in range(10))

    crowd = [threading.Thread(target=some) for _ in range(4)]
    for each in crowd:
        each.start()
    for each in crowd:
        each.join()
    assert said == [200] * 40


def test_the_function_sees_what_the_application_has_set(redis_url: str) -> None:
    """Its context variables, its state, its parameters of the path, its session; ours see none of them."""
    user: ContextVar[str] = ContextVar("user")
    strange = "no name of a job: " + "x" * 300

    def who(request: Request) -> Person:
        assert request.app.state.is_theirs
        assert request.path_params == {"job": strange}
        return Person(f"{user.get()} of {request.session['team']}", "operator")

    async def awho(request: Request) -> Person:
        return who(request)

    for auth in (who, awho):
        inner = Starlette(routes=[Mount("/{job}/jobd", dashboard(Jobd(redis_url), auth=auth))])
        inner.state.is_theirs = True

        async def app(scope: Scope, receive: Receive, send: Send, inner: ASGIApp = inner) -> None:
            user.set("ops")
            await inner({**scope, "session": {"team": "shop"}}, receive, send)

        bearer = {"Authorization": "Bearer x", CSRF_HEADER: ""}
        said = ask(app, f"/{strange}/jobd/api/v1/queues/q/pause", method="POST", headers=bearer)
        assert (said.status_code, said.json()["code"]) == (404, "jobd.no_such_queue")
        assert "'q'" in said.json()["detail"]


def test_behind_tls_the_cookie_is_sent_by_tls_alone(redis_url: str) -> None:
    made = dashboard(Jobd(redis_url), auth=ops)
    below = ask(mounted(made), "/jobd/session", at="https://jobs.example").headers["set-cookie"]
    assert below.startswith("__Secure-jobd-")
    assert {"secure", "httponly", "samesite=lax", "path=/jobd"} <= set(below.lower().split("; "))
    whole = ask(made, "/session", at="https://jobs.example").headers["set-cookie"]
    assert whole.startswith("__Host-jobd-")
    assert "path=/;" in whole.lower()


def test_a_function_that_does_not_come_back_lets_nobody_in(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is cancelled, too."""
    monkeypatch.setattr(host, "_WITHIN", 0.1)

    async def tried() -> int:
        was_ended = asyncio.Event()

        async def never(_request: Request) -> Person:
            try:
                await asyncio.Event().wait()
            finally:
                was_ended.set()
            raise AssertionError

        transport = httpx.ASGITransport(app=dashboard(Jobd(redis_url), auth=never))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            answer = await client.get("/api/v1/queues")
        await asyncio.wait_for(was_ended.wait(), 10)
        return answer.status_code

    assert asyncio.run(tried()) == 500


def test_what_a_loop_left_under_way_takes_no_place_of_anothers(redis_url: str) -> None:
    """Loops end in the middle of requests; what their threads come to then is nobody's."""
    entered, gate = threading.Semaphore(0), threading.Event()

    def who(request: Request) -> Person:
        if request.url.path == "/session":
            entered.release()
            gate.wait(30)
        return Person("ops")

    app = dashboard(Jobd(redis_url), auth=who)

    async def leave() -> None:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            asking = asyncio.ensure_future(client.get("/session"))
            assert await asyncio.to_thread(lambda: entered.acquire(timeout=30))
            asking.cancel()
            await asyncio.wait([asking])

    for _ in range(10):
        asyncio.run(leave())
    gate.set()
    assert ask(app, "/api/v1/queues").status_code == 200


def test_a_redirect_that_the_application_raises_is_one(redis_url: str) -> None:
    def elsewhere(_request: Request) -> Person:
        raise HTTPException(302, headers={"Location": "/sso"})

    def senseless(_request: Request) -> Person:
        raise HTTPException(200, "fine")

    app = mounted(dashboard(Jobd(redis_url), auth=elsewhere))
    for headers in ({}, {"Accept": "text/html"}):
        answer = ask(app, "/jobd/", headers=headers)
        assert (answer.status_code, answer.headers["location"]) == (302, "/sso")
    app = mounted(dashboard(Jobd(redis_url), auth=senseless))
    assert ask(app, "/jobd/session").status_code == 403


def test_what_is_beside_a_prefix_is_the_others() -> None:
    async def ours(scope: Scope, receive: Receive, send: Send) -> None:
        said = f"{scope['root_path']} {scope['path']}"
        await PlainTextResponse(said)(scope, receive, send)

    theirs = Starlette(routes=[Route("/{path:path}", lambda r: PlainTextResponse("theirs"))])
    app = prefixed("/a/jobd", ours, theirs)
    assert ask(app, "/a/jobd/x").text == "/a/jobd /a/jobd/x"
    assert ask(Starlette(routes=[Mount("/o", app)]), "/o/a/jobd/").text == "/o/a/jobd /o/a/jobd/"
    assert ask(app, "/a/jobd").headers["location"] == "/a/jobd/"
    for path in ("/", "/a", "/a/jobdx", "/jobd/", "/b/a/jobd/"):
        assert ask(app, path).text == "theirs"
    for wrong in ("", "jobd", "/jobd/", "/"):
        with pytest.raises(ValueError, match="expected a path such as '/jobd'"):
            prefixed(wrong, ours, theirs)


def test_below_a_path_with_strange_characters_links_lead_there(redis_url: str) -> None:
    """Nothing of it begins a query in a link, or is taken for another path."""

    def eva(request: Request) -> Person | None:
        return Person("eva") if "who" in request.headers else None

    here = dashboard(Jobd(redis_url), auth=eva, login_url="/enter")
    app = Starlette(routes=[Mount("/t/{tenant}/jobd", here)])
    root = "/t/a%3Fb%25%23%20c/jobd"
    html, who = {"accept": "text/html"}, {"who": "eva"}
    page = ask(app, f"{root}/workers?queue=%3F", headers=html | who)
    assert f'href="{root}/schedules"' in page.text
    assert f'name="live" content="{root}/live/workers?queue=%3F"' in page.text
    assert f'name="root" content="{root}"' in page.text
    assert f"Path={root};" in page.headers["set-cookie"]
    document = ask(app, f"{root}/api/v1/openapi.json", headers=who)
    assert document.json()["servers"] == [{"url": f"{root}/api/v1"}]
    assert ask(app, f"{root}/find", headers=who).headers["location"] == f"{root}/"
    led = ask(app, f"{root}/workers", headers=html).headers["location"]
    assert httpx.URL(led).params["next"] == f"{root}/workers"
    beside = prefixed("/a?b", here, here)
    assert ask(beside, "/a%3Fb?x=1").headers["location"] == "/a%3Fb/?x=1"
