"""Every signal at every moment: what comes of it, and which exit code."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.daemons import eventually, gone
from support.started import Started, slow_click

from jobd import Jobd, JobHandle
from jobd.supervisor.signalled import WATCHED

pytestmark = pytest.mark.process

# `gate` holds up the import, `refuse` what a helper does when it is told to end.
# Nobody waits for it: a stop that does not wait for jobs is told from one that does by its end alone.
NEVER = 3600
APP = """
import os, signal, time
from jobd import Jobd
if os.path.exists("gate"):
    open("importing", "w").close()
if os.path.exists("refuse"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
while os.path.exists("gate"):
    time.sleep(0.01)
app = Jobd()
q = app.queue("q")

@q.task()
def waits_for(path: str) -> str:
    open(path + ".asked", "a").write("x")
    while not os.path.exists(path):
        time.sleep(0.01)
    return "waited"
"""


@pytest.fixture
def start(tmp_path: Path, redis_url: str) -> Iterator[Callable[[], Started]]:
    """Start it, any number of times, each in a directory of its own."""
    made: list[Started] = []

    def one(drain: int = NEVER) -> Started:
        made.append(Started(tmp_path / str(len(made)), redis_url, APP, drain=drain))
        return made[-1]

    yield one
    for each in made:
        each.end()


def busy(run: Started, name: str) -> JobHandle:
    """Have a job run that ends when there is a file of this name."""
    job = Jobd(run.url).queue("q").add("waits_for", {"path": str(run.top / name)})
    eventually("the job runs", (run.top / f"{name}.asked").exists)
    return job


def interrupted_once(job: JobHandle) -> None:
    info = job.info()
    assert (info.state, info.interrupted, info.failed, info.crashes) == ("waiting", 1, 0, 0)


def test_a_stop_that_comes_while_it_starts_ends_it_well(start: Callable[[], Started]) -> None:
    """Before the configuration is read, before the loop runs, before anybody is forked: 0."""
    runs = [start() for _ in range(4)]
    for run, pause in zip(runs, (0.0, 0.3, 0.3, 0.6), strict=True):
        eventually("the program has begun", run.hears)
        time.sleep(pause)
        run.signal(signal.SIGTERM)
    # The first has the directory for itself as have the others: none waits for another.
    assert [run.ended() for run in runs] == [0, 0, 0, 0]


def test_a_stop_during_a_slow_import_does_not_wait_for_it(
    start: Callable[[], Started], tmp_path: Path
) -> None:
    """Also when the application ignores the signal."""
    for name in ("gate", "refuse"):
        (tmp_path / "0").mkdir(exist_ok=True)
        (tmp_path / "0" / name).touch()
    run = start()
    eventually("it imports", (run.top / "importing").exists)
    family = run.family()
    run.signal(signal.SIGTERM)
    assert run.ended() == 0
    assert all(gone(pid) for pid in family)


def test_a_stop_waits_for_jobs_and_any_second_one_does_not(start: Callable[[], Started]) -> None:
    """INT is a second one as well as TERM; each job is interrupted, which costs nothing."""
    run = start()
    run.ready()
    job = busy(run, "never")
    run.signal(signal.SIGTERM)
    run.when("daemon.draining")
    run.signal(signal.SIGINT)
    assert run.ended() == 0
    interrupted_once(job)


def test_quit_stops_at_once_and_hands_back(start: Callable[[], Started]) -> None:
    run = start()
    run.ready()
    job = busy(run, "never")
    run.signal(signal.SIGQUIT)
    assert run.ended() == 0
    assert not run.said("daemon.draining")
    interrupted_once(job)


def test_other_signals_end_nothing_at_any_moment(
    start: Callable[[], Started], tmp_path: Path
) -> None:
    """From the first statement on, while it imports, while it works, and while it drains."""
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "gate").touch()
    run = start()
    others = [n for n in WATCHED if n not in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)]
    eventually("the program has begun", run.hears)
    run.signal(*others)
    eventually("it imports", (run.top / "importing").exists)
    run.signal(*others)
    (run.top / "gate").unlink()
    run.ready()
    job = busy(run, "go")
    run.signal(*others)
    run.signal(signal.SIGTERM)
    run.when("daemon.draining")
    run.signal(*others)
    (run.top / "go").touch()
    assert run.ended() == 0
    assert job.state() == "completed"
    assert (run.top / "go.asked").read_text() == "x", "and it ran once"


def test_a_stop_after_the_helpers_were_lost_takes_no_longer(start: Callable[[], Started]) -> None:
    """Keeper, preloader and sweeper killed in that moment: jobs still end, leases are still closed."""
    run = start()
    run.ready()
    job = busy(run, "go")
    for pid in set(run.family()) - {view.pid for view in run.pages()}:
        os.kill(pid, signal.SIGKILL)
    run.signal(signal.SIGTERM)
    run.when("daemon.draining")
    (run.top / "go").touch()
    assert run.ended() == 0
    assert job.state() == "completed"
    assert run.said("daemon.stopped")[-1]["unreleased"] == 0


def test_a_second_stop_with_a_fork_order_open_interrupts_each_job_once(
    start: Callable[[], Started],
) -> None:
    """A worker that is being born does not take up what the others have to give back."""
    run = start()
    run.ready()
    job = busy(run, "never")
    preloader = run.helper("preloader")
    os.kill(preloader, signal.SIGSTOP)
    [idle] = [view.pid for view in run.pages() if not view.cells]
    os.kill(idle, signal.SIGKILL)
    run.when("worker.died")
    eventually("an order is open", lambda: any(not view.pid for view in run.pages()))
    run.signal(signal.SIGTERM)
    run.when("daemon.draining")
    os.kill(preloader, signal.SIGCONT)
    run.signal(signal.SIGTERM)
    assert run.ended() == 0
    interrupted_once(job)
    assert run.said("daemon.stopped")[-1]["unreleased"] == 0


def test_what_comes_while_the_command_line_is_imported_is_heard_later(
    tmp_path: Path, redis_url: str
) -> None:
    """HUP and INT too, whose defaults would end it, with a traceback of ours."""
    path = slow_click(tmp_path)
    run = Started(tmp_path / "run", redis_url, APP, within=["env", f"PYTHONPATH={path}"])
    try:
        eventually("the import has begun", (run.top / "importing").exists)
        run.signal(signal.SIGHUP, signal.SIGINT)
        (run.top / "imported").touch()
        assert run.ended() == 0
    finally:
        run.end()
    assert "Traceback" not in run.log.read_text()


def test_too_few_files_are_named_as_what_is_wrong(tmp_path: Path, redis_url: str) -> None:
    few = (24, 200)
    words = [["sh", "-c", f'ulimit -n {n} && exec "$@"', "sh"] for n in few]
    runs = [
        Started(tmp_path / str(n), redis_url, APP, within=within)
        for n, within in zip(few, words, strict=True)
    ]
    try:
        for n, run in zip(few, runs, strict=True):
            assert run.ended() == 78
            assert f"RLIMIT_NOFILE: {n} open files; expected" in run.log.read_text()
    finally:
        for run in runs:
            run.end()
