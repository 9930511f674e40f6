"""Waiting until asked to stop, beside a connection."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator

import pytest

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
