"""Ending what a job has left running below its worker, and nothing else."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import time
import warnings
from multiprocessing import shared_memory
from typing import Any

from support.daemons import eventually, gone
from support.forked import forked
from support.servers import PATIENCE

from jobd.seams import host
from jobd.seams.leftovers import Leftovers, children_of, has_children


def double_fork() -> int:
    """Leave a daemon with a session of its own; give its pid."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if (pid := os.fork()) == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                time.sleep(60)
        os.write(writer, str(pid).encode())
        os._exit(0)
    os.wait()
    return int(os.read(reader, 20))


def test_a_daemon_that_nobody_is_the_parent_of_is_ended() -> None:
    """It forked twice, opened a session, ignores TERM: it is below the subreaper all the same."""

    def child() -> Any:
        host.become_subreaper()
        leftovers = Leftovers(PATIENCE)
        pid = double_fork()
        return tuple(leftovers.end()), gone(pid), has_children()

    assert forked(child) == ((1, False, True), True, False)


def test_what_was_there_before_stays_and_what_is_below_it() -> None:
    """A helper that ran before the first job is nobody's leftover."""

    def child() -> Any:
        host.become_subreaper()
        nobody = Leftovers(PATIENCE)
        before = subprocess.Popen(["sh", "-c", "sleep 60 & wait"])
        eventually("the shell's child", lambda: children_of(before.pid))
        leftovers = Leftovers(PATIENCE)
        after = subprocess.Popen(["sleep", "60"])
        ended = leftovers.end()
        lives = before.poll() is None and bool(children_of(before.pid))
        before.kill()
        nobody.end()
        return ended.processes, lives, after.wait()

    assert forked(child) == (1, True, -9)


def test_it_says_whether_somebody_holds_what_was_ended() -> None:
    """A pool whose processes are dead is of no use; a program nobody has an object of is."""

    def child() -> Any:
        host.become_subreaper()
        leftovers = Leftovers(PATIENCE)
        warnings.simplefilter("ignore")  # as an error it would hold the object
        subprocess.Popen(["sleep", "60"])
        unheld = leftovers.end()
        held = subprocess.Popen(["sleep", "60"])
        first = leftovers.end()
        process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
        process.start()
        second = leftovers.end()
        return unheld.held, first.held, held.wait(), second.held

    assert forked(child) == (False, True, -9, True)


def test_the_tracker_of_shared_memory_lives_as_long_as_its_process() -> None:
    """It removes from /dev/shm what was left there, once we have ended; killed, it would warn."""

    def child() -> Any:
        host.become_subreaper()
        leftovers = Leftovers(PATIENCE)
        memory = shared_memory.SharedMemory(create=True, size=10)
        ended = leftovers.end()
        memory.close()
        memory.unlink()
        return ended.processes, len(children_of(os.getpid()))

    assert forked(child) == (0, 1)


def test_what_multiplies_is_ended() -> None:
    """All are stopped before the first is killed: each of them would make another meanwhile."""

    def child() -> Any:
        host.become_subreaper()
        leftovers = Leftovers(PATIENCE)
        # Ends by itself too, whatever becomes of this test.
        until = time.monotonic() + 60
        if os.fork() == 0:
            while time.monotonic() < until:
                if os.fork() == 0:
                    time.sleep(0.02)  # a generation
                    continue
                time.sleep(0.1)
                os._exit(0)
            os._exit(0)
        eventually("some of them", lambda: len(children_of(os.getpid())) > 1)
        ended = leftovers.end()
        return ended.processes > 0, ended.all, has_children()

    assert forked(child) == (True, True, False)


def test_zombies_are_collected_but_those_an_object_will_ask_about() -> None:
    """Adopted ones have nobody else; of a Popen its owner learns how it ended."""

    def child() -> Any:
        host.become_subreaper()
        leftovers = Leftovers(PATIENCE)
        program = subprocess.Popen(["sh", "-c", "exit 3"])
        if os.fork() == 0:
            os._exit(0)
        eventually("both ended", lambda: all(map(gone, children_of(os.getpid()))))
        leftovers.end()
        left = children_of(os.getpid())
        return left == [program.pid], program.wait()

    assert forked(child) == (True, 3)


def test_while_jobs_run_only_what_has_long_ended_is_collected() -> None:
    """A job may be about to wait for its own child: nobody takes that from it at the first look."""

    def child() -> Any:
        host.become_subreaper()
        leftovers = Leftovers(PATIENCE)
        mine = os.fork()
        if mine == 0:
            os._exit(4)
        eventually("it has ended", lambda: gone(mine))
        leftovers.collect_old()
        _, status = os.waitpid(mine, 0)
        if os.fork() == 0:
            os._exit(0)
        eventually("it has ended", lambda: all(map(gone, children_of(os.getpid()))))
        leftovers.collect_old()
        first = has_children()
        leftovers.collect_old()
        return os.waitstatus_to_exitcode(status), first, has_children()

    assert forked(child) == (4, True, False)
