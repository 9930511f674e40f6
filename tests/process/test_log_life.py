"""The log of a daemon over its whole life: each line a record, and no secret and no argument in any."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from support.daemons import eventually
from support.servers import running, server_programs

from jobd import Jobd

pytestmark = pytest.mark.process

PROGRAM = next(iter(server_programs().values()))
PASSWORD, ARGUMENT, RESULT = "s3cr3t-canary-pw", "argument-canary-77", "result-canary-77"
APP = f"""
import ctypes, os, time
from jobd import Fixed, Jobd

app = Jobd()
q = app.queue("q")

@q.task()
def good(given):
    return "{RESULT}"

@q.task(attempts=2, backoff=Fixed(0.01))
def fails(given):
    raise ValueError("line one\\nline \\x1b[31mtwo\\x00\\u2028\\ud800 " + "x" * 500)

@q.task()
def typed(given: int):
    pass

@q.task(max_crashes=1)
def crashes(given):
    ctypes.string_at(0)

@q.task(timeout=0.3)
def endless(given):
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass

@q.task()
def moves(given):
    os.chdir("/")
    print("printed \\x1b[2J\\x85 by a task")
    os.write(2, b"raw \\x00\\xff bytes\\n")

@app.on("completed")
def hook(event):
    if event.task == "good":
        raise RuntimeError("a hook")
"""
STYLES = {
    "json": re.compile(rb'\{"ts":".*\}'),
    "console": re.compile(rb"(\d\d:\d\d:\d\d (debug|info|warning|error) .*)|jobd: .*"),
    "journal": re.compile(rb"(<[3467]>(supervisor|worker|keeper|preloader|helper): .*)|jobd: .*"),
}


@contextlib.contextmanager
def server(top: Path, password: str) -> Iterator[str]:
    folder = top / "server"
    folder.mkdir(exist_ok=True)
    with running(PROGRAM, folder, "--requirepass", password, ready=False) as url:
        yield url.replace("unix://", f"unix://:{PASSWORD}@")


@contextlib.contextmanager
def daemon(
    top: Path, url: str, style: str, log: Path | None = None
) -> Iterator[Callable[[str], bool]]:
    """Run one; give what tells whether its log has a word by now."""
    (top / "shop.py").write_text(APP)
    (top / "jobd.toml").write_text(
        f'app = "shop:app"\n[redis]\nurl = "{url}"\n[daemon]\nruntime_dir = "{top}/run"\n'
        f'drain_timeout = "2s"\nlog = {{ format = "{style}", level = "debug" }}\n'
    )
    log = log or top / "log"
    environment = {key: value for key, value in os.environ.items() if key != "JOURNAL_STREAM"}
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "jobd", "run"], cwd=top, stdin=subprocess.DEVNULL,
            stdout=out, stderr=out, env=environment,
        )  # fmt: skip
    (top / "pid").write_text(str(process.pid))
    try:
        yield lambda word: word in log.read_text("utf-8", "replace")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    "style",
    ["json", *(pytest.param(name, marks=pytest.mark.chaos) for name in ("console", "journal"))],
)
def test_each_line_is_a_record_and_none_tells_a_secret(style: str, tmp_path: Path) -> None:
    redis = contextlib.ExitStack()
    with (
        redis,
        daemon(tmp_path, first := redis.enter_context(server(tmp_path, PASSWORD)), style) as said,
    ):
        eventually("ready", lambda: said("daemon.ready"))
        _jobs(first)
        eventually("the crash", lambda: said("worker.died") and said("worker.killed"))
        _refused_reload(tmp_path, said)
        redis.close()
        eventually("Redis away", lambda: said("cannot be reached"))
        with server(tmp_path, "another"):
            eventually("refused", lambda: said("refused us"))
    data = (tmp_path / "log").read_bytes()
    assert data.endswith(b"\n")
    lines = data[:-1].split(b"\n")
    assert len(lines) > 30
    for line in lines:
        assert STYLES[style].fullmatch(line), line
        assert line.decode().isprintable(), line
        assert len(line) < 16 << 10
        if style == "json":
            record = msgspec.json.decode(line)
            told_of_job = record["event"].startswith("job.")
            assert not told_of_job or {"job", "token", "queue"} <= record.keys(), record
            if record["event"] in ("worker.died", "worker.killed"):
                assert len(record["jobs"]) == len(record["tokens"]) == 1, record
    for canary in (PASSWORD, ARGUMENT, RESULT):
        assert canary.encode() not in data


def test_a_log_that_takes_nothing_stops_no_work(tmp_path: Path, redis_url: str) -> None:
    """A disk that is full from the start to the end: jobs run, fail, crash, and the daemon ends well."""
    with daemon(tmp_path, redis_url, "json", Path("/dev/full")):
        _jobs(redis_url)


def _jobs(url: str) -> None:
    queue = Jobd(url).queue("q")
    given = {"given": ARGUMENT}
    jobs = [
        queue.add(task, given) for task in ("good", "fails", "typed", "moves", "unknown-to-all")
    ]
    jobs += [queue.add("crashes", given), queue.add("endless", given)]
    ends = ["completed", "dead", "dead", "completed", "delayed", "dead", "dead"]
    eventually("all jobs", lambda: [job.state() for job in jobs] == ends)


def _refused_reload(top: Path, said: Callable[[str], bool]) -> None:
    file = top / "jobd.toml"
    good = file.read_text()
    file.write_text(good.replace("unix://", "unixx://") + "[daemn]\nx = 1\n")
    os.kill(int((top / "pid").read_text()), signal.SIGHUP)
    eventually("the refusal", lambda: said("reload.refused"))
    file.write_text(good)
