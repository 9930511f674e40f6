"""Raising an exception in another thread, and taking it back."""

from __future__ import annotations

import subprocess
import sys
import threading

from jobd.seams.interrupt import raise_in, take_back

# What CPython left behind made a traced process loop for ever, so it is another's.
_TRACED = """
import sys, threading
from jobd.seams.interrupt import raise_in, take_back

def work():
    raise_in(threading.get_ident(), TimeoutError) if {raised} else None
    take_back()

def hit():
    try:
        work()
    except TimeoutError:
        take_back()

thread = threading.Thread(target=hit)
thread.start()
thread.join()
sys.settrace(lambda *_: None)
hit()
print("went on")
"""


def test_nothing_that_was_taken_back_is_raised() -> None:
    """Also where it was asked for many times, and by somebody else."""
    found: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(200):
                asked = threading.Thread(target=raise_in, args=(threading.get_ident(), OSError))
                try:
                    asked.start()
                    asked.join()
                except OSError:
                    asked.join()
                take_back()
            sum(range(10_000))
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == []


def test_who_is_traced_later_goes_on() -> None:
    """Whether it had come already or not."""
    for raised in (True, False):
        found = subprocess.run(
            [sys.executable, "-c", _TRACED.format(raised=raised)],
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        assert found.stdout == "went on\n"
