"""The API of a whole daemon, on a real socket: with the token of its configuration, and no further."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.logins import TOKENS
from support.servers import eventually
from support.web import Site

from jobd import Jobd
from jobd.core.passwords import hashed_token

pytestmark = pytest.mark.process


class Served(Site):
    """A daemon whose API two programs may use."""

    @property
    def web(self) -> str:
        tokens = {
            "deploy": hashed_token(TOKENS["deploy"]),
            "watch": {"token": hashed_token(TOKENS["watch"]), "role": "viewer"},
        }
        ops, watch = tokens["deploy"], tokens["watch"]
        return (
            f"{super().web}[web.dashboard]\nmask = ['colour']\n[web.dashboard.tokens]\n"
            f"deploy = {json.dumps(ops)}\n"
            f'watch = {{ token = {json.dumps(watch["token"])}, role = "viewer" }}\n'
        )

    def api(self, method: str, path: str, who: str | None = "watch", **more: Any) -> httpx.Response:
        headers = {} if who is None else {"Authorization": f"Bearer {TOKENS[who]}"}
        url = f"http://127.0.0.1:{self.port}/api/v1{path}"
        return httpx.request(method, url, headers=headers, timeout=30, **more)


def test_a_daemon_is_managed_over_its_api(redis_url: str, tmp_path: Path) -> None:
    site = Served(tmp_path, redis_url)
    try:
        site.start("run")
        site.ready()
        assert site.api("GET", "/hosts", who=None).status_code == 401
        assert site.api("POST", "/queues/q/pause").status_code == 403
        paused = site.api("POST", "/queues/q/pause", who="deploy", json={"why": "a try"})
        assert paused.json()["changed"], paused.text
        queue = Jobd(redis_url).queue("q")
        assert queue.flow().paused_why == "a try"

        masked = queue.add("work", {"colour": "red", "token": 1}, delay="1h").id
        shown = site.api("GET", f"/jobs/{masked}").json()["args"]
        assert shown == {"colour": "••• masked", "token": 1}

        def incarnation() -> str | None:
            return site.state.queues["q"][0].incarnation

        before = eventually(incarnation)
        recycled = site.api("POST", "/hosts/here/workers/q.1/recycle", who="deploy")
        assert recycled.status_code == 200, recycled.text
        assert site.api("POST", "/hosts/here/workers/q.99/recycle", who="deploy").status_code == 409
        eventually(lambda: incarnation() not in (None, before))
        assert site.api("GET", "/nothing").json()["code"] == "jobd.not_found"
        said = site.log.read_text()
        assert '"web.audit"' in said
        assert '"recycle_worker"' in said
        assert TOKENS["deploy"] not in said
        assert "web.failed" not in said
    finally:
        site.end()
