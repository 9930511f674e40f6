"""Who is let in: sessions, roles, tokens, forged requests. The threats are those of jobd.web.auth."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest
from starlette.requests import HTTPConnection
from starlette.routing import Mount
from support.logins import HASHES, PASSWORDS, TOKENS, Browser, Site, code, dashboard, hash_of

from jobd.core import passwords
from jobd.core.config_web import DashboardConfig, UserConfig
from jobd.web.auth import forms
from jobd.web.auth.auth import CSRF_HEADER
from jobd.web.auth.cookie import csrf_of
from jobd.web.auth.guard import guard
from jobd.web.auth.headers import HEADERS
from jobd.web.threads import Threads

Make = Callable[..., Site]


@pytest.fixture
def make(redis_url: str) -> Make:
    def make(config: DashboardConfig | None = None, **more: str) -> Site:
        return Site(redis_url, config or dashboard(), **more)

    return make


@pytest.fixture
def site(make: Make) -> Site:
    return make()


def test_without_a_session_nothing_is_shown_and_nothing_is_done(site: Site) -> None:
    browser = Browser(site)
    assert code(browser.get()) == (401, "jobd.not_logged_in")
    assert code(browser.post()) == (401, "jobd.not_logged_in")
    browser.cookies.set(site.auth.cookie._named(https=False), "x" * 43)
    assert code(browser.post()) == (401, "jobd.not_logged_in")
    assert code(browser.get("/session")) == (401, "jobd.not_logged_in")
    assert site.did == []
    page = browser.get("/?a=1&b=//x", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["location"]) == (303, "/login?next=/%3Fa%3D1%26b%3D//x")


def test_an_operator_logs_in_acts_and_logs_out(site: Site) -> None:
    browser = Browser(site)
    assert browser.log_in().json() == {"name": "ops", "role": "operator", "csrf": browser.csrf}
    assert browser.get().text == "ops"
    assert browser.get("/session").json() == {
        "name": "ops", "role": "operator", "via": "session", "csrf": browser.csrf,
    }  # fmt: skip
    assert browser.post(content=b"four").text == "paused"
    stolen = browser.cookies
    assert browser.post("/logout").json() == {"ok": True}
    assert len(browser.cookies) == 0
    browser.cookies = stolen  # whoever kept a copy
    assert code(browser.get()) == (401, "jobd.not_logged_in")
    assert site.told == [
        ("ops", "login", "done"), ("ops", "queue.pause", "done"), ("ops", "logout", "done"),
    ]  # fmt: skip
    event = msgspec.to_builtins(site.events[1])
    assert (event["via"], event["address"]) == ("session", "127.0.0.1")
    assert event["on"] == {"queue": "q", "size": "4"}


def test_a_viewer_looks_and_does_nothing_but_log_out(site: Site) -> None:
    browser = Browser(site)
    browser.log_in("eva")
    assert browser.get().text == "eva"
    assert code(browser.post()) == (403, "jobd.not_allowed")
    assert site.did == []
    assert site.told[-1] == ("eva", "POST /queues/q/pause", "jobd.not_allowed")
    assert browser.post("/logout").status_code == 200


def test_a_wrong_password_is_refused_in_the_same_words(site: Site) -> None:
    for user in ("ops", "nobody", "ops ", "OPS", "x" * 1000, "\x00\x1b[2J"):
        answer = Browser(site).log_in(user, "wrong")
        assert code(answer) == (401, "jobd.wrong_password")
        assert answer.json()["detail"] == "user or password is wrong; try again"
        assert "set-cookie" not in answer.headers
        name = "ops" if user == "ops" else "(unknown)"
        assert site.told[-1] == (name, "login", "jobd.wrong_password")


def test_an_unknown_user_costs_a_hash_as_dear_as_the_dearest(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make()
    made: list[tuple[int, int, int]] = []
    plain = passwords.hashed
    monkeypatch.setattr(
        passwords,
        "hashed",
        lambda p, s, like: (made.append((like.n, like.r, like.p)), plain(p, s, like))[1],
    )
    Browser(site).log_in("ops", "wrong")
    Browser(site).log_in("nobody", "wrong")
    assert made == [(2**4, 8, 1)] * 2


def test_what_is_no_log_in_is_a_plain_answer(site: Site) -> None:
    browser, form = Browser(site), "application/x-www-form-urlencoded"
    long = b'{"user":"ops","password":"' + b"x" * 70_000 + b'"}'
    for body in (b"", b"{", b"[]", b'{"user": 1}', b'{"user": "ops"}', b"\xff", long):
        for kind in ("application/json", form, "text/plain", ""):
            answer = browser.post("/login", content=body, headers={"Content-Type": kind})
            if kind == form:
                assert answer.headers["location"] == "/login?why=jobd.bad_request&next=/"
            else:
                assert code(answer) == (400, "jobd.bad_request")
            assert "set-cookie" not in answer.headers


def test_a_form_logs_in_without_a_script_and_leads_on_inside(site: Site) -> None:
    browser = Browser(site)
    given = {"user": "ops", "password": PASSWORDS["ops"], "next": "/queues/email?a=1"}
    answer = browser.post("/login", data=given)
    assert (answer.status_code, answer.headers["location"]) == (303, "/queues/email?a=1")
    csrf = browser.get("/session").json()["csrf"]
    browser.csrf = ""
    headers = {CSRF_HEADER: None}
    assert browser.post(data={"csrf": csrf}, headers=headers).text == "paused"
    assert code(browser.post(data={"csrf": "x"}, headers=headers)) == (403, "jobd.not_from_here")
    wrong = browser.post("/login", data=given | {"password": "wrong"})
    assert wrong.headers["location"] == "/login?why=jobd.wrong_password&next=/queues/email%3Fa%3D1"
    out = browser.post("/logout", data={"csrf": csrf}, headers=headers)
    assert (out.status_code, out.headers["location"]) == (303, "/login")


ELSEWHERE = [
    "//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil", "javascript:alert(1)",
    "/a\r\nX: y", "/\t/evil", "", "/" + "a" * 3000,
]  # fmt: skip


def test_a_log_in_leads_nowhere_else(site: Site) -> None:
    for elsewhere in ELSEWHERE:
        given = {"user": "ops", "password": PASSWORDS["ops"], "next": elsewhere}
        assert Browser(site).post("/login", data=given).headers["location"] == "/", elsewhere


def test_a_session_holds_on_every_host_and_over_restarts(make: Make) -> None:
    browser = Browser(make())
    browser.log_in()
    browser.site = make()
    assert browser.get().text == "ops"
    browser.site = make(namespace="other")
    assert code(browser.get()) == (401, "jobd.not_logged_in")


@pytest.mark.parametrize(
    "users",
    [
        {"eva": UserConfig(password=HASHES["eva"])},
        {"ops": UserConfig(password=hash_of("changed"))},
    ],
)
def test_a_session_ends_with_its_user_and_with_his_password(
    make: Make, users: dict[str, UserConfig]
) -> None:
    browser = Browser(make())
    browser.log_in()
    browser.site = make(dashboard(users=users))
    assert code(browser.get()) == (401, "jobd.not_logged_in")


def test_a_role_that_was_taken_away_is_gone_at_once(make: Make) -> None:
    browser = Browser(make())
    browser.log_in()
    demoted = {"ops": UserConfig(password=HASHES["ops"], role="viewer")}
    browser.site = make(dashboard(users=demoted))
    assert browser.get().text == "ops"
    assert code(browser.post()) == (403, "jobd.not_allowed")


def test_a_log_in_makes_a_new_session_and_ends_the_one_before(site: Site) -> None:
    browser, other = Browser(site), Browser(site)
    browser.log_in("eva")
    planted = dict(browser.cookies)
    browser.log_in("ops")
    assert dict(browser.cookies) != planted
    for name, value in planted.items():
        other.cookies.set(name, value)
    assert code(other.get()) == (401, "jobd.not_logged_in")


def test_logging_out_everywhere_ends_all_and_only_ones_own(site: Site) -> None:
    here, there, eva = Browser(site), Browser(site), Browser(site)
    here.log_in()
    there.log_in()
    eva.log_in("eva")
    assert here.post("/logout?everywhere=1").status_code == 200
    assert code(there.get()) == (401, "jobd.not_logged_in")
    assert eva.get().text == "eva"


def test_redis_holds_neither_token_nor_password(site: Site) -> None:
    browser = Browser(site)
    browser.log_in()
    browser.log_in("ops", "a wrong one")
    [token] = browser.cookies.values()
    held = b"".join(key + (site.client.dump(key) or b"") for key in site.client.keys("*"))
    for secret in (token, PASSWORDS["ops"], "a wrong one", browser.csrf, HASHES["ops"]):
        assert secret.encode() not in held
    told = json.dumps([msgspec.to_builtins(event) for event in site.events])
    assert all(secret not in told for secret in (token, PASSWORDS["ops"], "a wrong one"))


@pytest.mark.parametrize(
    ("at", "more", "name", "flags"),
    [
        ("http://127.0.0.1:9180", {}, "jobd-", {"HttpOnly", "Path=/", "SameSite=lax"}),
        (
            "https://jobs.example", {"X-Forwarded-Proto": "https"}, "__Host-jobd-",
            {"HttpOnly", "Path=/", "SameSite=lax", "Secure"},
        ),
    ],
)  # fmt: skip
def test_the_cookie_is_as_closed_as_it_can_be(
    make: Make, at: str, more: dict[str, str], name: str, flags: set[str]
) -> None:
    browser = Browser(make(dashboard(proxies=["127.0.0.0/8"])), at=at)
    cookie = browser.log_in(headers=more).headers["set-cookie"]
    assert cookie.startswith(name)
    assert set(cookie.split("; ")[1:]) == flags


def test_behind_tls_a_cookie_without_its_prefix_is_none(make: Make) -> None:
    site = make(dashboard(proxies=["127.0.0.1"]))
    plain = Browser(site)
    plain.log_in()
    secure = {"X-Forwarded-Proto": "https"}
    assert code(plain.get(headers=secure)) == (401, "jobd.not_logged_in")
    assert plain.get().text == "ops"


# --- forged requests ---


def test_an_action_needs_the_token_of_its_session(site: Site) -> None:
    browser = Browser(site)
    browser.log_in()
    for given in (None, "", "x", "\xe9", csrf_of("another session's"), browser.csrf + "x"):
        headers = {CSRF_HEADER: given if given is None else given.encode("latin-1")}
        assert code(browser.post(headers=headers)) == (403, "jobd.not_from_here")
        assert site.told[-1] == ("ops", "POST /queues/q/pause", "jobd.not_from_here")
    assert site.did == []


FORGED = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://127.0.0.1:9181"},
    {"Origin": "http://127.0.0.1"},
    {"Origin": "http://127.0.0.1:9180.evil.example"},
    {"Origin": "http://127.0.0.1:99999999"},
    {"Origin": "ftp://127.0.0.1:9180"},
    {"Origin": "http://[::1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "anything"},
]


def test_an_action_from_another_sites_page_is_refused_with_all_tokens_right(site: Site) -> None:
    browser = Browser(site)
    browser.log_in()
    for headers in FORGED:
        assert code(browser.post(headers=headers)) == (403, "jobd.not_from_here"), headers
        assert code(browser.log_in(headers=headers)) == (403, "jobd.not_from_here"), headers
    assert site.did == []


OURS = [
    {"Origin": "http://127.0.0.1:9180"},
    {"Origin": "HTTP://127.0.0.1:9180"},
    {"Origin": None},
    {"Origin": "http://jobs.example"},  # one of `hosts`
    {"Origin": "http://127.0.0.1:9180", "Sec-Fetch-Site": "same-origin"},
]


def test_an_action_of_our_own_page_is_done(make: Make) -> None:
    browser = Browser(make(dashboard(hosts=["jobs.example"])))
    browser.log_in()
    for headers in OURS:
        assert browser.post(headers=headers).status_code == 200, headers


def test_behind_tls_a_page_without_it_is_another_site(make: Make) -> None:
    site = make(dashboard(proxies=["127.0.0.1"]))
    browser = Browser(site, at="https://jobs.example")
    secure = {"X-Forwarded-Proto": "https"}
    browser.log_in(headers=secure)
    plain = secure | {"Origin": "http://jobs.example"}
    assert code(browser.post(headers=plain)) == (403, "jobd.not_from_here")
    full = secure | {"Origin": "https://jobs.example:443"}
    assert browser.post(headers=full).status_code == 200


def test_another_sites_page_cannot_have_ours_as_a_part(site: Site) -> None:
    browser = Browser(site)
    browser.log_in()
    part = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert code(browser.get(headers=part)) == (403, "jobd.not_from_here")
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert browser.get(headers=link).text == "ops"


# --- programs ---


def test_a_program_comes_with_a_token_and_needs_no_other(site: Site) -> None:
    program = Browser(site)
    headers = {"Authorization": f"Bearer {TOKENS['deploy']}", "Origin": None, CSRF_HEADER: None}
    assert program.post(headers=headers).text == "paused"
    assert site.told == [("deploy", "queue.pause", "done")]
    viewer = headers | {"Authorization": f"bearer {TOKENS['watch']}"}
    assert program.get(headers=viewer).text == "watch"
    assert code(program.post(headers=viewer)) == (403, "jobd.not_allowed")
    assert code(program.post("/logout", headers=viewer)) == (400, "jobd.bad_request")


def test_a_wrong_token_is_nobodys_even_beside_a_session(site: Site) -> None:
    browser = Browser(site)
    browser.log_in()
    for token in ("", "x", "é", TOKENS["deploy"] + "x", "sha256:" + "0" * 64):
        headers = {"Authorization": f"Bearer {token}".encode()}
        assert code(browser.post(headers=headers)) == (401, "jobd.not_logged_in"), token
    assert site.did == []


def test_the_hash_of_a_token_or_password_is_no_token_or_password(site: Site) -> None:
    held = site.auth.config.tokens["deploy"].token
    for token in (held, held.removeprefix("sha256:")):
        answer = Browser(site).get(headers={"Authorization": f"Bearer {token}"})
        assert code(answer) == (401, "jobd.not_logged_in")
    assert code(Browser(site).log_in("ops", HASHES["ops"])) == (401, "jobd.wrong_password")


# --- what surrounds it ---


def test_every_answer_has_the_headers_that_bind_browsers(site: Site) -> None:
    browser = Browser(site)
    for answer in (
        browser.get(),
        browser.log_in(),
        browser.get(),
        browser.get("/nowhere"),
        browser.post("/broken"),
    ):
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
        assert answer.headers["cache-control"] == "no-store"
    assert "unsafe" not in HEADERS["Content-Security-Policy"]
    # With no-referrer browsers send `Origin: null` with our own forms.
    assert HEADERS["Referrer-Policy"] == "same-origin"


def test_an_action_that_fails_is_told_too(site: Site) -> None:
    browser = Browser(site)
    browser.log_in()
    assert browser.post("/broken").status_code == 500
    assert site.told[-1] == ("ops", "broken", "ValueError")


def test_refusals_cannot_fill_the_log(site: Site) -> None:
    stranger = Browser(site)
    for number in range(60):
        stranger.post(f"/queues/{number}{'x' * 500}/pause")
    assert len(site.told) == 20
    assert all(len(what) <= 200 for _, what, _ in site.told)
    stranger.log_in()
    assert site.told[-1] == ("ops", "login", "done")  # what is done is told all the same
    site.auth.log._used = 0.0
    stranger.csrf = ""
    stranger.post()
    assert msgspec.to_builtins(site.events[-1])["unsaid"] == 40


def test_a_stream_hears_that_its_session_has_ended(make: Make) -> None:
    site = make()
    browser = Browser(site)
    browser.log_in()
    [(name, value)] = browser.cookies.items()
    scope = {
        "type": "http", "method": "GET", "scheme": "http", "path": "/", "query_string": b"",
        "server": ("127.0.0.1", 9180), "client": ("127.0.0.1", 5),
        "headers": [(b"host", b"127.0.0.1:9180"), (b"cookie", f"{name}={value}".encode())],
    }  # fmt: skip
    stream = HTTPConnection(scope)
    who = site.auth.admit(stream, "viewer")
    assert site.auth.is_still(stream, who)
    demoted = make(dashboard(users={"ops": UserConfig(password=HASHES["ops"], role="viewer")}))
    assert not demoted.auth.is_still(stream, who)
    browser.post("/logout")
    assert not site.auth.is_still(stream, who)


def test_while_redis_cannot_be_asked_nobody_is_let_in(site: Site) -> None:
    browser = Browser(site)
    browser.log_in()
    browser.site = away = Site("redis://127.0.0.1:1/0", dashboard())
    for answer in (browser.get(), browser.post(), browser.log_in(), browser.post("/logout")):
        assert code(answer) == (503, "jobd.broker_unavailable")
    assert away.did == []
    headers = {"Authorization": f"Bearer {TOKENS['watch']}"}
    assert browser.get(headers=headers).text == "watch"  # what needs no Redis


def test_many_log_ins_at_once_are_hashed_one_at_a_time_and_the_rest_refused(make: Make) -> None:
    site = make(dashboard(proxies=["127.0.0.1"]))

    async def all_at_once() -> list[int]:
        transport = httpx.ASGITransport(app=site.app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1:9180"
        ) as client:
            answers = await asyncio.gather(
                *(
                    client.post(
                        "/login",
                        json={"user": f"u{n}", "password": "wrong"},
                        headers={"X-Forwarded-For": f"10.0.0.{n}"},
                    )
                    for n in range(40)
                )
            )
        return [answer.status_code for answer in answers]

    found = asyncio.run(all_at_once())
    assert set(found) <= {401, 503}
    assert found.count(401) >= 9
    assert found.count(503) > 0
    assert Browser(site).log_in().status_code == 200


def without_body(site: Site, path: str, kind: str, **headers: str) -> tuple[object, bytes]:
    """Send a head alone. Give status and body of what is answered."""
    given = {"host": "127.0.0.1:9180", "content-type": kind} | headers
    scope = {
        "type": "http", "method": "POST", "scheme": "http", "path": path, "query_string": b"",
        "root_path": "", "server": ("127.0.0.1", 9180), "client": ("127.0.0.1", 5),
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }  # fmt: skip
    sent: list[dict[str, Any]] = []

    async def never() -> None:
        await asyncio.Event().wait()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(asyncio.wait_for(site.app(scope, never, send), 9))  # type: ignore[arg-type]
    return sent[0]["status"], sent[1]["body"]


def test_a_body_that_does_not_come_is_not_waited_for(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "_WITHIN", 0.05)
    status, said = without_body(site, "/login", "application/json")
    assert status == 400
    assert b"no whole body within" in said


def test_a_form_is_waited_for_only_of_who_may_send_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "_WITHIN", 60.0)
    browser = Browser(site)
    browser.log_in("eva")
    [(name, value)] = browser.cookies.items()
    for path in ("/logout", "/queues/q/pause"):
        assert without_body(site, path, forms.FORM)[0] == 401
        assert without_body(site, path, forms.FORM, cookie=f"{name}=x")[0] == 401
    eva = f"{name}={value}"
    assert without_body(site, "/queues/q/pause", forms.FORM, cookie=eva)[0] == 403
    elsewhere = {"cookie": eva, "origin": "https://evil.example"}
    assert without_body(site, "/logout", forms.FORM, **elsewhere)[0] == 403
    assert site.did == []


def test_what_is_mounted_cannot_be_guarded_by_mistake(site: Site) -> None:
    with pytest.raises(TypeError, match="expected a Route"):
        guard(site.auth, [Mount("/x", routes=[])], threads=Threads())
