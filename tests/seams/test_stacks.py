"""Asking other processes where their threads are."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.servers import eventually

from jobd.seams.stacks import MOST, Asked

_ARMED = "from jobd.seams import stacks; stacks.arm(); "
_LIVES = "print('up', flush=True); import time; time.sleep(60)"


@contextmanager
def running(source: str) -> Iterator[tuple[int, int]]:
    """A Python program that has said `up`: its pid and pidfd."""
    process = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    pidfd = os.pidfd_open(process.pid)
    try:
        yield process.pid, pidfd
        assert process.poll() is None, "asking has ended it"
    finally:
        os.close(pidfd)
        process.kill()
        process.wait()
        process.stdout.close()


def stacks_of(pid: int, pidfd: int) -> str:
    asked = Asked(pid, pidfd)
    assert not asked.lacking
    eventually(asked.answered)
    return asked.text()


def test_every_thread_tells_where_it_is_as_often_as_asked() -> None:
    source = (
        _ARMED + "import threading, time\n"
        "def aside(): time.sleep(60)\n"
        "threading.Thread(target=aside, daemon=True).start()\n" + _LIVES
    )
    with running(source) as (pid, pidfd):
        for _ in range(3):
            found = stacks_of(pid, pidfd)
            assert "in aside" in found
            assert found.count("(most recent call first)") == 2


def test_who_holds_the_gil_in_c_code_answers_too() -> None:
    source = (
        _ARMED + "import ctypes; print('up', flush=True); sleep = ctypes.PyDLL(None).usleep;"
        "[sleep(60_000_000) for _ in range(60)]"  # a signal ends one of them
    )
    with running(source) as (pid, pidfd):
        assert "<module>" in stacks_of(pid, pidfd)


@pytest.mark.parametrize(
    "source",
    [
        _LIVES,
        _ARMED + "import os; os.closerange(3, 256); " + _LIVES,
        _ARMED + "import signal; signal.signal(stacks.SIGNAL, signal.SIG_DFL); " + _LIVES,
    ],
    ids=["not armed", "all closed", "default again"],
)
def test_who_would_end_by_it_or_write_elsewhere_is_not_signalled(source: str) -> None:
    with running(source) as (pid, pidfd):
        asked = Asked(pid, pidfd)
        assert asked.lacking
        eventually(lambda: "state S" in asked.where())
        asked.close()


def test_a_task_may_have_sigusr1_for_itself() -> None:
    source = (
        _ARMED + "import signal; signal.signal(signal.SIGUSR1, lambda *_: print('own', flush=True));"
        + _LIVES.replace("time.sleep(60)", "[time.sleep(1) for _ in range(60)]")
    )  # fmt: skip
    with running(source) as (pid, pidfd):
        assert "<module>" in stacks_of(pid, pidfd)


def test_a_forked_child_answers_for_itself() -> None:
    source = (
        _ARMED + "import os, time\n"
        "def in_parent(): time.sleep(60)\n"
        "def in_child(): print('up', flush=True); time.sleep(60)\n"
        "if os.fork() == 0:\n    stacks.arm(); in_child()\n"
        "in_parent()"
    )
    with running(source) as (pid, pidfd):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        [child] = map(int, children.split())
        child_fd = os.pidfd_open(child)
        try:
            assert "in_child" in stacks_of(child, child_fd)
            assert "in_parent" in stacks_of(pid, pidfd)
        finally:
            os.kill(child, 9)
            os.close(child_fd)


def test_a_deep_stack_of_many_threads_is_cut_in_its_middle() -> None:
    source = (
        _ARMED + "import threading, time\n"
        "def down(n):\n    down(n - 1) if n else time.sleep(60)\n"
        "for _ in range(20): threading.Thread(target=down, args=(80,), daemon=True).start()\n"
        "def the_last(): " + _LIVES.replace("; import time", "") + "\n"
        "the_last()"
    )  # fmt: skip
    with running(source) as (pid, pidfd):
        found = stacks_of(pid, pidfd)
        assert len(found) <= MOST + 20
        assert "... cut ..." in found
        assert "the_last" in found[-400:]


@pytest.mark.parametrize("threads", [99, 100, 130])
def test_how_many_threads_are_not_shown_is_said(threads: int) -> None:
    """faulthandler writes a hundred, the newest first: not the main thread, where there are more."""
    source = (
        _ARMED + "import threading, time\n"
        "def aside(): time.sleep(60)\n"
        f"for _ in range({threads}): threading.Thread(target=aside, daemon=True).start()\n"
        + _LIVES.replace("import time;", "")
    )
    with running(source) as (pid, pidfd):
        found = stacks_of(pid, pidfd)
        assert len(found) <= MOST + 200
        assert ("<module>" in found) == (threads < 100)
        said = f"... up to {threads - 99} threads more, the oldest, the main thread among them"
        assert (said in found) == (threads >= 100)


def test_a_process_says_so_of_itself_too() -> None:
    source = (
        "import threading, time; from jobd.seams import stacks; ready = threading.Event()\n"
        "for _ in range(120): threading.Thread(target=ready.wait, daemon=True).start()\n"
        "print('up', flush=True); print(stacks.own(), flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    assert any(line.startswith("... up to 21 threads more") for line in lines)
    process.kill()
    process.wait()
    process.stdout.close()


def test_an_answer_is_whole_when_its_writer_is_done_however_long_that_takes() -> None:
    source = (
        _ARMED + "import threading, time\n"
        "def aside(): time.sleep(60)\n"
        "for _ in range(20): threading.Thread(target=aside, daemon=True).start()\n" + _LIVES
    )
    with running(source) as (pid, pidfd):
        assert sum(_was_caught_in_the_middle(pid, pidfd) for _ in range(100))


def _was_caught_in_the_middle(pid: int, pidfd: int) -> bool:
    """Stop the writer somewhere - before the answer, in it, or after - and look what is taken for an answer."""
    asked = Asked(pid, pidfd)
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: "state T" in asked.where())
    written = _peek(pid)
    assert not asked.answered() or _is_whole(written)
    assert not asked.answered() or _is_whole(written)
    os.kill(pid, signal.SIGCONT)
    eventually(asked.answered)
    found = asked.text()
    assert _is_whole(found)
    return 0 < len(written) < len(found)


def _peek(pid: int) -> str:
    """What a process has answered so far."""
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        if "jobd-stacks" in str(entry.readlink()):
            return entry.read_text()
    return ""


def _is_whole(found: str) -> bool:
    return found.count("(most recent call first)") == 21 and found.rstrip().endswith("<module>")


def test_a_thread_that_blocks_the_signal_for_good_holds_no_answer_up() -> None:
    source = (
        _ARMED + "import signal, threading, time\n"
        "def deaf(): signal.pthread_sigmask(signal.SIG_BLOCK, [stacks.SIGNAL]); ready.set(); time.sleep(60)\n"
        "ready = threading.Event()\n"
        "threading.Thread(target=deaf, daemon=True).start()\nready.wait()\n" + _LIVES
    )
    with running(source) as (pid, pidfd):
        assert "in deaf" in stacks_of(pid, pidfd)


def test_the_dead_leave_their_answer() -> None:
    with running(_ARMED + _LIVES) as (pid, pidfd):
        asked = Asked(pid, pidfd)
        eventually(asked.answered)
        assert "<module>" in asked.text()
    gone = Asked(pid, -1)
    assert gone.lacking
    assert gone.where() == "it has ended"
