"""Processes, for real."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.daemons import eventually, gone

from jobd.core.errors import AlreadyRunning
from jobd.seams import host, lockfile, statefile
from jobd.seams.exits import Exit
from jobd.seams.statefile import SlotState, State


def collect(pid: int) -> Exit:
    pidfd = host.open_pid(pid)
    assert pidfd is not None
    assert host.ended(pidfd, 10.0)
    how = host.reap(pidfd)
    os.close(pidfd)
    assert how is not None
    return how


def test_a_forked_child_has_default_handlers_and_nothing_blocked() -> None:
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        pid = host.fork()
        if pid == 0:
            clean = signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
            os._exit(0 if clean and not signal.pthread_sigmask(signal.SIG_BLOCK, []) else 1)
        assert collect(pid) == Exit(code=0)
        assert signal.SIGUSR1 in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
        signal.signal(signal.SIGTERM, before)


def test_ends_are_told_apart() -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    assert collect(host.spawn([sys.executable, "-c", code])).words() == "SIGSEGV"
    assert collect(host.spawn([sys.executable, "-c", "raise SystemExit(3)"])).words() == "exit 3"
    assert collect(host.spawn(["/nonexistent"])).code == 71


def test_a_spawned_program_gets_only_its_own_descriptors() -> None:
    reader, writer = os.pipe()
    other = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(other, True)
    code = f"import os; os.write({writer}, ' '.join(os.listdir('/proc/self/fd')).encode())"
    pid = host.spawn([sys.executable, "-c", code], keep=[writer])
    os.close(writer)
    held = {int(fd) for fd in os.read(reader, 1000).split()}
    assert collect(pid) == Exit(code=0)
    assert {0, 1, 2, writer} <= held
    assert other not in held - {max(held)}
    os.close(reader)
    os.close(other)


def test_a_spawned_program_dies_with_its_parent() -> None:
    code = (
        "import sys, time; from jobd.seams import host\n"
        "print(host.spawn([sys.executable, '-c', 'import time; time.sleep(60)']), flush=True)\n"
        "time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    eventually("the child ends", lambda: gone(child))


def test_only_the_process_that_is_meant_is_ended() -> None:
    pid = host.spawn([sys.executable, "-c", "import time; time.sleep(60)"])
    ticks = host.start_ticks(pid)
    assert host.end_for_certain(pid, ticks + 1, within=1.0), "that one is gone: this is another"
    found = host.stat(pid)
    assert found is not None
    assert found.state != "Z"
    assert host.end_for_certain(pid, ticks, within=10.0)
    assert collect(pid) == Exit(signal=signal.SIGKILL)
    assert host.end_for_certain(pid, ticks, within=1.0)
    assert host.start_ticks(pid) == 0


def test_signals_are_enqueued_in_order() -> None:
    old = signal.set_wakeup_fd(-1)
    kept = {n: signal.getsignal(n) for n in (signal.SIGUSR1, signal.SIGUSR2)}
    try:
        signals = host.Signals(kept)
        assert signals.take() == []
        signal.raise_signal(signal.SIGUSR2)
        signal.raise_signal(signal.SIGUSR1)
        assert signals.take() == [signal.SIGUSR2, signal.SIGUSR1]
    finally:
        signal.set_wakeup_fd(old)
        for number, handler in kept.items():
            signal.signal(number, handler)
        signals._reader.close()
        signals._writer.close()


def test_a_runtime_directory_has_one_owner(tmp_path: Path) -> None:
    held = lockfile.acquire(tmp_path)
    with pytest.raises(AlreadyRunning, match=f"pid {os.getpid()}; expected to be free"):
        lockfile.acquire(tmp_path)
    os.close(held)
    os.close(lockfile.acquire(tmp_path))


def test_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert statefile.read(tmp_path) is None
    state = State(
        pid=1, started_at=2.0, nonce="n", scoreboard="scoreboard.n",
        queues={"q": [SlotState(slot="q.1", phase="vacant")]}, helpers={"keeper": "running"},
    )  # fmt: skip
    statefile.write(tmp_path, state)
    assert statefile.read(tmp_path) == state
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(ValueError, match=r"state\.json: .* expected the file of a running"):
        statefile.read(tmp_path)
