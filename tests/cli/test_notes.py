"""What a job says of itself, shown: afterwards and while it runs."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.servers import eventually

from jobd import Jobd
from jobd.broker.commands import Completed, Jot
from jobd.broker.notes import write_line, write_progress
from jobd.broker.store import Store
from jobd.cli.main import main

NOW = 1_800_000_000_000
LEASE = 30_000


class Told:
    """A job that a worker of this test has claimed, and speaks for."""

    def __init__(self, app: Jobd) -> None:
        app.queue("q").add("t", {}, job_id="a")
        self.client = app.producer.client
        self.store: Store = app.producer.store("q")
        self.store.join("w.1", LEASE)
        self.claim = self.store.claim("w.1", LEASE).number
        self.said = 0

    def says(self, *lines: str, fraction: float | None = None, text: str = "") -> None:
        progress = b""
        if fraction is not None:
            progress = write_progress(NOW, self.claim, fraction, text)
        written = [write_line(NOW, self.claim, line) for line in lines]
        version = 1 + self.said + round((fraction or 0) * 100)
        jot = Jot(b"a", self.claim, version, progress, self.said, written)
        assert self.store.jot("w.1", [jot]) == []
        self.said += len(lines)

    def ends(self, keep: int = 9, ran: bytes = b"") -> None:
        done = [Completed(b"a", self.claim, "t|0|0|0", b'"sent"', ran)]
        self.store.settle("w.1", LEASE, completed=done, keep=keep)

    def is_followed(self) -> bool:
        return bool(self.client.exists("jobd:{q}:awaited"))


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str) -> Told:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOBD_REDIS_URL", redis_url)
    return Told(Jobd(redis_url))


Show = Callable[..., str]


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Show:
    def run(*arguments: str) -> str:
        assert main(["jobs", "show", "a", *arguments]) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    return run


def test_where_a_job_completed_is_shown_with_its_other_runs(job: Told, show: Show) -> None:
    job.ends(ran=f"2500 {job.claim} q.1 web-\x1b[2J".encode())
    [run] = [line for line in show().splitlines() if line.startswith("run ")]
    assert run.startswith("run 1:")
    assert run.endswith(f"completed  worker=q.1  host=web-\\x1b[2J  token={job.claim}  ran=2.5s")
    assert "ran:" not in show()
    assert json.loads(show("--json"))["ran"]["ms"] == 2500


def test_a_jobs_notes_are_shown(job: Told, show: Show) -> None:
    """Progress as a bar, the log with its times; what could write to a terminal cannot."""
    job.says("one", "two\nlines \x1b[2J", fraction=0.4, text="rows \x9b")
    job.store.step("w.1", "a", job.claim, "charge", b'{"receipt": 7}')
    shown = show()
    assert "progress:      [########............]  40%  rows \\x9b" in shown
    assert 'steps:         {"charge":{"receipt":7}}' in shown
    assert shown.splitlines()[-3].endswith("   one")
    assert shown.splitlines()[-2].endswith("   two")
    assert shown.splitlines()[-1] == " " * 15 + "lines \\x1b[2J"
    told = json.loads(show("--json"))
    assert [line["text"] for line in told["logs"]] == ["one", "two\nlines \x1b[2J"]
    assert (told["progress"]["fraction"], told["progress"]["token"]) == (0.4, job.claim)


def test_a_log_that_lost_lines_says_so(job: Told, show: Show) -> None:
    """A thousand are kept."""
    job.says(*(f"line {i}" for i in range(1100)))
    shown = show()
    assert "log:           100 older lines are not kept" in shown
    assert "line 99\n" not in shown
    assert "line 100\n" in shown


def test_a_list_shows_no_log(job: Told, capsys: pytest.CaptureFixture[str]) -> None:
    """It may hold what arguments hold."""
    job.says("secret")
    job.store.step("w.1", "a", job.claim, "charge", b'"secret"')
    assert main(["jobs", "list", "--json"]) == 0
    assert "secret" not in capsys.readouterr().out


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "not kept"])
def test_a_job_is_followed_to_its_end(job: Told, show: Show, kept: bool) -> None:
    """What was said before is printed once, what comes when it comes, and then the end."""
    job.says("before", fraction=0.1)

    def work() -> None:
        eventually(job.is_followed)
        job.says("during", fraction=0.5, text="half")
        job.ends(keep=9 if kept else 0)

    working = threading.Thread(target=work)
    working.start()
    shown = show("--follow")
    working.join(30)
    if kept:
        assert [shown.count(word) for word in ("before", "during", " 10%", " 50%  half")] == [1] * 4
        assert shown.endswith("state:         completed\nresult:        sent\n")
    else:
        assert shown.endswith("state:         gone; nothing is kept of it (`retain`)\n")


def test_programs_follow_by_lines_of_json(job: Told, show: Show) -> None:
    """Everything from the beginning, each fact a line, the job last."""
    job.says("before", fraction=0.1)

    def work() -> None:
        eventually(job.is_followed)
        job.says("during")
        job.ends()

    working = threading.Thread(target=work)
    working.start()
    facts: list[dict[str, Any]] = [
        json.loads(line) for line in show("--follow", "--json").splitlines()
    ]
    working.join(30)
    assert [fact["log"]["text"] for fact in facts if "log" in fact] == ["before", "during"]
    assert [fact["progress"]["fraction"] for fact in facts if "progress" in fact] == [0.1]
    assert (facts[-1]["job"]["state"], facts[-1]["job"]["result"]) == ("completed", "sent")


def test_who_follows_what_has_ended_is_not_kept_waiting(job: Told, show: Show) -> None:
    """It is shown, once."""
    job.says("one")
    job.ends()
    assert show("--follow").count("one") == 1
