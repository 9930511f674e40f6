"""Waiting until asked to stop, beside a connection."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator

import pytest
from support.forked import forked

from jobd.seams.stop import Stop


@pytest.fixture
def far() -> Iterator[tuple[int, int]]:
    """A pipe whose reading end has a number no select(2) takes."""
    reader, writer = os.pipe()
    number = 1500
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] <= number:
        pytest.skip("descriptors end before 1500 here")
    os.dup2(reader, number)
    os.close(reader)
    yield number, writer
    os.close(number)
    os.close(writer)


def test_it_waits_beside_a_descriptor_of_any_number(far: tuple[int, int]) -> None:
    """An application may have opened a thousand files before us."""
    reader, writer = far
    stop = Stop()
    os.write(writer, b"x")
    assert not stop.wait(30, beside=reader)

    stop.ask()
    assert stop.wait(30, beside=reader)


def test_asking_ends_a_wait_that_has_begun_or_will(far: tuple[int, int]) -> None:
    """It stays asked: no later wait sleeps."""
    stop = Stop()
    stop.ask()
    assert [stop.wait(30), stop.wait(30, beside=far[0])] == [True, True]


@pytest.fixture
def handlers() -> Iterator[None]:
    """This process hears signals afterwards as before."""
    before = {
        number: signal.getsignal(number)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_a_forked_child_does_not_listen_for_us() -> None:
    """Whoever forks a pool of processes ends it by SIGTERM; and it asks nobody else to stop."""
    stop = Stop()
    stop.listen()
    child = os.fork()
    if child == 0:
        while True:
            signal.pause()
    signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
    signal.alarm(10)  # nothing is left running, also where this fails
    os.kill(child, signal.SIGTERM)
    _, status = os.waitpid(child, 0)
    signal.alarm(0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGTERM
    assert not stop.wait(0.0)
    os.kill(os.getpid(), signal.SIGTERM)
    assert stop.wait(30)


@pytest.mark.usefixtures("handlers")
def test_a_signal_that_a_task_has_blocked_is_still_blocked_after_its_fork() -> None:
    """We hold it back around a fork, and let through only what was not held back before."""

    def child() -> tuple[bool, bool]:
        Stop().listen()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        blocked = signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ())
        if os.fork() == 0:
            os._exit(0)
        os.wait()
        return blocked, signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ())

    assert forked(child) == (True, True)


@pytest.mark.usefixtures("handlers")
def test_asking_writes_to_nothing_that_has_its_number_by_now() -> None:
    """A task has closed its descriptors and opened a file, then it is asked to stop."""

    def child() -> tuple[bytes, bool, bool]:
        stop = Stop()
        stop.listen()
        reader, writer = os.pipe()
        for number in stop.descriptors:
            os.dup2(writer, number)
        os.set_blocking(reader, False)
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            written = os.read(reader, 10)
        except BlockingIOError:
            written = b""
        return written, stop.asked, stop.wait(30)

    assert forked(child) == (b"", True, True)
