"""Health as a probe meets it: a real daemon, and a Redis that goes away and comes back."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator

import pytest
from support.commands import APP
from support.links import BadLink, Weather
from support.servers import eventually, running, server_programs
from support.web import Answer, Site, ask, free_port, tried

from jobd import Jobd
from jobd.core.errors import DaemonRefused

pytestmark = pytest.mark.process

# 100 ms is promised, and shown by the long proofs. Here other tests may use all of the machine.
SOON = 1.0


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BadLink]:
    program = next(iter(server_programs().values()))
    with running(program, tmp_path_factory.mktemp("server")) as url, BadLink(url) as made:
        yield made


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, link: BadLink) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"), link.url)
    site.start("run")
    yield site
    site.end()


@pytest.fixture
def site(served: Site) -> Site:
    served.ready()
    return served


def test_what_is_served_and_what_is_not(site: Site) -> None:
    ready = ask(site.port, "/readyz")
    assert (ready.status, ready.json["status"], ready.json["reasons"]) == (200, "ready", [])
    assert ready.json["queues"]["q"]["workers"] == 1
    assert ask(site.port, "/healthz").json.keys() == ready.json.keys()
    assert ask(site.port, "/livez").json["status"] == "live"
    for path in ("/livez", "/readyz", "/healthz"):
        bare = ask(site.port, path, "HEAD")
        assert (bare.status, bare.body) == (200, b"")
        assert bare.headers["cache-control"] == "no-store"
        assert bare.headers["content-type"] == "application/json"
        assert "server" not in bare.headers
    assert site.ask("status")["web"] == f"127.0.0.1:{site.port}"
    assert f"health at http://127.0.0.1:{site.port}/readyz" in site.jobd("status").stdout
    scraped = ask(site.port, "/metrics")
    assert re.search(rb'jobd_workers\{[^}]*phase="idle"[^}]*\} 1\.0', scraped.body)
    assert scraped.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert {"/livez", "/readyz", "/healthz", "/metrics"} <= {*ask(site.port, "/").json["paths"]}
    for path, method, status in (("/nope", "GET", 404), ("/livez/", "GET", 404), ("/livez", "POST", 405)):  # fmt: skip
        refused = ask(site.port, path, method)
        assert (refused.status, refused.json["ok"]) == (status, False)


def test_a_redis_that_swallows_everything_is_told_at_once_and_so_is_its_return(
    site: Site, link: BadLink
) -> None:
    link.become(Weather.HOLE)
    site.unready("redis_unreachable")
    answer = quickest(site, "/readyz")
    assert answer.took < SOON
    assert answer.reasons == {"redis_unreachable"}
    live = quickest(site, "/livez")
    assert (live.status, live.took < SOON) == (200, True)
    scraped = ask(site.port, "/metrics")
    assert (scraped.status, b"jobd_redis_up 0.0" in scraped.body) == (200, True)
    link.become(Weather.FAIR)
    site.ready()


def quickest(site: Site, path: str) -> Answer:
    """Ask some times: one that waited for Redis would do so each time."""
    return min((ask(site.port, path) for _ in range(5)), key=lambda answer: answer.took)


def test_a_refused_reload_is_seen_and_changes_nothing_of_what_is_served(site: Site) -> None:
    """The address it had opened is free again: the next reload can have it."""
    before, there = site.port, free_port()
    web = site.state.helpers["web"]
    site.edit(f":{before}", f":{there}")
    site.write("import nothing_of_the_kind\n")
    with pytest.raises(DaemonRefused):
        site.reload()
    eventually(lambda: "reload_refused" in ask(before, "/readyz").warnings)
    assert ask(before, "/readyz").status == 200
    assert tried(there, "/livez") is None
    assert site.state.helpers["web"] == web

    site.write(APP)
    site.reload()
    site.port = there
    site.ready()
    eventually(lambda: "reload_refused" not in ask(there, "/readyz").warnings)
    assert tried(before, "/livez") is None


def test_a_reload_to_an_address_that_is_taken_changes_nothing(site: Site) -> None:
    taken = free_port()
    with socket.create_server(("127.0.0.1", taken)):
        site.edit(f":{site.port}", f":{taken}")
        with pytest.raises(DaemonRefused, match=r"web\.bind"):
            site.reload()
    site.edit(f":{taken}", f":{site.port}")
    assert ask(site.port, "/livez").status == 200


def test_what_a_reload_takes_away_is_served_no_more_and_what_it_brings_is(site: Site) -> None:
    site.edit(site.web, "")
    site.reload()
    eventually(lambda: tried(site.port, "/livez") is None)
    eventually(lambda: "web" not in site.state.helpers)
    site.edit("[queues.q]\n", f"{site.web}[queues.q]\n")
    site.reload()
    site.ready()


def test_a_queue_that_was_given_up_makes_the_daemon_unready(site: Site) -> None:
    bad = '[queues.bad]\nprocesses = 5\npreload = false\napp = "nothing_of_the_kind:app"\n'
    site.edit("[queues.q]\n", f"[queues.q]\n{bad}")
    with pytest.raises(DaemonRefused):
        site.reload()  # in force all the same: what was there before goes on
    answer = site.unready("gave_up")
    [reason] = [each for each in answer.json["reasons"] if each["what"] == "gave_up"]
    assert reason["queue"] == "bad"
    assert answer.json["queues"]["q"]["ok"] is True
    site.edit(bad, "")
    site.reload()
    site.ready()


def test_one_that_is_killed_leaves_clients_waiting_and_refuses_none(site: Site) -> None:
    for _ in range(3):
        pid = site.web_pid()
        os.kill(pid, signal.SIGKILL)
        for _ in range(3):
            assert ask(site.port, "/livez", timeout=20).status == 200
        assert site.web_pid() != pid


def test_a_reload_that_changes_settings_cuts_no_answer_short(site: Site) -> None:
    """Four ask without a pause: one of them is being answered whenever the process is replaced."""
    ended = threading.Event()
    cut: list[str] = []

    def asks() -> None:
        while not ended.is_set():
            try:
                if ask(site.port, "/livez", timeout=20).status != 200:
                    cut.append("not live")
            except (OSError, http.client.HTTPException) as error:
                cut.append(repr(error))

    crowd = [threading.Thread(target=asks) for _ in range(4)]
    for one in crowd:
        one.start()
    try:
        pid = site.web_pid()
        site.edit('drain_timeout = "5s"', 'drain_timeout = "6s"')
        site.reload()
        eventually(lambda: site.web_pid() != pid)
    finally:
        ended.set()
        for one in crowd:
            one.join()
    assert not cut


def test_a_host_without_a_keeper_is_ready_no_more(site: Site) -> None:
    """Each one that is started ends before it is up: that it runs does not count."""

    def is_told() -> bool:
        for pid in site.keepers():
            os.kill(pid, signal.SIGKILL)
        return "keeper_down" in ask(site.port, "/readyz").reasons

    eventually(is_told)
    assert ask(site.port, "/livez").status == 200
    assert site.state.helpers["keeper"] != "running"
    site.ready()
    assert not site.state.down


def test_a_daemon_that_drains_is_live_and_takes_no_work(site: Site, link: BadLink) -> None:
    """The last of these tests: it ends the daemon."""
    gate = site.directory / "gate"
    job = Jobd(link.url).queue("q").add("waits_for", {"path": str(gate)})
    eventually(lambda: job.state() == "active")
    os.kill(site.state.pid, signal.SIGTERM)
    answer = site.unready("draining")
    assert answer.json["status"] == "draining"
    assert ask(site.port, "/livez").status == 200
    gate.touch()
    [process] = site._started
    assert process.wait(60) == 0
    assert tried(site.port, "/livez") is None
