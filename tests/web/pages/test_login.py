"""The log-in page: the form, why it is shown again, and what it says where nobody can log in."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from support.logins import dashboard
from support.pages import Node, PageSite, tree

from jobd.broker.connection import connect
from jobd.core.config import WebConfig
from jobd.core.config_web import DashboardConfig
from jobd.web.auth.make import make_auth
from jobd.web.pages.login_page import login_route
from jobd.web.pages.render import Renderer
from jobd.web.threads import Threads


def page(url: str, config: DashboardConfig, path: str = "/login") -> Node:
    made = make_auth(
        WebConfig(dashboard=config), connect(url, timeout=1.0), "t",
        emit=lambda _: None, threads=Threads(),
    )  # fmt: skip
    assert made is not None
    app = Starlette(routes=[login_route(made[0], Renderer(version="v"))])

    async def send() -> str:
        transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 5))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9180") as them:
            return (await them.get(path)).text

    return tree(asyncio.run(send()))


def test_users_have_a_form_with_a_name_for_each_field(redis_url: str) -> None:
    shown = page(redis_url, dashboard(), "/login?next=/dead")
    assert shown.one("form").attrs["action"] == "/login"
    assert shown.one("input", name="next").attrs["value"] == "/dead"
    assert [label.text for label in shown.all("label")] == ["User", "Password"]


@pytest.mark.parametrize(
    ("why", "says"),
    [
        ("jobd.wrong_password", "User or password is wrong."),
        ("jobd.too_many_tries", "Too many tries"),
        ("<b>", "did not work"),
    ],
)
def test_it_says_why_it_is_shown_again(redis_url: str, why: str, says: str) -> None:
    shown = page(redis_url, dashboard(), f"/login?why={why}")
    assert says in shown.one("p", role="alert").text
    assert shown.all("b") == []


def test_with_tokens_alone_it_says_how_to_have_a_user(redis_url: str) -> None:
    shown = page(redis_url, dashboard(users={}))
    assert shown.all("form") == []
    assert "Nobody can log in here" in shown.text
    assert "jobd hash-password" in shown.text


def test_where_it_is_open_it_leads_in(redis_url: str) -> None:
    shown = page(redis_url, DashboardConfig(open=True))
    assert shown.all("form") == []
    assert shown.links == {"To the overview": "/"}


def test_it_needs_nobody_to_be_logged_in(redis_url: str, tmp_path: Path) -> None:
    assert PageSite(redis_url, tmp_path).ask("/login", who=None).status_code == 200
