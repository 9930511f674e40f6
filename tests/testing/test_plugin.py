"""The pytest plugin, as users meet it: a project with a conftest-less test, and pytest run on it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import jobd.testing

PROJECT = """
import os
import pytest
from jobd import Fixed, Jobd
from jobd.broker.connection import connect

app = Jobd()
q = app.queue("q", attempts=2, backoff=Fixed("1h"))

@q.task()
def work(n: int) -> int:
    if n < 0:
        raise ValueError
    return n

def test_an_hour_passes(jobd_world):
    world = jobd_world(app)
    handle = work.using(delay="1h").enqueue(7)
    failing = work.enqueue(-1)
    assert [ran.state for ran in world.settle()] == ["delayed", "completed", "dead"]
    assert handle.result() == 7

@pytest.mark.parametrize("time", [1, 2])
def test_the_server_is_empty_each_time(jobd_server, time):
    assert os.environ["JOBD_REDIS_URL"] == jobd_server
    print("server", jobd_server)
    assert connect(jobd_server).dbsize() == 0
    assert Jobd().queue("q").add("work", {"n": 1}).state() == "waiting"

def test_the_environment_is_as_it_was():
    assert os.environ["JOBD_REDIS_URL"] == "redis://127.0.0.1:1/0"
"""


# Our own plugins, which no such project has, take seconds to load.
PYTEST = [
    sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis",
    "-p", "no:hypothesispytest",
]  # fmt: skip


def run_pytest(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"JOBD_REDIS_URL": "redis://127.0.0.1:1/0"}
    environment.pop("PYTEST_DISABLE_PLUGIN_AUTOLOAD", None)
    return subprocess.run(
        [*PYTEST, "-rP", *arguments], cwd=directory, env=environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_fixtures_are_there_without_a_word(tmp_path: Path) -> None:
    """And nothing of the user's own Redis is touched; here it would refuse."""
    (tmp_path / "test_project.py").write_text(PROJECT)
    done = run_pytest(tmp_path, "-W", "error")
    assert "4 passed" in done.stdout, done.stdout + done.stderr
    [url] = {line for line in done.stdout.splitlines() if line.startswith("server ")}
    assert not Path(url.removeprefix("server unix://")).exists()


def test_two_test_runs_at_once_have_two_servers(tmp_path: Path) -> None:
    """As the processes of pytest-xdist do."""
    (tmp_path / "test_project.py").write_text(
        PROJECT + "\ndef test_alone(jobd_server):\n"
        "    connect(jobd_server).incr('runs')\n"
        "    input('go on?')\n"
        "    assert connect(jobd_server).get('runs') == b'1'\n"
    )
    command = [*PYTEST, "-s", "-k", "alone"]
    runs = [
        subprocess.Popen(
            command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for run in runs:
        assert run.stdout is not None
        said = ""
        while not said.endswith("go on?"):
            char = run.stdout.read(1)
            assert char, said
            said += char
    assert ["1 passed" in run.communicate("yes\n")[0] for run in runs] == [True, True]


def test_a_run_without_jobd_pays_nothing_for_it() -> None:
    """The plugin is loaded by every test run of the environment: no redis, no msgspec."""
    code = (
        "import sys, jobd.testing.plugin; "
        "print([m for m in sys.modules if m.split('.')[0] in ('redis', 'msgspec', 'hiredis')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_public_names_and_their_stub_are_the_same_list() -> None:
    """Type checkers read the stub, Python reads the table."""
    stub = Path(jobd.testing.__file__).with_suffix(".pyi").read_text()
    typed = {tuple(line.split()[1::2][:2]) for line in stub.splitlines()}
    assert {(home, name) for name, home in jobd.testing._HOMES.items()} == typed
    for name in jobd.testing.__all__:
        assert getattr(jobd.testing, name) is not None
