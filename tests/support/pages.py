"""The pages of a dashboard, asked without a socket: real Redis, the real guard, two people by their tokens.

    site = PageSite(redis_url, tmp_path)
    html = site.get("/queues/q", who="operator")       # 200 and HTML, or the test fails
    page = tree(html)                                  # elements that are closed as they should be
    page.all("button", "data-act"), page.one("h1").text, page.by_id("totals")
    site.parts("/queues/q")                            # the live view now: {id: html}
    with site.watch("/queues/q") as news:              # the stream, as a browser has it
        news.next("whole"); ...; news.until("parts", lambda content: "total" in content["parts"])

`site.api` is the API of the same house (support/api.py), to act with and to put jobs there.
"""

from __future__ import annotations

import asyncio
import json
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx

from jobd.core.config import WebConfig
from jobd.core.config_alerts import RuleConfig
from jobd.core.masking import Masking
from jobd.web.app import plain_app
from jobd.web.auth.make import make_auth
from jobd.web.pages.live import Hub
from jobd.web.pages.page import Page
from jobd.web.pages.parts import split
from jobd.web.pages.routes import Pages
from jobd.web.pages.table import PAGES
from jobd.web.threads import Threads
from support.api import MASK, NAMESPACE, Api
from support.daemons import eventually
from support.logins import TOKENS, dashboard

_TOKENS = {"operator": TOKENS["deploy"], "viewer": TOKENS["watch"]}
_VOID = {"meta", "link", "input", "br", "hr", "img", "col", "wbr"}
WITHIN = 60.0
FRAME = {"nav-dead", "nav-alerts"}
"""The parts that every page has."""


class PageSite:
    """All pages on one Redis. `root`: below which path it is mounted."""

    def __init__(
        self, url: str, runtime_dir: Path | None, *, table: Sequence[Page] = PAGES,
        rules: Sequence[RuleConfig] = (), mask: Masking = MASK, root: str = "",
        sinks: Sequence[str] | None = None,
    ) -> None:  # fmt: skip
        self.api = Api(url, runtime_dir, rules=rules, mask=mask, sinks=sinks)
        self.client, self.told, self.root = self.api.client, self.api.told, root
        made = make_auth(
            WebConfig(dashboard=dashboard()), self.client, NAMESPACE,
            emit=self.told.append, threads=(threads := Threads()),
        )  # fmt: skip
        assert made is not None
        auth, login = made
        self.pages = Pages(
            self.api.house, auth, threads=threads, emit=self.told.append, table=table,
            shared_for=0.04,
        )  # fmt: skip
        self.pages.hub.close()
        self.pages.hub = Hub(self.pages._look, ask=self.pages._ping, every=0.05)
        routes = [*login.routes(), *self.pages.routes()]
        self.app = plain_app(routes, emit=self.told.append, nowhere=self.pages.nowhere())

    def ask(
        self, path: str, who: str | None = "viewer", headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Ask for a page; None: somebody who is not logged in."""
        sent = {"accept": "text/html"} | dict(headers or {}) | _token(who)

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app, root_path=self.root)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as them:
                return await them.get(self.root + path, headers=sent)

        return asyncio.run(send())

    def get(self, path: str, who: str = "viewer") -> str:
        """Give a page that is there; it is well-formed, and its ids are its own."""
        answer = self.ask(path, who)
        assert answer.status_code == 200, (answer.status_code, tree(answer.text).text, self.told)
        assert answer.headers["content-type"].startswith("text/html")
        check(tree(answer.text))
        return answer.text

    def parts(self, path: str, who: str = "viewer") -> dict[str, str]:
        """Give the parts of the live view as they are now; each is one element of its id."""
        with self.watch(path, who) as news:
            news.first()
            [topic] = self.pages.hub._watches
        found = split(self.pages._look(topic)).parts
        for name, html in found.items():
            [element] = tree(html).children
            assert isinstance(element, Node)
            assert element.attrs.get("id") == name
        return {name: html for name, html in found.items() if name not in FRAME}

    @contextmanager
    def watch(self, path: str, who: str = "viewer", *, frame: bool = False) -> Iterator[News]:
        """Follow the stream of a page."""
        news = News(frame=frame)
        loop = asyncio.new_event_loop()
        leave = asyncio.Event()
        scope = _scope(self.root, path, who)

        async def receive() -> Any:
            await leave.wait()
            return {"type": "http.disconnect"}

        thread = threading.Thread(
            target=lambda: loop.run_until_complete(self.app(scope, receive, news.take)), daemon=True
        )
        thread.start()
        try:
            yield news
        finally:
            loop.call_soon_threadsafe(leave.set)
            thread.join(WITHIN)
            assert not thread.is_alive(), "the stream goes on though its viewer left"
            loop.close()


class News:
    """What a stream says, event after event. `frame`: with what moves in the menu of every page."""

    def __init__(self, *, frame: bool = False) -> None:
        self.status = 0
        self._frame = frame
        self._rest = ""
        self._events: queue.Queue[tuple[str, Any]] = queue.Queue()

    async def take(self, message: Any) -> None:
        """Take what the server sends."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        self._rest += message.get("body", b"").decode()
        while "\n\n" in self._rest:
            text, self._rest = self._rest.split("\n\n", 1)
            if not text.startswith(":"):
                name, data = text.split("\n")
                self._put(name.removeprefix("event: "), json.loads(data.removeprefix("data: ")))

    def _put(self, name: str, content: Any) -> None:
        parts = content.get("parts")
        if parts and not self._frame:
            content["parts"] = {it: html for it, html in parts.items() if it not in FRAME}
            if not content["parts"]:
                return
        self._events.put((name, content))

    def next(self, name: str, within: float = WITHIN) -> Any:
        """Give the content of the next event, which has this name. What says nothing is dropped."""
        found, content = self._events.get(timeout=within)
        while found == "beat" != name:
            found, content = self._events.get(timeout=within)
        assert found == name, (found, content)
        return content

    def first(self, within: float = WITHIN) -> str:
        """Give the HTML of the next event that shows something: a page, or those parts of it that are live."""
        found, content = self._events.get(timeout=within)
        while found == "beat":
            found, content = self._events.get(timeout=within)
        assert found in ("whole", "parts"), (found, content)
        return "".join(content["parts"].values()) if found == "parts" else str(content["html"])

    def until(self, name: str, wanted: Callable[[Any], bool], within: float = WITHIN) -> Any:
        """Give the content of the next event that is as wanted; what comes before is dropped."""
        while True:
            found, content = self._events.get(timeout=within)
            if found == name and wanted(content):
                return content

    def stands_still(self, looked_at: Callable[[], int | None], what: str) -> None:
        """Wait for eight looks in a row of which nothing is said. `looked_at`: when the last one was."""
        last, quiet = looked_at(), 0

        def look() -> bool:
            nonlocal last, quiet
            while not self._events.empty():
                quiet = quiet if self._events.get_nowait()[0] == "beat" else 0
            if (at := looked_at()) != last:
                last, quiet = at, quiet + 1
            return quiet >= 8

        eventually(f"eight looks in a row that see nothing new: {what}", look, within=WITHIN)


class Node:
    """An element: `text` is all text within, spaces drawn together."""

    def __init__(self, tag: str, attrs: dict[str, str], parent: Node | None) -> None:
        self.tag, self.attrs, self.parent = tag, attrs, parent
        self.children: list[Node | str] = []

    def walk(self) -> Iterator[Node]:
        """Give this and all elements within."""
        yield self
        for child in self.children:
            if isinstance(child, Node):
                yield from child.walk()

    def all(self, tag: str = "", *having: str, **attrs: str) -> list[Node]:
        """Find elements: of this tag, having these attributes, or with these values (`class_`)."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attrs.items()}
        return [
            node
            for node in self.walk()
            if node is not self
            and (not tag or node.tag == tag)
            and all(name in node.attrs for name in having)
            and all(node.attrs.get(name) == value for name, value in wanted.items())
        ]

    def one(self, tag: str = "", *having: str, **attrs: str) -> Node:
        """Find the only one."""
        found = self.all(tag, *having, **attrs)
        assert len(found) == 1, (tag, having, attrs, len(found))
        return found[0]

    def by_id(self, name: str) -> Node:
        return self.one(id=name)

    @property
    def text(self) -> str:
        return " ".join("".join(self._texts()).split())

    def _texts(self) -> Iterator[str]:
        for child in self.children:
            if isinstance(child, str):
                yield child
            else:
                yield " " if child.tag not in ("a", "b", "code", "time") else ""
                yield from child._texts()

    @property
    def links(self) -> dict[str, str]:
        """Where the links within lead, by their text."""
        return {link.text: link.attrs["href"] for link in self.all("a", "href")}

    @property
    def acts(self) -> dict[str, str]:
        """What the buttons and forms within do, by their label: `POST /api/v1/queues/q/pause`."""
        return {
            (node.text if node.tag == "button" else node.all("button")[-1].text): (
                f"{node.attrs.get('data-act', 'POST')} {unquote(node.attrs['data-path'])}"
            )
            for node in self.all("", "data-path")
        }


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.at = self.top = Node("", {}, None)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        made = Node(tag, {name: value or "" for name, value in attrs}, self.at)
        self.at.children.append(made)
        if tag not in _VOID:
            self.at = made

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.at.tag == tag, f"</{tag}> ends <{self.at.tag}>: {self.getpos()}"
        assert self.at.parent is not None
        self.at = self.at.parent

    def handle_data(self, data: str) -> None:
        self.at.children.append(data)


def tree(html: str) -> Node:
    """Read HTML. Fails where an element is not closed as it should be."""
    builder = _Builder()
    builder.feed(html)
    builder.close()
    assert builder.at is builder.top, f"<{builder.at.tag}> is not closed"
    return builder.top


def check(page: Node) -> None:
    """Fail where a page is not as all pages are: one h1, ids once, names for controls, nothing inline."""
    ids = [node.attrs["id"] for node in page.all("", "id")]
    assert len(ids) == len(set(ids)), sorted({each for each in ids if ids.count(each) > 1})
    assert len(page.all("h1")) == 1
    for node in page.walk():
        assert "style" not in node.attrs, node.attrs
        assert not [name for name in node.attrs if name.startswith("on")], node.attrs
        assert node.tag != "style"
        assert node.tag != "script" or "src" in node.attrs
        assert node.tag != "th" or node.attrs.get("scope") in ("row", "col"), node.text
        if node.tag in ("button", "a") and not _is_within("dialog", node):
            assert node.text or "aria-label" in node.attrs, node.attrs
        if node.tag in ("input", "select", "textarea") and node.attrs.get("type") != "hidden":
            assert "aria-label" in node.attrs or _is_within("label", node), node.attrs


def _is_within(tag: str, node: Node) -> bool:
    at: Node | None = node
    while at is not None:
        if at.tag == tag:
            return True
        at = at.parent
    return False


def _token(who: str | None) -> dict[str, str]:
    return {} if who is None else {"authorization": f"Bearer {_TOKENS[who]}"}


def _scope(root: str, path: str, who: str) -> dict[str, Any]:
    before, _, query = path.partition("?")
    headers = {"host": "127.0.0.1", "accept": "text/event-stream"} | _token(who)
    live = f"{root}/live{before}".rstrip("/")
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": unquote(live), "raw_path": live.encode(), "root_path": root,
        "query_string": query.encode(), "client": ("127.0.0.1", 5), "server": ("127.0.0.1", 80),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
