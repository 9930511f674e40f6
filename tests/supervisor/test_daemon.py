"""A real supervisor with its keeper, preloader and workers, real signals and a real Redis."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from support.daemons import Daemon, eventually, gone, kill

from jobd import Jobd, JobHandle
from jobd.core.config import QueueConfig

pytestmark = pytest.mark.process

APP = """
import os, signal, time
from jobd import Jobd, JobHandle

app = Jobd()
mail = app.queue("mail")

@mail.task("quick")
def quick(path):
    open(path, "a").write(f"{os.getpid()}\\n")

@mail.task("slow")
def slow(path, span):
    open(path, "a").write(f"{os.getpid()}\\n")
    time.sleep(span)
    open(path + ".done", "a").write("x")

@mail.task("long", timeout=0.5, attempts=1)
def long(path):
    open(path, "a").write(f"{os.getpid()}\\n")
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            time.sleep(60)
        except BaseException:
            pass
"""

Start = Callable[..., Daemon]


@pytest.fixture
def start(tmp_path: Path, redis_url: str) -> Iterator[Start]:
    made: list[Daemon] = []

    def make(app: str = APP, **options: object) -> Daemon:
        made.append(Daemon(tmp_path, redis_url, app, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for daemon in made:
        daemon.end()


def enqueue(redis_url: str, task: str, **arguments: object) -> JobHandle:
    return Jobd(redis_url).queue("mail").add(task, arguments)


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def two() -> dict[str, QueueConfig]:
    return {"mail": QueueConfig(processes=2)}


def test_jobs_run_and_a_drain_ends_everything(start: Start, redis_url: str, tmp_path: Path) -> None:
    daemon = start(queues=two())
    slots = daemon.running(2)
    out = tmp_path / "out"
    enqueue(redis_url, "quick", path=str(out))
    assert int(eventually("the job has run", lambda: lines(out))[0]) in {s.pid for s in slots}
    family = psutil.Process(daemon.process.pid).children(recursive=True)
    expected = {"keeper", "preloader shopjobs:app", "sweeper", "worker mail.1", "worker mail.2"}
    eventually("everyone has its title", lambda: expected == {
        "".join(p.cmdline()).strip().removeprefix("jobd: ") for p in family})  # fmt: skip
    assert all(p.ppid() == daemon.process.pid for p in family), "workers are the supervisor's own"
    slow = tmp_path / "slow"
    enqueue(redis_url, "slow", path=str(slow), span=0.7)
    eventually("the slow job runs", lambda: lines(slow))
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0
    assert lines(tmp_path / "slow.done") == ["x"], "a drain lets running jobs finish"
    assert all(gone(p.pid) for p in family)
    assert not list(daemon.runtime.glob("scoreboard.*"))


def test_a_killed_worker_is_replaced_and_its_job_runs_again(
    start: Start, redis_url: str, tmp_path: Path
) -> None:
    daemon = start(queues=two())
    daemon.running(2)
    out = tmp_path / "out"
    enqueue(redis_url, "slow", path=str(out), span=1.0)
    first = int(eventually("it runs", lambda: lines(out))[0])
    kill(first)
    eventually("it runs again", lambda: len(lines(out)) == 2)
    eventually("it is done", lambda: lines(tmp_path / "out.done"))
    slots = daemon.running(2)
    assert first not in {s.pid for s in slots}
    assert sorted(s.restarts for s in slots) == [0, 1]
    assert [s.last_exit for s in slots if s.restarts] == ["crash"]


def test_helpers_may_die_and_workers_go_on(start: Start, redis_url: str, tmp_path: Path) -> None:
    daemon = start(queues=two())
    pids = {s.pid for s in daemon.running(2)}
    mine = psutil.Process(daemon.process.pid)
    helpers = [p for p in mine.children() if p.pid not in pids]
    assert len(helpers) == 3, "keeper, preloader and sweeper"
    for helper in helpers:
        kill(helper.pid)
    eventually("three new helpers", lambda: len(mine.children()) == 5 and all(
        gone(h.pid) for h in helpers))  # fmt: skip
    assert {s.pid for s in daemon.running(2)} == pids
    kill(min(p for p in pids if p))
    eventually("a replacement by the new preloader", lambda: len(
        {s.pid for s in daemon.slots() if s.phase == "running"} - pids) == 1)  # fmt: skip


def test_a_job_over_its_hard_deadline_is_killed_whatever_it_does(
    start: Start, redis_url: str, tmp_path: Path
) -> None:
    daemon = start(queues=two())
    daemon.running(2)
    out = tmp_path / "out"
    enqueue(redis_url, "long", path=str(out))
    pid = int(eventually("it runs", lambda: lines(out))[0])
    eventually("it is killed", lambda: gone(pid), within=60.0)
    eventually(
        "its cause is known", lambda: [s for s in daemon.slots() if s.last_exit == "timeout"]
    )


def test_a_second_term_stops_at_once(start: Start, redis_url: str, tmp_path: Path) -> None:
    daemon = start(queues=two(), drain=200.0)
    daemon.running(2)
    out = tmp_path / "out"
    job = enqueue(redis_url, "slow", path=str(out), span=200.0)
    eventually("it runs", lambda: lines(out))
    daemon.signal(signal.SIGTERM)
    eventually("it drains", lambda: "daemon.draining" in daemon.text())
    daemon.signal(signal.SIGTERM)
    assert daemon.wait(60.0) == 0
    assert job.state() == "waiting", "handed back before the daemon has ended"
    assert '"unreleased":0' in daemon.text()


def test_a_killed_daemon_leaves_nobody_and_the_next_one_releases(
    start: Start, redis_url: str, tmp_path: Path
) -> None:
    daemon = start(queues=two())
    daemon.running(2)
    out = tmp_path / "out"
    enqueue(redis_url, "slow", path=str(out), span=2.0)
    eventually("it runs", lambda: lines(out))
    family = psutil.Process(daemon.process.pid).children(recursive=True)
    daemon.process.kill()
    daemon.process.wait()
    for process in family:
        eventually("the family ends with it", lambda process=process: gone(process.pid))
    left = list(daemon.runtime.glob("scoreboard.*"))
    assert len(left) == 1
    daemon.start()
    eventually("the job runs again, long before its lease ends", lambda: len(lines(out)) == 2)
    eventually("the old scoreboard is gone", lambda: not left[0].exists())


def test_an_app_that_does_not_load_is_one_paragraph_and_78(start: Start) -> None:
    daemon = start("import nothing_of_this_name\n", queues=two())
    assert daemon.wait() == 78
    assert "Traceback" not in daemon.text()
    assert "No module named 'nothing_of_this_name'" in daemon.text().splitlines()[-1]


def test_what_only_looks_like_an_app_is_one_paragraph_and_78(start: Start) -> None:
    """Found by the preloader, once; not by each worker, again and again."""
    daemon = start("class Shop:\n    queues = {'mail': None}\n\napp = Shop()\n", queues=two())
    assert daemon.wait() == 78
    assert "is of type Shop; expected a jobd.Jobd" in daemon.text()
    assert "Traceback" not in daemon.text()


def test_a_second_daemon_on_one_directory_is_refused(start: Start) -> None:
    daemon = start(queues=two())
    daemon.running(2)
    first = daemon.process
    second = daemon.start()
    assert second.wait(30) == 69
    daemon.process = first
    assert f"held by the daemon with pid {first.pid}" in daemon.text()


def test_without_preloading_each_worker_imports_for_itself(
    start: Start, redis_url: str, tmp_path: Path
) -> None:
    daemon = start(queues={"mail": QueueConfig(processes=1, preload=False)})
    daemon.running(1)
    out = tmp_path / "out"
    enqueue(redis_url, "quick", path=str(out))
    eventually("the job has run", lambda: lines(out))


def test_queues_only_the_app_declares_are_served(start: Start) -> None:
    daemon = start()
    assert [s.slot for s in daemon.running(1)] == ["mail.1"]


def test_nobody_inherits_what_is_not_theirs(start: Start) -> None:
    daemon = start(queues=two())
    workers = {s.pid for s in daemon.running(2)}
    for child in psutil.Process(daemon.process.pid).children():
        held = [
            os.readlink(f"/proc/{child.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{child.pid}/fd")
        ]
        assert not [name for name in held if name.endswith("/lock")]
        assert os.readlink(f"/proc/{child.pid}/fd/0") == "/dev/null"
        if child.pid in workers:
            assert len([name for name in held if "scoreboard" in name]) <= 1


def test_the_supervisor_loads_nothing_it_could_do_without() -> None:
    """It is there as long as the host is: no Redis, no user code, no heavy corner of the library."""
    code = (
        # setproctitle, which tells one process from another in `ps`, brings logging.
        "import sys, setproctitle; before = set(sys.modules); import jobd.wiring.supervisor\n"
        "heavy = {'redis', 'hiredis', 'rich', 'click', 'asyncio', 'ssl', 'email', 'logging',\n"
        "         'threading', 'subprocess', 'dataclasses', 'json', 'psutil'}\n"
        "ours = ('jobd.broker', 'jobd.client', 'jobd.worker', 'jobd.keeper', 'jobd.cli')\n"
        "bad = [m for m in set(sys.modules) - before\n"
        "       if m.split('.')[0] in heavy or m.startswith(ours)]\n"
        "sys.exit(repr(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
