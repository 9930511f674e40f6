"""The API behind its real gate: a request without session, token or role changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.applications import Starlette
from support.api import NAMESPACE, PATHS
from support.logins import TOKENS, Browser, Site, code, dashboard

from jobd.broker.browse import Browser as Browse
from jobd.broker.keys import SharedKeys
from jobd.core.web_events import WebAudit
from jobd.web.api.house import House
from jobd.web.api.operations import Operations
from jobd.web.api.routes import PREFIX, api_routes
from jobd.web.api.table import TABLE
from jobd.web.threads import Threads


class ApiSite(Site):
    """A site whose routes are those of the API, and of logging in."""

    def __init__(self, url: str, runtime_dir: Path, **more: object) -> None:
        super().__init__(url, dashboard(**more), namespace=NAMESPACE)
        emit = self.events.append
        house = House(
            self.client,
            NAMESPACE,
            Browse(self.client, NAMESPACE),
            runtime_dir,
            (),
            Operations(self.client, NAMESPACE, host="here", emit=emit),
        )
        api = api_routes(house, self.auth, threads=Threads(), emit=emit)
        self.app = Starlette(routes=[*self.login.routes(), *api])  # type: ignore[assignment]


@pytest.fixture
def site(redis_url: str, tmp_path: Path) -> ApiSite:
    made = ApiSite(redis_url, tmp_path)
    made.client.sadd(SharedKeys(NAMESPACE).queues, "q")
    return made


ACTIONS = [each for each in TABLE if each.is_action]


def _state(site: ApiSite) -> dict[bytes, object]:
    """Everything in Redis that is not about who is logged in."""
    keys = sorted(
        key for key in site.client.scan_iter() if b"session" not in key and b"tries" not in key
    )
    return {key: site.client.dump(key) for key in keys}


def test_no_action_is_done_for_who_may_not(site: ApiSite) -> None:
    viewer, forger, stranger = Browser(site), Browser(site), Browser(site)
    assert viewer.log_in("eva").status_code == 200
    assert forger.log_in("ops").status_code == 200
    forger.csrf = "x" + forger.csrf[1:]
    before, told = _state(site), len(site.events)
    for each in ACTIONS:
        path = PREFIX + each.path.format_map(PATHS)
        assert code(stranger.ask(each.method, path, json={})) == (401, "jobd.not_logged_in"), path
        assert code(viewer.ask(each.method, path, json={})) == (403, "jobd.not_allowed"), path
        assert code(forger.ask(each.method, path, json={})) == (403, "jobd.not_from_here"), path
        evil = {"Origin": "http://evil.example", "Authorization": f"Bearer {TOKENS['watch']}"}
        assert code(stranger.ask(each.method, path, json={}, headers=evil)) == (
            403,
            "jobd.not_allowed",
        )
    assert _state(site) == before
    assert not any(each.event == "web.failed" for each in site.events[told:])


def test_nobody_reads_without_a_session_and_a_viewer_reads_all(site: ApiSite) -> None:
    viewer, stranger = Browser(site), Browser(site)
    viewer.log_in("eva")
    for path in (
        *(each.path.format_map(PATHS) for each in TABLE if not each.is_action), "/openapi.json", "/none",
    ):  # fmt: skip
        refused = stranger.get(PREFIX + path)
        assert code(refused) == (401, "jobd.not_logged_in"), path
        assert refused.headers["www-authenticate"].startswith("Bearer")
        assert viewer.get(PREFIX + path).status_code in (200, 400, 404), path


def test_an_operator_and_a_program_act_and_are_told_of(site: ApiSite) -> None:
    operator = Browser(site)
    operator.log_in("ops")
    assert operator.post(f"{PREFIX}/queues/q/pause", json={"why": "it burns"}).json()["changed"]
    program = Browser(site)
    bearer = {"Authorization": f"Bearer {TOKENS['deploy']}", "Origin": None}
    assert program.post(f"{PREFIX}/queues/q/resume", headers=bearer).json()["changed"]
    acts = [each for each in site.events if isinstance(each, WebAudit)][-2:]
    assert [(each.who, each.via, each.what, each.outcome) for each in acts] == [
        ("ops", "session", "pause_queue", "done"),
        ("deploy", "token", "resume_queue", "done"),
    ]
    assert acts[0].on == {"queue": "q", "why": "it burns"}


def test_a_host_that_is_not_ours_is_not_answered(redis_url: str, tmp_path: Path) -> None:
    """A name that was bound anew to this host's address."""
    site = ApiSite(redis_url, tmp_path, users={}, tokens={}, open=True)
    evil = Browser(site, at="http://evil.example:9180")
    assert code(evil.get(f"{PREFIX}/hosts"))[0] == 403
    assert Browser(site).get(f"{PREFIX}/hosts").status_code == 200
