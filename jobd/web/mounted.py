"""The dashboard as an application to mount in another one, whose users are those of that one.

Invariant: nothing of it needs a daemon on this host, lifespan events, or a secret of this process; it works
below any path, in several processes and on several event loops. No stream holds up the end of the server
around it. What it does is told to the logger `jobd.web`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from starlette.datastructures import MutableHeaders
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobd.broker.browse import Browser
from jobd.broker.connection import connect
from jobd.broker.web_secret import WebSecret
from jobd.client.app import Jobd
from jobd.core.masking import DEFAULT_MASK, Masking
from jobd.seams.applog import to_logger
from jobd.seams.ending import is_ending
from jobd.seams.hostname import host_name
from jobd.seams.log import Emit
from jobd.web.api.house import House
from jobd.web.api.operations import Operations
from jobd.web.api.routes import api_routes
from jobd.web.app import plain_app
from jobd.web.auth.host import Ask, HostAuth, HostSide
from jobd.web.auth.whoami import session_routes
from jobd.web.loops import LoopThreads
from jobd.web.pages.routes import Pages
from jobd.web.sparing import Sparing
from jobd.web.watch_redis import PATIENCE

LOGGER = "jobd.web"
_LOOKS_EVERY = 0.5
_NO_AUTH = (
    "dashboard: auth: not given; expected a function that takes the request and returns a "
    "jobd.web.Person, or None for whoever may not look; for your own machine give jobd.web.anybody"
)


def dashboard(
    app: Jobd,
    *,
    auth: Ask | None = None,
    login_url: str | None = None,
    hosts: Sequence[str] = (),
    mask: Sequence[str] = DEFAULT_MASK,
) -> ASGIApp:
    """Make the dashboard of an application: pages, live streams and the API, to be mounted at a path.

    `auth` says who asks: it is given the request and returns a Person, or None. It may be async; else it
    is called in a thread. `login_url` is where browsers of nobody are sent, with `next`. `hosts` are the
    names that it is reached by; none: any. `mask` are patterns of names: the values of such fields of
    payloads are not shown. Opens no connection. Raises TypeError without `auth`, or for one text as a list.
    """
    if not callable(auth):
        raise TypeError(_NO_AUTH)
    for what, given in (("hosts", hosts), ("mask", mask)):
        if isinstance(given, str):
            raise TypeError(f"dashboard: {what}: {given!r:.80}; expected a list of texts")
    emit: Emit = Sparing(to_logger(LOGGER))
    url, namespace = app.producer.url, app.producer.namespace
    # Connections of its own: a page that waits for Redis takes none from those who add jobs.
    client = connect(url, timeout=PATIENCE)
    operations = Operations(client, namespace, host=host_name(), emit=emit)
    house = House(
        client, namespace, Browser(client, namespace), None, (), operations, Masking(mask)
    )  # fmt: skip
    gate = HostAuth(
        auth,
        namespace,
        secret=WebSecret(client, namespace).read,
        login_url=login_url,
        hosts=[each.lower() for each in hosts],
        emit=emit,
    )
    threads = LoopThreads(name="jobd.web")
    pages = Pages(house, gate, threads=threads, emit=emit)
    routes: list[BaseRoute] = [
        *session_routes(gate, threads=threads),
        *api_routes(house, gate, threads=threads, emit=emit),
        *pages.routes(),
    ]
    return _Mounted(plain_app(routes, emit=emit, nowhere=pages.nowhere()), gate, pages.hub.close)


class _Mounted:
    """Takes requests in before anything of ours has touched them, and puts our cookie on answers."""

    def __init__(self, app: ASGIApp, gate: HostAuth, end: Callable[[], None]) -> None:
        """`end` ends all streams."""
        self._app = app
        self._gate = gate
        self._end = end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve HTTP; there is nothing else here."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        elif scope["type"] == "http":
            scope = dict(scope)
            side = self._gate.receive(scope)
            scope["path_params"] = {}  # those of the path it is mounted at are not ours
            await self._app(scope, self._until_the_end(receive), _with_cookie(send, side))
        else:
            await self._app(scope, receive, send)

    def _until_the_end(self, receive: Receive) -> Receive:
        """Wait for more of a client, as streams do as long as they last; end them where the server ends."""

        async def received() -> Message:
            waiting = asyncio.ensure_future(receive())
            try:
                while not (await asyncio.wait([waiting], timeout=_LOOKS_EVERY))[0]:
                    if is_ending():
                        self._end()
                return waiting.result()
            finally:
                waiting.cancel()

        return received


def _with_cookie(send: Send, side: HostSide) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            # What a cache may keep is for everybody.
            if "no-store" in headers.get("cache-control", "") and (cookie := side.to_set()):
                headers.append("Set-Cookie", cookie)
        await send(message)

    return sent
