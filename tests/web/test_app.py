"""The application alone: mistakes, and answers that take a while."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from jobd.core.events import Event
from jobd.seams.lines import pair
from jobd.seams.service import Attendance
from jobd.web import app as apps
from jobd.web.scrape import Late, Shared
from jobd.web.server import Errors


async def _get(app: Starlette, path: str, **more: Any) -> httpx.Response:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        return await client.get(path, **more)


def _app(told: list[Event], **more: Any) -> Starlette:
    return apps.make_app(None, emit=told.append, **more)  # type: ignore[arg-type]


def test_a_mistake_is_an_event_with_its_path_and_no_traceback_for_who_asked() -> None:
    async def broken(_request: Request) -> Response:
        raise ValueError("a secret")

    told: list[Event] = []
    app = _app(told, more=[Route("/broken", broken)])
    answer = asyncio.run(_get(app, "/broken"))
    assert (answer.status_code, answer.json()) == (500, {"ok": False, "error": "internal error"})
    [event] = told
    assert event.event == "web.failed"
    assert (event.path, event.why) == ("/broken", "ValueError('a secret')")  # type: ignore[attr-defined]


def test_a_mistake_half_way_is_one_event_too() -> None:
    """Who serves the application logs what it raises; that is known as told."""

    async def parts() -> AsyncIterator[bytes]:
        yield b"a part"
        raise ValueError("no more")

    async def broken(_request: Request) -> Response:
        return StreamingResponse(parts())

    told: list[Event] = []
    app = _app(told, more=[Route("/broken", broken)])
    with pytest.raises(apps.Told) as raised:
        asyncio.run(_get(app, "/broken"))
    assert [event.why for event in told] == ["ValueError('no more')"]  # type: ignore[attr-defined]
    logged: list[tuple[str, str]] = []
    handler = Errors(lambda path, why: logged.append((path, why)))
    logger = logging.getLogger("test of errors")
    logger.addHandler(handler)
    logger.error("Exception in ASGI application\n", exc_info=raised.value)
    assert not logged
    logger.error("Something else\n", exc_info=ValueError("x"))
    assert logged == [("test of errors", "Something else: ValueError('x')")]


def test_metrics_are_given_in_the_format_that_is_asked_for() -> None:
    def metrics(accept: str) -> tuple[bytes, str]:
        return accept.encode(), "text/of-it"

    app = _app([], metrics=metrics)
    plain = asyncio.run(_get(app, "/metrics"))
    assert (plain.text, plain.headers["content-type"]) == ("", "text/of-it")
    asked = {"accept": "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.4"}
    assert "openmetrics" in asyncio.run(_get(app, "/metrics", headers=asked)).text
    assert "/metrics" in asyncio.run(_get(app, "/")).json()["paths"]
    assert asyncio.run(_get(_app([]), "/metrics")).status_code == 404


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_who_asks_for_the_api_where_it_is_not_served_is_told_why(method: str) -> None:
    """A bare `not found` would send people to look for another path."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=_app([]))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.request(method, "/api/v1/queues")

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.json()["error"]) == (404, "not found")
    assert "[web.dashboard]" in answer.json()["dashboard"]
    assert "dashboard" not in asyncio.run(_get(_app([]), "/nothing")).json()


def test_metrics_that_take_too_long_are_no_reason_to_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = threading.Event()

    def metrics(_accept: str) -> tuple[bytes, str]:
        gate.wait(30)
        return b"there", "text/plain"

    monkeypatch.setattr(apps, "_SCRAPE_WITHIN", 0.05)
    app = _app([], metrics=metrics)

    async def run() -> None:
        late = await _get(app, "/metrics")
        assert (late.status_code, late.json()["ok"]) == (503, False)
        gate.set()
        assert (await _get(app, "/metrics")).text == "there"

    asyncio.run(run())


class Made:
    """Makes answers one at a time, each when it is let."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.begun = self.inside = self.most = 0

    def __call__(self) -> int:
        self.begun += 1
        number = self.begun
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.gate.wait(30)
        self.inside -= 1
        if number == 2:
            raise ValueError("the second")
        return number


async def _until(look: Callable[[], bool]) -> None:
    while not look():
        await asyncio.sleep(0.001)


def test_who_asks_meanwhile_shares_one_answer_and_the_next_gets_a_new_one() -> None:
    async def run() -> None:
        made = Made()
        shared = Shared("it", made, within=5.0)
        asked = [asyncio.create_task(shared.get()) for _ in range(10)]
        await _until(lambda: made.begun == 1)
        made.gate.set()
        assert await asyncio.gather(*asked) == [1] * 10
        failed = await asyncio.gather(*(shared.get() for _ in range(3)), return_exceptions=True)
        assert [repr(each) for each in failed] == ["ValueError('the second')"] * 3
        assert await shared.get() == 3
        assert made.most == 1

    asyncio.run(run())


def test_one_that_hangs_is_joined_and_never_doubled() -> None:
    async def run() -> None:
        made = Made()
        shared = Shared("it", made, within=0.02)
        for _ in range(5):
            with pytest.raises(Late, match=r"it: not there after 0\.02 s"):
                await shared.get()
        assert made.begun == 1
        made.gate.set()
        await _until(lambda: not made.inside)
        assert await Shared("it", lambda: 7, within=5.0).get() == 7

    asyncio.run(run())


def test_an_attendance_knows_whether_it_has_heard_anything() -> None:
    ours, theirs = pair()
    with theirs:
        attendance = Attendance(ours)
        attendance.hear()
        assert not attendance.has_heard
        theirs.sendall(b'{"daemon": {"ready": true, "stopping": false}}\n')
        attendance.hear()
        assert attendance.has_heard
        assert attendance.daemon.ready
    ours.close()
