"""Processes that are alive and do nothing: their stacks are in the log, and others take their places."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.daemons import Daemon, eventually, gone
from support.links import BadLink
from support.tracing import held, other_thread

from jobd import Jobd
from jobd.core.config import QueueConfig

pytestmark = pytest.mark.process

APP = """
import asyncio, ctypes, os, threading, time
from jobd import Jobd

app = Jobd()
here = os.path.dirname(__file__)

@app.queue("solo").task()
def leaves_a_thread_that_takes_the_gil() -> None:
    def take() -> None:
        time.sleep(0.3)
        ctypes.PyDLL(None).usleep(600_000_000)
    threading.Thread(target=take, daemon=True).start()

@app.queue("threads").task()
def on_threads() -> int:
    return os.getpid()

@app.queue("asyncio").task()
async def on_asyncio() -> int:
    return os.getpid()

if os.path.exists(os.path.join(here, "hangs")):
    def never_imports() -> None:
        time.sleep(600)
    never_imports()
"""
# The least that may be configured. Who says nothing is judged after as long, and stacks take a moment.
HANG_AFTER = 5.0


@pytest.fixture(scope="module")
def link(own_server: str) -> Iterator[BadLink]:
    with BadLink(own_server) as made:
        yield made


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, link: BadLink) -> Iterator[Daemon]:
    """One for all tests here: each leaves it whole."""
    queues = {
        "solo": QueueConfig(),
        "threads": QueueConfig(concurrency=2),
        "asyncio": QueueConfig(concurrency=2),
    }
    made = Daemon(
        tmp_path_factory.mktemp("daemon"), link.url, APP,
        queues=queues, lease=9.0, hang_after=HANG_AFTER, boot_timeout=20.0,
    )  # fmt: skip
    try:
        made.running(3)
        yield made
    finally:
        made.end()


def said(daemon: Daemon, event: str, **fields: Any) -> list[dict[str, Any]]:
    """The events of a kind that say this, so far."""
    lines = daemon.said(event)
    return [line for line in lines if all(line[name] == v for name, v in fields.items())]


def hears(daemon: Daemon, event: str, **fields: Any) -> dict[str, Any]:
    try:
        what = f"{event} {fields}"
        return eventually(what, lambda: said(daemon, event, **fields))[0]
    except AssertionError as late:
        raise AssertionError(f"{late}\n{daemon.text()[-6000:]}") from None


def pid_of(daemon: Daemon, slot: str) -> int:
    [pid] = [s.pid for s in daemon.slots() if s.slot == slot]
    assert pid is not None
    return pid


def helper_pid(daemon: Daemon, role: str) -> int:
    [pid] = [
        child.pid
        for child in psutil.Process(daemon.process.pid).children()
        if f"jobd: {role}" in " ".join(child.cmdline())
    ]
    return int(pid)


def test_workers_that_do_not_turn_or_are_deaf_are_dumped_and_replaced(
    daemon: Daemon, link: BadLink, own_server: str
) -> None:
    """A leftover thread has the GIL; a loop stands still while its process lives; a worker's link alone
    is dead. Their neighbours and jobs to come are served."""
    app = Jobd(own_server)
    before = {slot: pid_of(daemon, slot) for slot in ("solo.1", "threads.1", "asyncio.1")}
    # They have joined: who has not yet is waiting for Redis, which is no fault of his.
    for queue, task in (("threads", "on_threads"), ("asyncio", "on_asyncio")):
        assert app.queue(queue).add(task).result("60s") == before[f"{queue}.1"]
    app.queue("solo").task("leaves_a_thread_that_takes_the_gil")(lambda: None).enqueue()
    link.cut_off(before["threads.1"])
    with held(other_thread(before["asyncio.1"])):
        for slot in before:
            hears(daemon, "process.hung", who=slot, cause="hung")
            hears(daemon, "worker.killed", slot=slot, cause="hung")
            hears(daemon, "worker.died", slot=slot, cause="hung")

    assert "turned" in said(daemon, "process.hung", who="solo.1")[0]["why"]
    assert "answered no claim" in said(daemon, "process.hung", who="threads.1")[0]["why"]
    for slot, frame in (("solo.1", "in take"), ("threads.1", "crew.py"), ("asyncio.1", "aio.py")):
        dump = hears(daemon, "process.stacks", who=slot, pid=before[slot])
        assert frame in dump["stacks"]
    daemon.running(3)
    for queue, task in (("threads", "on_threads"), ("asyncio", "on_asyncio")):
        handle = app.queue(queue).add(task)
        assert handle.result("60s") == pid_of(daemon, f"{queue}.1") != before[f"{queue}.1"]
    app.producer.client.close()


def test_helpers_that_say_nothing_are_replaced(daemon: Daemon) -> None:
    """A keeper that is stopped, and cannot say where it is; a preloader that answers no order, which
    goes to the next one."""
    others = {pid_of(daemon, "solo.1"), pid_of(daemon, "asyncio.1")}
    for role in ("keeper", "preloader"):
        os.kill(helper_pid(daemon, role), signal.SIGSTOP)
    victim = pid_of(daemon, "threads.1")
    os.kill(victim, signal.SIGKILL)
    for who in ("keeper", "preloader shopjobs:app"):
        hears(daemon, "process.hung", who=who)
        assert "state T" in hears(daemon, "process.stacks_missing", who=who)["reason"]
        hears(daemon, "helper.ended", helper=who, how="SIGKILL")
    eventually(
        "another worker",
        lambda: [
            s for s in daemon.slots() if s.slot == "threads.1" and s.pid not in (None, victim)
        ],
    )
    daemon.running(3)
    assert {pid_of(daemon, "solo.1"), pid_of(daemon, "asyncio.1")} == others


@pytest.mark.chaos
def test_a_keeper_that_renews_nothing_is_replaced(daemon: Daemon) -> None:
    """It speaks, and so does Redis to it; but the thread that renews leases stands still."""
    workers = {slot.pid for slot in daemon.slots()}
    pid = eventually("a keeper that renews", lambda: _renewing(daemon))
    with held(other_thread(pid)):
        found = hears(daemon, "process.stacks", who="keeper", pid=pid)
        assert "renew.py" in found["stacks"]
        why = [line["why"] for line in said(daemon, "process.hung", who="keeper")]
        assert "stood still" in why[-1]
        eventually("its end", lambda: gone(pid))
    assert {slot.pid for slot in daemon.slots()} == workers


def _renewing(daemon: Daemon) -> int | None:
    try:
        pid = helper_pid(daemon, "keeper")
        other_thread(pid)
    except (AssertionError, ValueError, OSError):
        return None
    return pid


def test_usr1_shows_where_every_process_is_and_changes_nothing(daemon: Daemon) -> None:
    pids = {slot.slot: slot.pid for slot in daemon.slots()}
    frames = {
        "supervisor": "loop.py", "keeper": "jobd/keeper/", "preloader shopjobs:app": "preload.py",
        "solo.1": "solo.py", "threads.1": "crew.py", "asyncio.1": "crew.py",
    }  # fmt: skip

    def answers() -> bool:
        daemon.signal(signal.SIGUSR1)
        told = {who: said(daemon, "process.stacks", who=who) for who in frames}
        # One that is still coming up shows how: it is asked again.
        return all(told[who] and frame in told[who][-1]["stacks"] for who, frame in frames.items())

    eventually("the stacks of all, once they are up", answers)
    assert pids == {slot.slot: slot.pid for slot in daemon.slots()}


def test_an_application_that_hangs_at_import_is_shown_and_tried_again(
    tmp_path: Path, redis_url: str
) -> None:
    (tmp_path / "hangs").touch()
    daemon = Daemon(tmp_path, redis_url, APP, queues={"solo": QueueConfig()}, boot_timeout=6.0)
    try:
        found = hears(daemon, "process.stacks", who="preloader shopjobs:app", why="boot")
        assert "in never_imports" in found["stacks"]
        (tmp_path / "hangs").unlink()
        daemon.running(3)
        hears(daemon, "helper.ended", helper="preloader shopjobs:app", how="SIGKILL")
    finally:
        daemon.end()


@pytest.mark.chaos
def test_a_worker_that_imports_for_itself_and_hangs_there_is_shown_and_replaced(
    tmp_path: Path, redis_url: str
) -> None:
    daemon = Daemon(
        tmp_path, redis_url, APP, boot_timeout=20.0,
        queues={"solo": QueueConfig(preload=False, boot_timeout=2.0)},
    )  # fmt: skip
    try:
        hears(daemon, "worker.started", slot="solo.1")
        (tmp_path / "hangs").touch()
        os.kill(pid_of(daemon, "solo.1"), signal.SIGKILL)
        found = hears(daemon, "process.stacks", who="solo.1", why="boot")
        assert "in never_imports" in found["stacks"]
        hears(daemon, "worker.died", slot="solo.1", cause="boot")
        (tmp_path / "hangs").unlink()
        assert len(daemon.running(3)) == 3
    finally:
        daemon.end()
