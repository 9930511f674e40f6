"""The dashboard in somebody's application, on a real socket: its users, its processes, our rules."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.hosts import FASTAPI, HTML, Host, Visitor
from support.servers import eventually
from support.web import Site

from jobd import Jobd
from jobd.broker.keys import SharedKeys
from jobd.broker.store import register_queues
from jobd.web.auth.cookie import csrf_of
from jobd.web.auth.gatekeeper import CSRF_HEADER
from jobd.web.auth.headers import HEADERS

pytestmark = pytest.mark.process
PAUSE = "/api/v1/queues/q/pause"


@pytest.fixture(scope="module")
def host(servers: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One application for all."""
    made = Host(tmp_path_factory.mktemp("host"), next(iter(servers.values())), FASTAPI, "api")
    yield made
    made.end()


@pytest.fixture(autouse=True)
def app(redis_url: str) -> Jobd:
    """Its jobs, in an empty Redis."""
    made = Jobd(redis_url)
    register_queues(made.producer.client, "jobd", ["q"])
    return made


def is_paused(app: Jobd) -> bool:
    return app.queue("q").flow().paused_at is not None


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


BOTH = pytest.mark.parametrize("below", ["/jobd", "/deep/a b/async"])


@BOTH
def test_the_applications_operator_looks_and_acts(host: Host, app: Jobd, below: str) -> None:
    """By a function that is called in a thread, and by one that is awaited on the loop."""
    ops = Visitor(host, below, "ops")
    assert [each["name"] for each in ops.get("/api/v1/queues").json()] == ["q"]
    said = ops.get("/session").json()
    assert (said["name"], said["role"], said["via"]) == ("ops", "operator", "host")
    assert ops.post(PAUSE, {"why": "a try"}).json()["changed"]
    assert app.queue("q").flow().paused_why == "a try"
    [line] = [each for each in host.told().splitlines() if "a try" in each][-1:]
    assert " ".join(line.split()) == (
        "jobd.web INFO web.audit who=ops via=host address=127.0.0.1 what=pause_queue "
        "on=\"{'queue': 'q', 'why': 'a try'}\" outcome=done"
    )


@BOTH
def test_a_viewer_looks_and_does_nothing(host: Host, app: Jobd, below: str) -> None:
    eva = Visitor(host, below, "eva")
    assert eva.get("/api/v1/queues").status_code == 200
    assert code(eva.post(PAUSE)) == (403, "jobd.not_allowed")
    assert not is_paused(app)
    assert "outcome=jobd.not_allowed" in host.told()


@BOTH
def test_whoever_the_application_does_not_name_is_not_served(
    host: Host, app: Jobd, below: str
) -> None:
    for user in (None, "mallory"):
        nobody = Visitor(host, below, user)
        for path in ("/", "/session", "/api/v1/queues", "/api/v1/nothing", "/live"):
            answer = nobody.get(path)
            assert code(answer) == (401, "jobd.not_logged_in"), path
            assert "set-cookie" not in answer.headers
            assert "www-authenticate" not in answer.headers  # no token of ours is asked for
        assert code(nobody.post(PAUSE)) == (401, "jobd.not_logged_in")
    assert not is_paused(app)


def test_a_browser_of_nobody_is_sent_to_log_in(host: Host) -> None:
    answer = Visitor(host).get("/find?id=1", headers=HTML)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/enter?a=1&next=/jobd/find%3Fid%3D1"
    plain = Visitor(host, "/deep/a/async").get("/", headers=HTML)  # nobody has said where
    assert plain.status_code == 401
    assert plain.headers["content-type"].startswith("text/html")


@BOTH
def test_what_the_function_raises_lets_nobody_in(host: Host, app: Jobd, below: str) -> None:
    broken = Visitor(host, below, "broken")
    assert code(broken.get("/api/v1/queues")) == (500, "jobd.internal")
    assert broken.get("/", headers=HTML).status_code == 500
    assert code(broken.post(PAUSE)) == (500, "jobd.internal")
    strange = Visitor(host, below, "strange")
    assert strange.get("/session").status_code == 500
    assert not is_paused(app)
    told = host.told()
    assert "jobd.web ERROR web.failed" in told
    assert "no database" in told
    assert "auth: dict; expected None, or a jobd.web.Person" in told


@BOTH
def test_the_application_may_refuse_in_its_own_way(host: Host, app: Jobd, below: str) -> None:
    banned = Visitor(host, below, "banned")
    for answer in (banned.get("/api/v1/queues"), banned.get("/session"), banned.post(PAUSE)):
        assert code(answer) == (403, "jobd.refused_by_host")
        assert answer.json()["detail"] == "you are banned"
        assert answer.headers["x-why"] == "spam"
    page = banned.get("/", headers=HTML)
    assert (page.status_code, page.headers["x-why"]) == (403, "spam")
    assert "you are banned" in page.text
    assert not is_paused(app)


@BOTH
def test_a_forged_request_changes_nothing(host: Host, app: Jobd, below: str) -> None:
    """The application's cookie comes with it, as from a page elsewhere; what is ours does not."""
    ops, other = Visitor(host, below, "ops"), Visitor(host, below, "ops")
    right, foreign = ops.get("/session").json()["csrf"], other.get("/session").json()["csrf"]
    of_eva = Visitor(host, below, "eva").get("/session").json()["csrf"]
    assert len({right, foreign, of_eva}) == 3
    for wrong in ("", "x", foreign, of_eva, right[:-1]):
        assert code(ops.post(PAUSE, **{CSRF_HEADER: wrong})) == (403, "jobd.not_from_here")
    no_cookie = Visitor(host, below, "ops")  # the token without the cookie that it is made of
    for wrong in (right, ""):
        assert code(no_cookie.post(PAUSE, **{CSRF_HEADER: wrong})) == (403, "jobd.not_from_here")
    elsewhere = {"Origin": "https://evil.example", CSRF_HEADER: right}
    assert code(ops.post(PAUSE, **elsewhere)) == (403, "jobd.not_from_here")
    for site in ("cross-site", "same-site", "none"):
        said = {"Sec-Fetch-Site": site, CSRF_HEADER: right}
        assert code(ops.post(PAUSE, **said)) == (403, "jobd.not_from_here")
    assert not is_paused(app)
    assert ops.post(PAUSE, **{CSRF_HEADER: right}).status_code == 200


def test_a_token_is_of_the_user_it_was_given_to(host: Host, app: Jobd) -> None:
    """A page of whoever used this browser before does nothing for whoever does now."""
    visitor = Visitor(host, user="eva")
    before = visitor.get("/session").json()["csrf"]
    visitor.client.cookies.set("who", "ops", domain="127.0.0.1")
    assert code(visitor.post(PAUSE, **{CSRF_HEADER: before})) == (403, "jobd.not_from_here")
    assert not is_paused(app)
    assert visitor.post(PAUSE).status_code == 200


def test_a_program_with_a_bearer_of_the_applications_needs_no_token(host: Host, app: Jobd) -> None:
    """No browser sends that by itself; from another site's page it does not count."""
    program, bearer = Visitor(host), {"Authorization": "Bearer t-ops"}
    assert code(program.post(PAUSE, Cookie="a=b", **bearer)) == (403, "jobd.not_from_here")
    assert "set-cookie" not in program.get("/session", headers=bearer).headers
    cross = bearer | {"Sec-Fetch-Site": "cross-site", CSRF_HEADER: ""}
    assert code(program.post(PAUSE, **cross)) == (403, "jobd.not_from_here")
    assert not is_paused(app)
    assert program.post(PAUSE, **bearer, **{CSRF_HEADER: ""}).status_code == 200


def test_any_bearer_beside_the_applications_cookie_is_no_program(host: Host, app: Jobd) -> None:
    """The application knows the user by the cookie, and the word beside it may be any."""
    ops = Visitor(host, user="ops")
    junk = {"Authorization": "Bearer junk", CSRF_HEADER: ""}
    assert code(ops.post(PAUSE, **junk)) == (403, "jobd.not_from_here")
    assert not is_paused(app)
    csrf = ops.get("/session", headers=junk).json()["csrf"]
    assert ops.post(PAUSE, **junk | {CSRF_HEADER: csrf}).status_code == 200


def test_who_plants_a_cookie_does_not_know_the_token(host: Host, app: Jobd) -> None:
    """It is made with a secret of the namespace, which only Redis and we have."""
    ops = Visitor(host, user="ops")
    answer = ops.get("/session")
    token = answer.headers["set-cookie"].partition(";")[0].partition("=")[2]
    key = SharedKeys("jobd").web_secret
    secret = app.producer.client.get(key)
    assert isinstance(secret, bytes)
    assert len(secret) == 32
    csrf = answer.json()["csrf"]
    assert csrf not in (csrf_of(token), csrf_of(f"{token} ops"), csrf_of(f"None {token} ops"))
    assert csrf == csrf_of(f"{secret.hex()} {token} ops")
    assert app.producer.client.ttl(key) == -1


def test_our_cookie_goes_below_the_path_and_nowhere_else(host: Host) -> None:
    cookie = Visitor(host, user="ops").get("/session").headers["set-cookie"]
    assert {each.lower() for each in cookie.split("; ")[1:]} == {
        "httponly", "path=/jobd", "samesite=lax",
    }  # fmt: skip
    strange = Visitor(host, "/deep/a; b/async", "ops").get("/session").headers["set-cookie"]
    assert "; Path=/deep/a%3B%20b/async;" in strange


def test_our_headers_are_on_our_answers_alone(host: Host) -> None:
    ours = Visitor(host, user="ops").get("/api/v1/queues").headers
    assert {name: ours[name] for name in HEADERS} == HEADERS
    assert ours["cache-control"] == "no-store"
    theirs = httpx.get(host.at).headers
    assert not {name.lower() for name in HEADERS} & set(theirs)


def test_pages_lead_to_pages_below_the_path(host: Host) -> None:
    """Links, files, streams and the document of the API."""
    ops = Visitor(host, user="ops")
    page = ops.get("/", headers=HTML)
    assert page.status_code == 200
    assert 'href="/jobd/workers"' in page.text
    assert 'name="live" content="/jobd/live"' in page.text
    assert "Log out" not in page.text
    [style] = [part.split('"')[0] for part in page.text.split('href="') if ".css" in part[:80]]
    assert style.startswith("/jobd/static/")
    answer = ops.client.get(f"{host.at}{style}")
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert ops.get("/api/v1/openapi.json").json()["servers"] == [{"url": "/jobd/api/v1"}]
    assert ops.get("/find").headers["location"] == "/jobd/"
    assert ops.get("/login").status_code == 404
    with ops.client.stream("GET", f"{host.at}/jobd/live") as stream:
        first = next(stream.iter_lines())
    assert first == "event: whole"
    bare = httpx.get(f"{host.at}/jobd", headers=HTML)
    assert bare.headers["location"] == f"{host.at}/jobd/"


def test_there_is_no_daemon_of_this_host_to_give_orders_to(host: Host) -> None:
    ops = Visitor(host, user="ops")
    assert ops.get("/api/v1/hosts").json()["here"] is None
    assert code(ops.post("/api/v1/hosts/here/dump")) == (404, "jobd.no_such_host")
    assert ops.get("/workers", headers=HTML).status_code == 200
    assert ops.get("/api/v1/alerts").json() == {"rules": [], "redis_says": None}
    assert ops.get("/api/v1/alerts/history").json() == {"changes": [], "redis_says": None}
    missing = ops.post("/api/v1/alerts/mute", {"rule": "no such", "for": "1h"})
    assert missing.status_code == 404


def test_a_daemon_takes_its_orders_through_redis(
    host: Host, redis_url: str, tmp_path: Path
) -> None:
    site, ops = Site(tmp_path, redis_url), Visitor(host, user="ops")
    try:
        site.start("run")
        site.ready()
        [there] = eventually(lambda: ops.get("/api/v1/hosts").json()["hosts"])
        dumped = ops.post(f"/api/v1/hosts/{there['key']}/dump")
        assert dumped.status_code == 200, dumped.text
        assert dumped.json()["stacks"]
        page = ops.get("/workers", headers=HTML)
        assert page.status_code == 200
        assert "serves this page" not in page.text
    finally:
        site.end()


def test_another_name_of_the_host_is_refused_where_names_are_given(host: Host) -> None:
    told = {"Host": "evil.example"}
    ops = Visitor(host, "/deep/a/async", "ops")
    assert code(ops.get("/session", headers=told)) == (403, "jobd.wrong_host")
    assert Visitor(host, user="ops").get("/session", headers=told).status_code == 200


def test_a_web_socket_is_closed(host: Host) -> None:
    """Uvicorn has no library for them here: it answers by itself then, and nothing of ours fails."""
    ask = (
        "GET /jobd/api/v1/queues HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", host.port), 5) as connection:
        connection.sendall(ask.encode())
        assert int(connection.recv(100).split()[1]) in (401, 403, 400)


def test_what_one_process_gave_counts_in_another(
    redis_url: str, app: Jobd, tmp_path: Path, host: Host
) -> None:
    """No secret is of a process; and a server ends though somebody looks at a page."""
    other = Host(tmp_path, redis_url, FASTAPI, "api")
    try:
        ops = Visitor(host, user="ops")
        csrf = ops.get("/session").json()["csrf"]
        ops.host = other
        assert ops.post(PAUSE, **{CSRF_HEADER: csrf}).status_code == 200
        assert is_paused(app)
        with ops.client.stream("GET", f"{other.at}/jobd/live") as stream:
            lines = stream.iter_lines()
            assert next(lines) == "event: whole"
            assert other.stop() in (0, -15)
            assert all(not line.startswith("event: end") for line in lines)
        said = other.output.read_text()
        assert "ERROR" not in said
    finally:
        other.end()


def test_a_stream_ends_for_whom_the_application_lets_in_no_more(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = "import jobd.web.pages.stream as s; s.CHECKED_EVERY = 0.2; s.BEAT = 0.2\n"
    host = Host(tmp_path, redis_url, checked + FASTAPI, "api")
    try:
        for below, user, how in (
            ("/jobd", "ops", "out"), ("/deep/a/async", "eva", "out"), ("/jobd", "kim", "spoil"),
        ):  # fmt: skip
            visitor = Visitor(host, below, user)
            with visitor.client.stream("GET", f"{host.at}{below}/live") as stream:
                lines = stream.iter_lines()
                assert "event: whole" in lines  # after a beat, on a busy machine
                httpx.post(f"{host.at}/{how}/{user}")
                assert "event: end" in list(lines)
    finally:
        host.end()


def test_below_a_path_that_the_server_is_told(redis_url: str, app: Jobd, tmp_path: Path) -> None:
    """As behind a proxy that takes it away."""
    host = Host(tmp_path, redis_url, FASTAPI, "api", "--root-path", "/outer")
    try:
        ops = Visitor(host, user="ops")
        page = ops.get("/", headers=HTML)
        assert 'href="/outer/jobd/workers"' in page.text
        cookie = page.headers["set-cookie"]
        assert "Path=/outer/jobd;" in cookie
        to_log_in = Visitor(host).get("/find", headers=HTML)
        assert to_log_in.headers["location"].endswith("next=/outer/jobd/find")
        # The proxy hands on the browser's cookies: here they go below the other path too.
        name, _, token = cookie.partition(";")[0].partition("=")
        ops.client.cookies.set(name, token, domain="127.0.0.1", path="/jobd")
        assert ops.post(PAUSE).status_code == 200
    finally:
        host.end()


def test_without_redis_it_says_so(tmp_path: Path) -> None:
    """And in bounded time."""
    host = Host(tmp_path, "redis://127.0.0.1:1/0", FASTAPI, "api")
    try:
        ops = Visitor(host, user="ops")
        assert (
            ops.get("/session").status_code == 503
        )  # what a page acts with is made of what is there
        assert ops.get("/api/v1/queues").status_code == 503
        assert ops.get("/", headers=HTML).status_code == 503
    finally:
        host.end()


def test_an_operation_of_many_jobs_ends_and_is_told(host: Host, app: Jobd) -> None:
    app.queue("q").add_many([("work", {})] * 20)
    ops = Visitor(host, user="ops")
    begun = ops.post("/api/v1/operations", {"verb": "purge", "queue": "q", "confirm": "q"}).json()
    eventually(lambda: ops.get(f"/api/v1/operations/{begun['id']}").json()["state"] == "done")
    assert app.producer.views().counts("q")["waiting"] == 0
    assert "web.operation_ended who=ops" in host.told()
