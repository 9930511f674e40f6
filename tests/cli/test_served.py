"""Where the dashboard is: what `jobd dev` and `jobd run` say of it, and that it is there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.daemons import eventually
from support.web import Answer, ask, free_port, tried

pytestmark = pytest.mark.process
HTML = {"Accept": "text/html"}
# Of a password, as `jobd hash-password` prints it.
HASH = "scrypt:32768:8:3:merptZdamSKvjocWkodh3A:B8Vf3c4lOQW_BP7mXDZACCJbZo4R4JccRZ8j0c2A7BM"

Start = Callable[..., str]


@pytest.fixture
def start(tmp_path: Path, redis_url: str) -> Iterator[Start]:
    """Start `jobd ...`; give the first line of its log that a person is told, once it is there."""
    (tmp_path / "shop.py").write_text("from jobd import Jobd\n\napp = Jobd()\napp.queue('q')\n")
    started: list[subprocess.Popen[bytes]] = []

    def run(*arguments: str) -> str:
        log = tmp_path / "log"
        with log.open("wb") as output:
            started.append(
                subprocess.Popen(
                    [sys.executable, "-m", "jobd", *arguments], cwd=tmp_path, stdout=output,
                    stderr=output,
                    env=os.environ | {"TMPDIR": "/tmp", "JOBD_REDIS_URL": redis_url},
                )
            )  # fmt: skip

        def told() -> str | None:
            assert started[-1].poll() is None, log.read_text()
            found = re.search(r"^(.*http://.*)\n", log.read_text(), re.MULTILINE)
            return found[1] if found else None

        return eventually("a word of where it is", told)

    yield run
    for process in started:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for left in set(re.findall(r"/tmp/jobd-dev-\w+", (tmp_path / "log").read_text())):
        shutil.rmtree(left, ignore_errors=True)


def served(port: int) -> Answer:
    """Look at the first page, once there is one."""
    eventually("it is served", lambda: tried(port, "/livez"))
    return ask(port, "/", headers=HTML)


def initiated(tmp_path: Path, port: int, *changes: tuple[str, str]) -> None:
    """Write what `jobd init` writes, for this port and directory, changed as its comments say."""
    subprocess.run(
        [sys.executable, "-m", "jobd", "init", "shop:app"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    file = tmp_path / "jobd.toml"
    text = file.read_text()
    own = (
        (r"^bind = \S+", f'bind = "127.0.0.1:{port}"'),
        (r"^(# )?runtime_dir = \S+", f'runtime_dir = "{tmp_path / "run"}"'),
    )
    for pattern, change in (*own, *changes):
        text, count = re.subn(pattern, change, text, count=1, flags=re.MULTILINE)
        assert count == 1, pattern
    file.write_text(text)


OPEN = (r"^# (\[web\.dashboard\]).*$", r"\1\nopen = true")


def test_dev_names_its_dashboard_first_and_it_is_open(start: Start) -> None:
    told = re.fullmatch(
        r"jobd: dashboard, health and metrics: http://127\.0\.0\.1:(\d+)/", start("dev", "shop:app")
    )
    assert told is not None
    page = served(int(told[1]))
    assert page.status == 200
    assert b"Overview" in page.body


def test_run_says_where_it_is_and_init_leads_to_it(tmp_path: Path, start: Start) -> None:
    port = free_port()
    initiated(tmp_path, port, OPEN)
    assert f"dashboard: http://127.0.0.1:{port}/" in start("run")
    page = served(port)
    assert page.status == 200
    assert b"Overview" in page.body


def test_the_users_of_the_file_are_asked_to_log_in(tmp_path: Path, start: Start) -> None:
    port = free_port()
    initiated(
        tmp_path, port,
        (r"^# (\[web\.dashboard\]).*$", r"\1"),
        (r"^# (\[web\.dashboard\.users\]).*\n# ops = .*$", rf'\1\nops = "{HASH}"'),
    )  # fmt: skip
    assert f"dashboard: http://127.0.0.1:{port}/" in start("run")
    assert (served(port).status, ask(port, "/login").status) == (303, 200)


def test_run_says_how_to_have_one_and_so_does_the_first_page(tmp_path: Path, start: Start) -> None:
    port = free_port()
    initiated(tmp_path, port)
    said = start("run")
    assert (
        f"health and metrics: http://127.0.0.1:{port}/; no dashboard is served; to have one" in said
    )
    answer = served(port)
    assert answer.status == 200
    assert "[web.dashboard]" in answer.json["dashboard"]
    assert "/metrics" in answer.json["paths"]


def test_a_log_for_programs_has_it_as_a_record(tmp_path: Path, start: Start) -> None:
    port = free_port()
    initiated(tmp_path, port, OPEN, (r"^(# )?log = .*$", 'log = { format = "json" }'))
    assert '"event":"web.served"' in start("run")
