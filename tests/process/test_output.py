"""Whatever is printed in a worker of a real daemon is in its log: whole, in bounds, with who it was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.daemons import Daemon, eventually

from jobd import Jobd, JobHandle
from jobd.core.config import QueueConfig
from jobd.core.output import BURST, LONGEST

pytestmark = pytest.mark.process

APP = """
import asyncio, ctypes, io, logging, os, subprocess, sys, threading, time, warnings
from jobd import Job, Jobd

print("imported")
os.write(2, b"a library speaks up\\n")
log = logging.getLogger("shop")
log.addHandler(logging.StreamHandler(sys.stderr))  # keeps the stream that is there now
stderr_at_import = sys.stderr

app = Jobd()
solo, threads, aio = app.queue("solo"), app.queue("threads"), app.queue("aio")

def until(path):
    while not os.path.exists(path):
        time.sleep(0.005)

@solo.task()
def says():
    print("one", 2)
    print("to stderr", file=sys.stderr)
    log.error("logged")
    stderr_at_import.write("kept since the import\\n")
    warnings.warn("warned")
    sys.stdout.buffer.write(b"bytes \\xff\\n")
    print("half \\ud800 a line", end="", flush=True)
    assert not sys.stdout.isatty() and sys.stdout.fileno() == 1

@solo.task()
def descriptors(path):
    os.write(1, b"by number\\n")
    subprocess.run(["sh", "-c", "echo by a subprocess"])
    subprocess.run(["echo", "through fileno"], stdout=sys.stdout)
    ctypes.CDLL(None).printf(b"by the C library\\n")
    os.write(2, b"half of one")
    until(path)

@solo.task(max_crashes=1)
def crashes():
    print("before the crash")
    ctypes.string_at(0)

@solo.task()
def raises_in_thread():
    def main():
        print("in a thread")
        raise ValueError("nobody catches this")
    thread = threading.Thread(target=main)
    thread.start()
    thread.join()
    if os.fork() == 0:
        print("in a child")
        print("half in a child", end="")
        return
    os.wait()

@solo.task()
def breaks(how):
    if how == "close":
        sys.stdout.close()
        sys.stderr.close()
    elif how == "replace":
        sys.stdout = sys.stderr = io.StringIO()
    elif how == "detach":
        sys.stdout = io.TextIOWrapper(sys.stdout.detach())
    elif how == "buffer":
        sys.stdout.reconfigure(write_through=False)
        print("buffered")

@solo.task()
def floods(megabytes, how):
    line = "x" * 79 + "\\n"
    for _ in range(megabytes << 10):
        if how == "print":
            sys.stdout.write(line * 13)
        else:
            os.write(1, (line * 13).encode())
    print("still there")

@solo.task()
def long_line():
    print("0123456789" * 5000)

@threads.task("talks")
def talks(job: Job, go):
    for number in range(20):
        print(job.id, number)
        sys.stderr.write("half ")
        time.sleep(0.001)
        sys.stderr.write(f"{job.id}\\n")
    thread = threading.Thread(target=print, args=("whose?",))
    thread.start()
    thread.join()
    print(job.id, "waits")
    until(go)

@aio.task("talks")
async def atalks(job: Job, go):
    async def inner(number):
        await asyncio.sleep(0.001)
        print(job.id, number)
        await asyncio.to_thread(print, job.id, number)
    await asyncio.gather(*map(inner, range(10)))
    print(job.id, "waits")
    while not os.path.exists(go):
        await asyncio.sleep(0.005)

@aio.task("stalks")
def stalks(job: Job, go):
    print(job.id, "waits")
    until(go)
"""

Record = dict[str, Any]


class Log:
    """The log of one daemon, and what has been looked at of it."""

    def __init__(self, daemon: Daemon, app: Jobd, top: Path) -> None:
        self.daemon = daemon
        self.app = app
        self.top = top

    def records(self) -> list[Record]:
        text = self.daemon.log.read_bytes()
        return [msgspec.json.decode(line) for line in text.splitlines()[: text.count(b"\n")]]

    def output(self, **fields: object) -> list[Record]:
        printed = [r for r in self.records() if r["event"] == "task.output"]
        return [r for r in printed if all(r.get(name) == said for name, said in fields.items())]

    def texts(self, handle: JobHandle, **fields: object) -> list[str]:
        return [r["text"] for r in self.output(job=handle.id, **fields)]

    def add(self, queue: str, task: str, **args: object) -> JobHandle:
        return self.app.queue(queue).add(task, args)

    def run(self, queue: str, task: str, **args: object) -> JobHandle:
        handle = self.add(queue, task, **args)
        handle.result(timeout=60)
        return handle

    def touch(self, name: str) -> None:
        (self.top / name).touch()


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory, servers: dict[str, str]) -> Iterator[Log]:
    url = next(iter(servers.values()))
    top = tmp_path_factory.mktemp("output")
    app = Jobd(url)
    app.producer.client.flushall()
    queues = {
        "solo": QueueConfig(),
        "threads": QueueConfig(concurrency=3),
        "aio": QueueConfig(concurrency=3),
    }
    daemon = Daemon(top, url, APP, queues=queues)
    try:
        daemon.running(3)
        yield Log(daemon, app, top)
    finally:
        daemon.end()
        app.producer.client.close()


def test_each_line_is_a_record_with_its_job(log: Log) -> None:
    handle = log.run("solo", "says")
    eventually("half a line", lambda: "half \\ud800 a line" in log.texts(handle))

    assert log.texts(handle, stream="stdout", level="info") == [
        "one 2",
        "bytes �",
        "half \\ud800 a line",
    ]
    said = log.texts(handle, stream="stderr", level="warning")
    assert said[:3] == ["to stderr", "logged", "kept since the import"]
    assert "UserWarning: warned" in said[3]
    assert {(r["slot"], r["task"], r["role"]) for r in log.output(job=handle.id)} == {
        ("solo.1", "says", "worker")
    }


def test_what_the_application_prints_while_it_is_imported_is_told_apart(log: Log) -> None:
    (record,) = [r for r in log.records() if r["event"] == "app.output"]
    assert (record["app"], record["text"]) == ("shopjobs:app", "imported")
    (record,) = [r for r in log.records() if r["event"] == "helper.output"]
    assert (record["helper"], record["text"]) == ("preloader shopjobs:app", "a library speaks up")


def test_what_goes_past_python_is_a_record_too(log: Log) -> None:
    handle = log.add("solo", "descriptors", path=str(log.top / "go1"))
    eventually("the last line", lambda: "by the C library" in log.texts(handle))
    log.touch("go1")
    handle.result(timeout=60)

    assert log.texts(handle, stream="fd", level="warning", slot="solo.1") == [
        "by number",
        "by a subprocess",
        "through fileno",
        "by the C library",
    ]


@pytest.mark.parametrize(
    ("queue", "task"), [("threads", "talks"), ("aio", "talks"), ("aio", "stalks")]
)
def test_of_jobs_that_run_at_once_each_has_its_own_lines(log: Log, queue: str, task: str) -> None:
    """Half lines too, and what a task awaits or gives to a thread."""
    go = f"go-{queue}-{task}"
    handles = [log.add(queue, task, go=str(log.top / go)) for _ in range(3)]

    def all_wait() -> bool:
        return all(f"{handle.id} waits" in log.texts(handle) for handle in handles)

    eventually("all three at once", all_wait)
    log.touch(go)
    for handle in handles:
        handle.result(timeout=60)
        texts = log.texts(handle)
        assert len(texts) == {"talks": 41 if queue == "threads" else 21, "stalks": 1}[task]
        assert all(handle.id in text for text in texts)


def test_a_thread_of_a_task_is_its_own_only_where_nobody_else_could_be_meant(log: Log) -> None:
    handle = log.run("solo", "raises_in_thread")
    texts = log.texts(handle)
    assert "in a thread" in texts
    assert any("ValueError: nobody catches this" in text for text in texts)
    assert texts.count("in a child") == texts.count("half in a child") == 1
    # From the test above, if it came first: three ran there.
    assert all("job" not in record for record in log.output(text="whose?", slot="threads.1"))


@pytest.mark.parametrize("how", ["close", "replace", "detach", "buffer"])
def test_a_task_that_breaks_its_streams_breaks_them_for_itself(log: Log, how: str) -> None:
    broken = log.run("solo", "breaks", how=how)
    handle = log.run("solo", "says")
    eventually("all lines", lambda: len(log.texts(handle)) >= 6)
    assert log.texts(handle)[:3] == ["one 2", "to stderr", "logged"]
    assert log.texts(broken) == (["buffered"] if how == "buffer" else [])


@pytest.mark.parametrize("how", ["print", "descriptor"])
def test_a_flood_costs_little_and_is_told_as_a_number(log: Log, how: str) -> None:
    before, told_before = log.daemon.log.stat().st_size, len(log.records())
    log.run("solo", "floods", megabytes=8, how=how)

    def told() -> int:
        """In one number, or in several where the flood lasts: what is above the rate comes in stretches."""
        found = [r for r in log.records()[told_before:] if r["event"] == "output.dropped"]
        return sum(r["bytes"] for r in found if r["slot"] == "solo.1")

    eventually("it is told", lambda: told() > 3 << 20)
    assert log.daemon.log.stat().st_size - before < 10 * BURST


def test_a_long_line_is_several_records(log: Log) -> None:
    handle = log.run("solo", "long_line")
    texts = log.texts(handle)
    assert "".join(texts) == "0123456789" * 5000
    assert all(len(text) <= LONGEST for text in texts)
    assert all(len(line) <= LONGEST for line in log.daemon.log.read_bytes().splitlines())


def test_the_last_words_of_a_crash_are_there_before_it_is_told(log: Log) -> None:
    handle = log.add("solo", "crashes")

    def told() -> list[int]:
        records = log.records()
        died = [n for n, r in enumerate(records) if r["event"] == "worker.died"]
        return [n for n in died if handle.id in records[n]["jobs"]]

    (died,) = eventually("its death", told)
    records = log.records()[:died]
    said = [r["text"] for r in records if r.get("job") == handle.id and "text" in r]
    assert said[0] == "before the crash"
    assert "Fatal Python error: Segmentation fault" in said
    assert any("in crashes" in text for text in said)


def test_a_worker_holds_the_log_and_its_pipe_and_nobody_elses(log: Log) -> None:
    for slot in log.daemon.running(3):
        table = Path(f"/proc/{slot.pid}/fd")
        held = {int(name): os.readlink(table / name) for name in os.listdir(table)}
        assert held[1] == held[2] != str(log.daemon.log)
        assert held[1].startswith("pipe:")
        assert [fd for fd, name in held.items() if name == held[1]] == [1, 2]
        assert [name for name in held.values() if name.startswith(str(log.daemon.log))]
