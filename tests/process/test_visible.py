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

import psutil
import pytest
from support.commands import Place, Run, commands
from support.daemons import eventually

from jobd import Jobd
from jobd.broker.connection import connect
from jobd.broker.hosts import hosts
from jobd.core.portrait import Daemon
from jobd.seams import portrait
from jobd.seams.control import NAME as CONTROL

pytestmark = pytest.mark.process


TWO = "[queues.q]\nprocesses = 2\n"


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory, own_server: str) -> Iterator[Place]:
    """One for all tests that leave it as it was."""
    made = Place(tmp_path_factory.mktemp("standing"), own_server, more=TWO)
    made.start("run")
    made.ready()
    yield made
    made.end()


@pytest.fixture
def place(tmp_path: Path, redis_url: str) -> Iterator[Place]:
    made = Place(tmp_path, redis_url, more=TWO)
    made.start("run")
    made.ready()
    yield made
    made.end()


@pytest.fixture
def run(place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return commands(place, monkeypatch, capsys)


@pytest.fixture
def ask(
    standing: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    return commands(standing, monkeypatch, capsys)


def status(run: Run) -> dict[str, Any]:
    """What --json prints, whatever the exit code."""
    found: dict[str, Any] = json.loads(run("status", "--json").out)
    return found


def seen(place: Place) -> Daemon:
    """What the files say, which is quicker to ask than the command."""
    found = portrait.look(place.directory / "run")
    assert found is not None
    return found


def test_the_fleet_is_seen_and_told_of_to_others(place: Place, run: Run, redis_url: str) -> None:
    file = place.directory / "go"
    Jobd(redis_url).queue("q").add("waits_for", {"path": str(file)}, job_id="long")

    eventually("the job is seen", lambda: any(w.job == "long" for w in seen(place).workers))
    eventually("the keeper is up", lambda: seen(place).helpers["keeper"] == "running")
    daemon = status(run)["daemon"]
    assert (daemon["answers"], daemon["generation"], daemon["helpers"]["keeper"]) == (
        "yes", 1, "running",
    )  # fmt: skip
    worker = next(w for w in daemon["workers"] if w["job"] == "long")
    assert worker["task"] == "waits_for"
    assert worker["running_for"] >= 0
    eventually("memory is known", lambda: all(w.memory for w in seen(place).workers))
    queue = daemon["queues"]["q"]
    assert (queue["wanted"], queue["least"], queue["most"], queue["gave_up"]) == (2, 2, 2, False)
    assert queue["exits"] == {}

    client = connect(redis_url)

    def told() -> bool:
        [host] = hosts(client, "jobd") or [None]
        workers = host.daemon.workers if host is not None and host.daemon is not None else []
        return any(worker.job == "long" for worker in workers)

    eventually("other hosts can know", told)
    text = run("status").out
    assert "waits_for" in text
    assert "HOST" not in text  # there is no other
    # A worker that is killed is a restart with its cause.
    os.kill(worker["pid"], signal.SIGKILL)
    eventually("it is counted", lambda: seen(place).queues["q"].exits == {"crash": 1})
    assert "crash 1" in run("status").out
    file.touch()

    assert run("stop").code == 0
    assert hosts(client, "jobd") == []
    assert not (place.directory / "run" / CONTROL).exists()
    client.close()


def test_a_dump_says_whose_stacks_are_not_in_the_log(standing: Place, ask: Run) -> None:
    """A worker that is stopped cannot tell where it is."""
    pids = {}

    def all_answer() -> bool:
        pids.update({w.slot: w.pid for w in seen(standing).workers})
        return "none of" not in ask("dump").out

    eventually("all processes answer", all_answer)
    whole = "dump: the stacks of q.1 are in the log of the daemon\n"
    eventually("it answers alone", lambda: ask("dump", "q.1").out == whole)
    none = f"none of q.1 (pid {pids['q.1']}): no answer within 0.9 s; it is in state T"
    others = r"dump: the stacks of \d+ processes are in the log of the daemon; " + re.escape(none)
    os.kill(pids["q.1"], signal.SIGSTOP)
    try:
        alone = ask("dump", "q.1").out
        # Each of the others has 0.9 s too, for which it may have no core.
        eventually("all others answer", lambda: re.match(others, ask("dump").out))
        [stack] = json.loads(ask("dump", "q.1", "--json").out)["stacks"]
    finally:
        os.kill(pids["q.1"], signal.SIGCONT)

    assert alone.startswith(f"dump: {none}")
    assert (stack["text"], "state T" in stack["missing"]) == ("", True)


def test_a_daemon_is_ordered_about(place: Place, run: Run) -> None:
    def known() -> dict[str, int | None]:
        found = {w.slot: w.pid for w in seen(place).workers}
        return found if None not in found.values() and len(found) == 2 else {}

    pids = eventually("the pids of both are written down", known)
    assert "q.1" in run("recycle", "q.1").out

    def replaced() -> bool:
        now = {w.slot: w.pid for w in seen(place).workers if not w.leaving}
        return now["q.1"] not in (None, pids["q.1"]) and now["q.2"] == pids["q.2"]

    eventually("a new worker", replaced)
    eventually("it is counted", lambda: seen(place).queues["q"].exits == {"recycled": 1})
    refused = run("recycle", "q.9")
    assert refused.code == 66
    assert "q.1, q.2" in refused.err

    assert "1 process" in run("scale", "q", "-1").out
    assert seen(place).queues["q"].asked == 1
    assert "by hand" in run("status", "--explain").out
    assert "as the configuration" in run("scale", "q", "auto").out
    assert run("scale", "nobody", "2").code == 66
    assert run("dump", "q.9", "--json").code == 66
    assert run("scale", "q", "many").code == 64

    done = run("reload", "--all", "--json")
    assert (done.code, json.loads(done.out)["ok"]) == (0, True)
    assert seen(place).generation == 2

    # A broken file is refused, the reason is told and stays to be seen; the daemon can still be reached.
    toml = place.directory / "jobd.toml"
    good = toml.read_text()
    toml.write_text(good + "[queues.q2]\nprocesses = 'many'\n")
    refused = run("reload")
    assert (refused.code, "queues.q2.processes" in refused.err) == (78, True)
    told = status(run)
    assert "queues.q2.processes" in told["daemon"]["reload"]["error"]
    assert "queues.q2.processes" in told["config_problems"][0]
    assert "reload refused" in run("status").out
    assert run("doctor").code == 78
    toml.write_text(good + "[queues.q2\n")
    assert status(run)["daemon"]["running"]
    toml.write_text(good)
    assert run("reload").code == 0
    after = seen(place).reload
    assert after is not None
    assert after.error is None

    assert "drains" in run("stop", "--no-wait").out
    eventually("it has ended", lambda: not seen(place).running)
    nobody = run("stop")
    assert (nobody.code, "no daemon" in nobody.err) == (69, True)


def test_a_daemon_that_stands_still_and_a_server_that_is_away_are_seen(ask: Run) -> None:
    pid = status(ask)["daemon"]["pid"]
    away = ask("status", "--redis-url", "redis://127.0.0.1:1/0")
    assert away.code == 69
    assert "cannot be reached" in away.out
    assert "q.1" in away.out
    os.kill(pid, signal.SIGSTOP)
    try:
        eventually("it has stopped", lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
        found = status(ask)
        assert (found["daemon"]["running"], found["daemon"]["answers"]) == (True, "stopped")
        assert "kill -CONT" in ask("status").out
        doctor = ask("doctor", "--json")
        names = {c["name"]: c["level"] for c in json.loads(doctor.out)["checks"]}
        assert (doctor.code, names["daemon.running"]) == (70, "error")
        silent = ask("reload", "--timeout", "0.2s")
        assert (silent.code, "no answer" in silent.err) == (75, True)
    finally:
        os.kill(pid, signal.SIGCONT)

    def well() -> bool:
        """Of others on this machine something may just be left; of this daemon nothing is wrong."""
        checks = json.loads(ask("doctor", "--json").out)["checks"]
        return not [c for c in checks if c["level"] == "error" and c["name"] != "orphans.processes"]

    eventually("it goes on", well)


def test_top_is_live_obeys_keys_and_leaves_the_terminal_as_it_was(
    standing: Place, ask: Run
) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    before = termios.tcgetattr(theirs)
    for end in (b"q", b"\x03", signal.SIGTERM):
        top = subprocess.Popen(
            [sys.executable, "-m", "jobd", "top", "-d", "0.2"], cwd=standing.directory,
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
            assert top.wait(60) == 0
            assert termios.tcgetattr(theirs) == before
        finally:
            top.kill()
            top.wait()
    os.close(ours)
    os.close(theirs)
    piped = ask("top")
    assert (piped.code, "jobd status" in piped.err) == (64, True)


def until(terminal: int, pattern: str) -> None:
    """Read what is drawn until it has this in it."""
    said = ""

    def found() -> bool:
        nonlocal said
        if select.select([terminal], [], [], 0)[0]:
            said += os.read(terminal, 65536).decode("utf-8", "replace")
        return re.search(pattern, said, re.DOTALL) is not None

    eventually(f"{pattern} is drawn", found)
