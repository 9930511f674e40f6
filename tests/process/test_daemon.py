"""The whole daemon, started by its command, with real forks and real signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.daemons import end_all, gone
from support.records import said
from support.servers import eventually

from jobd import Jobd, JobFailed

APP = """
import os, signal, time
from jobd import Jobd, Job
app = Jobd()
q = app.queue("q", attempts=3)

@q.task()
def double(n: int) -> int:
    return n * 2

@q.task(max_crashes=2)
def crash(job: Job) -> None:
    os.kill(os.getpid(), signal.SIGKILL)

@q.task()
def crash_once(path: str) -> str:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return "second run"
    os.kill(os.getpid(), signal.SIGSEGV)

@q.task(timeout="500ms", attempts=1)
def sleeps() -> None:
    time.sleep(60)

@q.task()
def waits_for(path: str) -> str:
    open(path + ".asked", "w").close()
    open(f"{path}.asked.{os.getpid()}", "w").close()
    while not os.path.exists(path):
        time.sleep(0.01)
    return "waited"
"""


class Daemon:
    """A daemon in a directory of its own."""

    def __init__(self, directory: Path, url: str, *, drain: str = "10s", **app: str) -> None:
        self.directory = directory
        self.url = url
        (directory / "shop.py").write_text(app.get("source", APP))
        (directory / "jobd.toml").write_text(
            f'app = "shop:app"\n[redis]\nurl = "{url}"\n'
            f'[daemon]\nruntime_dir = "{directory / "run"}"\nlease = "3s"\n'
            f'drain_timeout = "{drain}"\nlog = {{ format = "json" }}\n[queues.q]\nprocesses = 2\n'
        )
        self.log = directory / "daemon.log"
        environment = {k: v for k, v in os.environ.items() if k != "JOBD_REDIS_URL"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jobd", "run", "-c", "jobd.toml"],
                cwd=directory,
                stdout=log,
                stderr=log,
                env=environment,
            )

    def events(self, name: str) -> list[dict[str, Any]]:
        return said(self.log, name)

    def workers(self) -> set[int]:
        """The pids of both workers, once the daemon has written them down."""

        def both() -> set[int]:
            pids = self.written()
            return pids if len(pids) == 2 else set()

        return eventually(both)

    def written(self) -> set[int]:
        """The pids of workers that the daemon has written down last."""
        state = json.loads((self.directory / "run" / "state.json").read_text())
        slots = [slot for slots in state["queues"].values() for slot in slots]
        return {slot["pid"] for slot in slots if slot["pid"]}


@contextmanager
def running(directory: Path, url: str, **app: str) -> Iterator[Daemon]:
    daemon = Daemon(directory, url, **app)
    try:
        yield daemon
    finally:
        if daemon.process.poll() is None:
            daemon.process.terminate()
            try:
                daemon.process.wait(20)
            except subprocess.TimeoutExpired:
                end_all(daemon.process)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory, own_server: str) -> Iterator[Daemon]:
    """One for all tests that only end workers of it."""
    with running(tmp_path_factory.mktemp("standing"), own_server) as daemon:
        yield daemon


@pytest.fixture
def q(redis_url: str) -> Any:
    return Jobd(redis_url).queue("q")


@pytest.fixture
def its(standing: Daemon) -> Any:
    """The queue of the one that stands."""
    return Jobd(standing.url).queue("q")


pytestmark = pytest.mark.process


def test_a_worker_that_somebody_else_tells_to_stop_is_replaced_and_nothing_is_charged(
    tmp_path: Path, standing: Daemon, its: Any
) -> None:
    """Who sends TERM to a worker, by a group or by mistake, makes no crash of it."""
    gate = tmp_path / "gate"
    job = its.add("waits_for", {"path": str(gate)})
    eventually(Path(f"{gate}.asked").exists)
    before, died = standing.workers(), len(standing.events("worker.died"))
    for pid in before:
        os.kill(pid, signal.SIGTERM)
    gate.touch()
    assert job.result("60s") == "waited"
    eventually(lambda: not before & standing.workers())
    assert len(standing.events("worker.died")) == died
    assert (job.info().crashes, job.info().interrupted) == (0, 0)


def test_a_job_goes_from_enqueue_to_done(tmp_path: Path, redis_url: str, q: Any) -> None:
    """First light."""
    with running(tmp_path, redis_url) as daemon:
        assert q.add("double", {"n": 21}).result("60s") == 42
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(60) == 0
        assert [e["unreleased"] for e in daemon.events("daemon.stopped")] == [0]


def test_a_crashed_job_runs_again_and_a_poisonous_one_ends(tmp_path: Path, its: Any) -> None:
    """A death is known at once; the limit is exact; each crash is in the history."""
    once = its.add("crash_once", {"path": str(tmp_path / "mark")})
    assert once.result("60s") == "second run"
    poison = its.add("crash", {})
    with pytest.raises(JobFailed) as failed:
        poison.result("60s")
    info = poison.info()

    assert failed.value.cause == "poison"
    assert info.crashes == 2
    assert [line["kind"] for line in info.history] == ["crash", "crash"]
    assert once.info().crashes == 1


def test_a_timeout_ends_the_process_and_is_a_failed_attempt(its: Any) -> None:
    """The supervisor's SIGKILL always works."""
    job = its.add("sleeps", {})
    with pytest.raises(JobFailed) as failed:
        job.result("60s")

    assert failed.value.cause == "timeout"
    assert (job.info().timeouts, job.info().crashes) == (1, 0)


def test_a_drain_lets_the_running_job_end(tmp_path: Path, redis_url: str, q: Any) -> None:
    """TERM: finish what runs, start nothing, leave nothing claimed."""
    with running(tmp_path, redis_url) as daemon:
        jobs = [q.add("waits_for", {"path": str(tmp_path / "go")}) for _ in range(3)]
        # They run, not only claimed: what has not begun goes back.
        eventually(lambda: len(list(tmp_path.glob("go.asked.*"))) == 2)
        daemon.process.terminate()
        eventually(lambda: daemon.events("daemon.draining"))
        (tmp_path / "go").touch()
        assert daemon.process.wait(60) == 0

    assert sorted(str(job.state()) for job in jobs) == ["completed", "completed", "waiting"]


def test_a_second_term_stops_at_once_and_charges_nothing(
    tmp_path: Path, redis_url: str, q: Any
) -> None:
    """Handed back, counted as interrupted, no attempt used; the drain would last much longer."""
    with running(tmp_path, redis_url, drain="10m") as daemon:
        job = q.add("waits_for", {"path": str(tmp_path / "never")})
        # It runs, not only claimed; and no worker is being born that could take it up in between.
        eventually((tmp_path / "never.asked").exists)
        eventually(lambda: len(daemon.events("worker.started")) == 2)
        daemon.process.terminate()
        eventually(lambda: daemon.events("daemon.draining"))
        daemon.process.terminate()
        assert daemon.process.wait(60) == 0
    info = job.info()

    assert (info.state, info.interrupted, info.failed, info.crashes) == ("waiting", 1, 0, 0)


def test_a_killed_daemon_leaves_no_process_and_the_next_one_its_jobs(
    tmp_path: Path, redis_url: str, q: Any
) -> None:
    """SIGKILL of the supervisor: descendants die with it, a restarted one releases at once."""
    with running(tmp_path, redis_url) as daemon:
        job = q.add("waits_for", {"path": str(tmp_path / "go")})
        eventually((tmp_path / "go.asked").exists)
        pids = daemon.workers()
        daemon.process.kill()
        daemon.process.wait()
        eventually(lambda: all(gone(pid) for pid in pids))
    (tmp_path / "go").touch()
    with running(tmp_path, redis_url):
        assert job.result("60s") == "waited"
    assert (job.info().lost, job.info().crashes) == (1, 0)


def test_an_app_that_ignores_its_children_is_served_and_told(
    tmp_path: Path, redis_url: str, q: Any
) -> None:
    """Forking goes on, and tasks hear how a child of theirs ended."""
    source = (
        "import signal, subprocess, sys\n"
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "from jobd import Jobd\n"
        "app = Jobd()\n"
        "q = app.queue('q')\n"
        "@q.task()\n"
        "def code() -> int:\n"
        "    return subprocess.run([sys.executable, '-c', 'raise SystemExit(3)']).returncode\n"
    )
    with running(tmp_path, redis_url, source=source) as daemon:
        assert q.add("code").result("60s") == 3
    said = daemon.log.read_text()
    assert said.count("app.ignores_children") == 1
    assert "ChildProcessError" not in said
