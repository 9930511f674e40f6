"""What can be seen of a real daemon and said to it, in good days and in bad ones."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.commands import Place
from support.daemons import eventually

from jobd import Jobd
from jobd.broker.connection import connect
from jobd.broker.hosts import hosts
from jobd.core.portrait import Daemon
from jobd.seams import portrait
from jobd.seams.control import NAME as CONTROL

pytestmark = pytest.mark.process


@pytest.fixture
def place(tmp_path: Path, redis_url: str) -> Iterator[Place]:
    made = Place(tmp_path, redis_url, more="[queues.q]\nprocesses = 2\n")
    made.start("run")
    made.ready()
    yield made
    made.end()


def status(place: Place) -> dict[str, Any]:
    """What --json prints, whatever the exit code."""
    found: dict[str, Any] = json.loads(place.jobd("status", "--json").stdout)
    return found


def seen(place: Place) -> Daemon:
    """What the files say, which is quicker to ask than the command."""
    found = portrait.look(place.directory / "run")
    assert found is not None
    return found


def test_the_fleet_is_seen_and_told_of_to_others(place: Place, redis_url: str) -> None:
    file = place.directory / "go"
    Jobd(redis_url).queue("q").add("waits_for", {"path": str(file)}, job_id="long")

    eventually("the job is seen", lambda: any(w.job == "long" for w in seen(place).workers))
    daemon = status(place)["daemon"]
    assert (daemon["answers"], daemon["generation"], daemon["helpers"]["keeper"]) == (
        "yes", 1, "running",
    )  # fmt: skip
    worker = next(w for w in daemon["workers"] if w["job"] == "long")
    assert worker["task"] == "waits_for"
    assert worker["running_for"] >= 0
    assert worker["memory"] > 100_000
    assert daemon["queues"]["q"] == {
        "wanted": 2, "gave_up": False, "useless": 0, "exits": {}, "explain": None,
    }  # fmt: skip

    client = connect(redis_url)

    def told() -> bool:
        [host] = hosts(client, "jobd") or [None]
        workers = host.daemon.workers if host is not None and host.daemon is not None else []
        return any(worker.job == "long" for worker in workers)

    eventually("other hosts can know", told)
    text = place.jobd("status").stdout
    assert "waits_for" in text
    assert "HOST" not in text  # there is no other
    # A worker that is killed is a restart with its cause.
    os.kill(worker["pid"], signal.SIGKILL)
    eventually("it is counted", lambda: seen(place).queues["q"].exits == {"crash": 1})
    assert "crash 1" in place.jobd("status").stdout
    file.touch()

    assert place.jobd("stop").returncode == 0
    assert hosts(client, "jobd") == []
    assert not (place.directory / "run" / CONTROL).exists()
    client.close()


def test_a_daemon_is_ordered_about(place: Place) -> None:
    pids = {w.slot: w.pid for w in seen(place).workers}
    assert "q.1" in place.jobd("recycle", "q.1").stdout

    def replaced() -> bool:
        now = {w.slot: w.pid for w in seen(place).workers if not w.leaving}
        return now["q.1"] not in (None, pids["q.1"]) and now["q.2"] == pids["q.2"]

    eventually("a new worker", replaced)
    eventually("it is counted", lambda: seen(place).queues["q"].exits == {"recycled": 1})
    refused = place.jobd("recycle", "q.9")
    assert refused.returncode == 78
    assert "q.1, q.2" in refused.stderr

    done = place.jobd("reload", "--all", "--json")
    assert (done.returncode, json.loads(done.stdout)["ok"]) == (0, True)
    assert seen(place).generation == 2

    # A broken file is refused, the reason is told and stays to be seen; the daemon can still be reached.
    toml = place.directory / "jobd.toml"
    good = toml.read_text()
    toml.write_text(good + "[queues.q2]\nprocesses = 'many'\n")
    refused = place.jobd("reload")
    assert (refused.returncode, "queues.q2.processes" in refused.stderr) == (78, True)
    told = status(place)
    assert "queues.q2.processes" in told["daemon"]["reload"]["error"]
    assert "queues.q2.processes" in told["config_problems"][0]
    assert "reload refused" in place.jobd("status").stdout
    assert place.jobd("doctor").returncode == 1
    toml.write_text(good + "[queues.q2\n")
    assert status(place)["daemon"]["running"]
    toml.write_text(good)
    assert place.jobd("reload").returncode == 0
    after = seen(place).reload
    assert after is not None
    assert after.error is None

    assert "drains" in place.jobd("stop", "--no-wait").stdout
    eventually("it has ended", lambda: not seen(place).running)
    nobody = place.jobd("stop")
    assert (nobody.returncode, "no daemon" in nobody.stderr) == (69, True)


def test_a_daemon_that_stands_still_and_a_server_that_is_away_are_seen(
    place: Place, redis_url: str
) -> None:
    pid = status(place)["daemon"]["pid"]
    away = place.jobd("status", "--redis-url", "redis://127.0.0.1:1/0")
    assert away.returncode == 69
    assert "cannot be reached" in away.stdout
    assert "q.1" in away.stdout
    os.kill(pid, signal.SIGSTOP)
    try:
        found = status(place)
        assert (found["daemon"]["running"], found["daemon"]["answers"]) == (True, "stopped")
        assert "kill -CONT" in place.jobd("status").stdout
        doctor = place.jobd("doctor", "--json")
        names = {c["name"]: c["level"] for c in json.loads(doctor.stdout)["checks"]}
        assert (doctor.returncode, names["daemon.running"]) == (1, "error")
        silent = place.jobd("reload", "--timeout", "0.2s")
        assert (silent.returncode, "no answer" in silent.stderr) == (75, True)
    finally:
        os.kill(pid, signal.SIGCONT)
    doctor = place.jobd("doctor")
    assert doctor.returncode == 0, doctor.stdout
    assert "no process, lease or key without an owner" in doctor.stdout


def test_top_is_live_obeys_keys_and_leaves_the_terminal_as_it_was(place: Place) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    before = termios.tcgetattr(theirs)
    for end in (b"q", b"\x03", signal.SIGTERM):
        top = subprocess.Popen(
            [sys.executable, "-m", "jobd", "top", "-d", "0.2"], cwd=place.directory,
            stdin=theirs, stdout=theirs, stderr=theirs,
        )  # fmt: skip
        try:
            until(ours, r"q\.2")
            os.write(ours, b"t")
            until(ours, r"jobd top.*jobd top")  # it draws on
            if isinstance(end, bytes):
                os.write(ours, end)
            else:
                top.send_signal(end)
            until(ours, r"\x1b\[\?1049l")
            assert top.wait(10) == 0
            assert termios.tcgetattr(theirs) == before
        finally:
            top.kill()
            top.wait()
    os.close(ours)
    os.close(theirs)
    piped = place.jobd("top")
    assert (piped.returncode, "jobd status" in piped.stderr) == (64, True)


def until(terminal: int, pattern: str) -> None:
    """Read what is drawn until it has this in it."""
    said = ""

    def found() -> bool:
        nonlocal said
        if select.select([terminal], [], [], 0)[0]:
            said += os.read(terminal, 65536).decode("utf-8", "replace")
        return re.search(pattern, said, re.DOTALL) is not None

    eventually(f"{pattern} is drawn", found)
