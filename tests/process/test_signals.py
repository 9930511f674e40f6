"""Every signal at every moment: what comes of it, and which exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.daemons import eventually, gone

from jobd import Jobd, JobHandle
from jobd.seams.scoreboard import PageView, Scoreboard
from jobd.supervisor.loop import WATCHED

pytestmark = pytest.mark.process

# `gate` holds up the import, `refuse` what a helper does when it is told to end.
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


class Started:
    """`jobd run`, as its user starts it."""

    def __init__(self, top: Path, url: str) -> None:
        top.mkdir(exist_ok=True)
        self.top = top
        self.url = url
        (top / "shop.py").write_text(APP)
        (top / "jobd.toml").write_text(
            f'app = "shop:app"\n[redis]\nurl = "{url}"\n[daemon]\nruntime_dir = "{top / "run"}"\n'
            'drain_timeout = "10s"\nlog = { format = "json", level = "debug" }\n'
            "[queues.q]\nprocesses = 2\n"
        )
        self.log = top / "log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jobd", "run"], cwd=top, stdout=log, stderr=log
            )

    def said(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line[:1] == "{"]
        return [line for line in lines if line["event"] == event]

    def when(self, event: str) -> None:
        eventually(event, lambda: self.said(event), within=25)

    def ready(self) -> None:
        self.when("daemon.ready")

    def hears(self) -> bool:
        """From the first statement of ours on; before that Python starts."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        fields = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
        taken = int(fields["SigBlk"], 16) | int(fields["SigCgt"], 16)
        return bool(taken >> (signal.SIGTERM - 1) & 1)

    def signal(self, *numbers: int) -> None:
        for number in numbers:
            self.process.send_signal(number)

    def family(self) -> list[int]:
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        return [int(word) for word in Path(path).read_text().split()]

    def helper(self, title: str) -> int:
        [pid] = [p for p in self.family() if title in Path(f"/proc/{p}/cmdline").read_text()]
        return pid

    def pages(self) -> list[PageView]:
        [path] = (self.top / "run").glob("scoreboard.*")
        return Scoreboard.open(path).views()

    def ended(self, within: float) -> int:
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"not ended within {within} s\n{self.log.read_text()}") from None

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def start(tmp_path: Path, redis_url: str) -> Iterator[Callable[[], Started]]:
    """Start it, any number of times, each in a directory of its own."""
    made: list[Started] = []

    def one() -> Started:
        made.append(Started(tmp_path / str(len(made)), redis_url))
        return made[-1]

    yield one
    for each in made:
        each.end()


def busy(run: Started, name: str) -> JobHandle:
    """Have a job run that ends when there is a file of this name."""
    job = Jobd(run.url).queue("q").add("waits_for", {"path": str(run.top / name)})
    eventually("the job runs", (run.top / f"{name}.asked").exists, within=20)
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
    assert [run.ended(10) for run in runs] == [0, 0, 0, 0]


def test_a_stop_during_a_slow_import_does_not_wait_for_it(
    start: Callable[[], Started], tmp_path: Path
) -> None:
    """Also when the application ignores the signal."""
    for name in ("gate", "refuse"):
        (tmp_path / "0").mkdir(exist_ok=True)
        (tmp_path / "0" / name).touch()
    run = start()
    eventually("it imports", (run.top / "importing").exists, within=20)
    family = run.family()
    run.signal(signal.SIGTERM)
    assert run.ended(8) == 0
    assert all(gone(pid) for pid in family)


def test_a_stop_waits_for_jobs_and_any_second_one_does_not(start: Callable[[], Started]) -> None:
    """INT is a second one as well as TERM; each job is interrupted, which costs nothing."""
    run = start()
    run.ready()
    job = busy(run, "never")
    run.signal(signal.SIGTERM)
    run.when("daemon.draining")
    run.signal(signal.SIGINT)
    assert run.ended(5) == 0
    interrupted_once(job)


def test_quit_stops_at_once_and_hands_back(start: Callable[[], Started]) -> None:
    run = start()
    run.ready()
    job = busy(run, "never")
    run.signal(signal.SIGQUIT)
    assert run.ended(5) == 0
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
    eventually("it imports", (run.top / "importing").exists, within=20)
    run.signal(*others)
    (run.top / "gate").unlink()
    run.ready()
    job = busy(run, "go")
    run.signal(*others)
    run.signal(signal.SIGTERM)
    run.when("daemon.draining")
    run.signal(*others)
    (run.top / "go").touch()
    assert run.ended(10) == 0
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
    assert run.ended(8) == 0
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
    assert run.ended(3) == 0
    interrupted_once(job)
    assert run.said("daemon.stopped")[-1]["unreleased"] == 0
