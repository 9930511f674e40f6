"""The dashboard beside Django, in its asgi.py: whoever Django's session names."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.hosts import DJANGO, HTML, Host, Visitor

from jobd import Jobd
from jobd.broker.store import register_queues
from jobd.web.auth.gatekeeper import CSRF_HEADER

pytestmark = pytest.mark.process
PAUSE = "/api/v1/queues/q/pause"


@pytest.fixture(scope="module")
def host(servers: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One site for all."""
    made = Host(
        tmp_path_factory.mktemp("site"), next(iter(servers.values())), DJANGO, "application"
    )
    yield made
    made.end()


@pytest.fixture(autouse=True)
def app(redis_url: str) -> Jobd:
    made = Jobd(redis_url)
    register_queues(made.producer.client, "jobd", ["q"])
    return made


def entered(host: Host, name: str) -> Visitor:
    visitor = Visitor(host)
    assert visitor.client.get(f"{host.at}/enter/{name}").text == "in"
    return visitor


def is_paused(app: Jobd) -> bool:
    return app.queue("q").flow().paused_at is not None


def test_who_is_logged_in_to_django_looks_and_acts(host: Host, app: Jobd) -> None:
    ops = entered(host, "ops")
    assert ops.get("/", headers=HTML).status_code == 200
    assert [each["name"] for each in ops.get("/api/v1/queues").json()] == ["q"]
    assert ops.post(PAUSE).status_code == 200
    assert is_paused(app)
    assert "web.audit        who=ops via=host" in host.told()
    assert ops.client.get(host.at).text == "home of ops"  # the session goes on


def test_who_may_not_does_not(host: Host, app: Jobd) -> None:
    eva = entered(host, "eva")
    assert eva.get("/session").json()["role"] == "viewer"
    assert eva.post(PAUSE).status_code == 403
    assert entered(host, "tom").get("/session").status_code == 401
    assert Visitor(host).post(PAUSE).status_code == 401
    assert entered(host, "ops").post(PAUSE, **{CSRF_HEADER: "x"}).status_code == 403
    assert not is_paused(app)


def test_a_log_out_of_django_counts_at_once(host: Host) -> None:
    ops = entered(host, "ops")
    kept = dict(ops.client.cookies)
    assert ops.get("/session").status_code == 200
    ops.client.get(f"{host.at}/out")
    for name, value in kept.items():
        ops.client.cookies.set(name, value)  # whoever kept a copy
    assert ops.get("/session").status_code == 401


def test_a_browser_is_led_to_djangos_form_and_all_else_is_djangos(host: Host) -> None:
    answer = Visitor(host).get("/find?id=1", headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (
        303, "/enter?next=/jobd/find%3Fid%3D1",
    )  # fmt: skip
    bare = Visitor(host).get("?x=1")
    assert (bare.status_code, bare.headers["location"]) == (307, "/jobd/?x=1")
    assert Visitor(host).client.get(f"{host.at}/jobdx").status_code == 404
    assert Visitor(host).client.get(host.at).text == "home of "


def test_a_session_of_an_older_key_is_left_for_django_to_renew(host: Host, redis_url: str) -> None:
    """Renewed here, it would have a name that the browser is never told."""
    ops = entered(host, "ops")
    newer = DJANGO.replace(
        'SECRET_KEY="not one"', 'SECRET_KEY="another", SECRET_KEY_FALLBACKS=["not one"]'
    )
    other = Host(host.log.parent, redis_url, newer, "application")
    try:
        ops.host = other
        assert [ops.get("/session").status_code for _ in range(3)] == [200] * 3
        assert ops.client.get(other.at).text == "home of ops"
        assert ops.get("/session").status_code == 200
    finally:
        other.end()


def test_django_is_not_loaded_for_those_who_have_none(tmp_path: Path) -> None:
    code = "import sys, jobd.web; print('django' in sys.modules, 'fastapi' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "False"]
