"""What the README says is shown, is shown: the same words; ids, instants and numbers may differ."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.documents import block, shape
from support.notes import AT, a_note
from support.servers import eventually
from support.web import Site, tried

from jobd import Jobd
from jobd.alerter.sinks import webhook
from jobd.broker.commands import Completed, Ending
from jobd.cli.growth_lines import growth_lines
from jobd.cli.main import main
from jobd.cli.picture import Picture
from jobd.cli.picture import Store as Stored
from jobd.cli.picture_lines import explain_lines
from jobd.core.config_alerts import SinkConfig
from jobd.core.output_events import TaskErrorOutput, TaskOutput
from jobd.core.portrait import Daemon, Growth, QueueView
from jobd.seams.log import Log
from jobd.supervisor.scale import Load, decide

LEASE = 30_000
NOW = 1_000.0
JOB = "01a227c5-5180-760a-a5ad-9581a49013b4"
TOKEN = 1832616982558720
LOGGED = {
    "console": block("README.md", "careful: no name"),
    "json": block("README.md", '"event":"task.output"'),
}


def a_picture(queues: dict[str, QueueView]) -> Picture:
    daemon = Daemon(
        running=True, stopping=False, pid=7, started_at=1.0, up_for=90.0, generation=1, last_error=None,
        helpers={}, workers=[], nonce="n", host="web1", answers="yes", queues=queues,
    )  # fmt: skip
    return Picture(runtime_dir="/run/jobd", url="redis://x", daemon=daemon, store=Stored())


def test_the_task_that_grows_is_named() -> None:
    """To the letter."""
    leak = Growth(task="render-pdf", bytes=343_000_000, jobs=312)
    found = growth_lines(a_picture({"docs": QueueView(wanted=1, growth=[leak])}), None)
    assert [line.text for line in found] == ["", *block("README.md", "grows    docs").splitlines()]


def test_numbers_of_processes_are_explained() -> None:
    """To the letter, by what decides them."""
    loads = [
        Load(queue="email", least=1, most=8, target=3, ready=3, due=640, rate=5.0, busy=3, used=3.0),
        Load(queue="reports", least=1, most=4, target=2, ready=2, due=7, limited=True, used=2.0),
        Load(queue="thumbs", least=2, most=2, target=2, ready=2),
    ]  # fmt: skip
    views = {
        load.queue: QueueView(wanted=said.target, least=load.least, most=load.most, explain=said.why)
        for load, said in zip(loads, decide(loads, most=0, now=NOW), strict=True)
    }  # fmt: skip
    lines = [line.text for line in explain_lines(a_picture(views), None)]
    assert lines == ["", *block("README.md", "email: 3 processes of 1 to 8").splitlines()]


@pytest.mark.parametrize("style", LOGGED)
def test_what_a_task_prints_is_logged(style: str, tmp_path: Path) -> None:
    """On a terminal and for programs."""
    said = LOGGED[style].splitlines()
    with (tmp_path / "log").open("wb") as file:
        log = Log(style=style, level="info", role="worker", fd=file.fileno())
        whose: Any = {"slot": "email.1", "task": "welcome", "job": JOB, "token": TOKEN}
        log(TaskOutput(**whose, text="sending to 7"))
        log(TaskErrorOutput(**whose, text="careful: no name given"))
    shown = (tmp_path / "log").read_text().splitlines()
    assert [blotted(line) for line in shown[: len(said)]] == [blotted(line) for line in said]


def blotted(line: str) -> str:
    """Blot out when it was."""
    return re.sub(r"\d\d:\d\d:\d\d(\.\d+)?", "#", re.sub(r"\d{4}-\d\d-\d\d", "#", line))


def test_a_webhook_gets_what_is_said_of_its_body() -> None:
    """The same names, and the same kinds of values; three dots stand for any."""
    said = json.loads(block("README.md", '"jobd.alert.firing"'))
    config = msgspec.convert(
        {"name": "o", "kind": "webhook", "url": "https://x.example", "secret": "whsec_MfKQ9r8GKYqrTwjU"},
        SinkConfig,
    )  # fmt: skip
    [post] = webhook.posts(config, a_note(namespace="jobd"), AT / 1000)
    sent = json.loads(post.body)
    assert kinds(sent) == kinds(said)
    assert sent["data"]["rule"] == said["data"]["rule"]


def kinds(value: object) -> object:
    if isinstance(value, dict):
        return {name: kinds(each) for name, each in value.items()}
    return [kinds(each) for each in value] if isinstance(value, list) else type(value)


def says(site: Site, status: str) -> bool:
    answer = tried(site.port, "/readyz")
    return answer is not None and answer.json["status"] == status


@pytest.fixture
def unready(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path, f"unix://{tmp_path}/nobody.sock")
    site.start("run")
    try:
        eventually(lambda: says(site, "unready"), within=60)
        yield site
    finally:
        site.end()


@pytest.mark.process
@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_readiness_is_told_as_it_says(unready: Site) -> None:
    """By its command, of a daemon whose Redis is not there."""
    command, said = block("README.md", "/readyz").splitlines()
    line = command.removeprefix("$ ").replace(":9180/", f":{unready.port}/")
    shown = subprocess.run(line.split(), capture_output=True, text=True, check=False).stdout
    pattern = re.escape(said).replace(re.escape("..."), ".*")
    assert re.fullmatch(pattern, shown.strip()), shown


# --- why ---


def reports(app: Jobd) -> str:
    """Two workers, both busy, that have ended some hundred jobs; 300 wait. Give one in the middle."""
    queue = app.queue("reports")
    store = queue._producer.store("reports")
    queue.add_many([("report", {})] * 1_102)
    for worker in ("w.1", "w.2"):
        store.join(worker, LEASE)
    for _ in range(800):
        claim = store.claim("w.1", LEASE)
        done = Completed(claim.jobs[0].id, claim.number, "t|0|0|0", b"")
        assert store.settle("w.1", LEASE, completed=[done]) == []
    for worker in ("w.1", "w.2"):
        store.claim(worker, LEASE)
    [job] = app.producer.client.zrange("jobd:{reports}:waiting", 120, 120)
    return str(job.decode())


def mail(app: Jobd) -> str:
    """A paused queue, and a job that has failed twice of five times."""
    queue = app.queue("email")
    queue.add("welcome-email", job_id="mail-7", attempts=5)
    store = queue._producer.store("email")
    store.join("w.1", LEASE)
    claim = store.claim("w.1", LEASE)
    error = "SMTPServerDisconnected"
    fields = {"failed": 2, "error": error, "history": f'[{{"kind":"failed","error":"{error}"}}]'}
    again = Ending("retry", b"mail-7", claim.number, "t|0|0|0", 3_600_000, "failed", fields)
    assert store.settle("w.1", LEASE, endings=[again]) == []
    queue.pause()
    return "mail-7"


def test_what_is_in_the_way_is_told(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    """Of a job in line and of one that waits for its next attempt."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOBD_REDIS_URL", redis_url)
    app = Jobd(redis_url)
    said = block("README.md", "$ jobd why")
    shown = ""
    for job in (reports(app), mail(app)):
        shown += f"$ jobd why {job}\n"
        assert main(["why", job]) == 0
        shown += capsys.readouterr().out
    assert shape(shown).splitlines() == shape(said).splitlines()
