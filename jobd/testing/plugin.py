"""Fixtures for pytest, loaded by itself where jobd is installed (entry point `pytest11`).

    def test_a_trial_ends(jobd_world):
        world = jobd_world(app)
        ...

One server for a session, on a socket in a directory of its own: with pytest-xdist one for each of
its processes. It is started when the first test asks for it, and is flushed for each.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

# Loaded when they are asked for: this module is imported by test runs that want nothing of jobd.
_PRIVATE, _CONNECTION = "jobd.broker.private", "jobd.broker.connection"


@pytest.fixture(scope="session")
def _jobd_server_of_the_session() -> Iterator[str]:
    with ExitStack() as stack:
        # Not below pytest's own directory: a socket's path must be short.
        top = stack.enter_context(tempfile.TemporaryDirectory(prefix="jobd-"))
        yield stack.enter_context(import_module(_PRIVATE).private_server(Path(top)))


@pytest.fixture
def jobd_server(_jobd_server_of_the_session: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of a private Redis server, empty; JOBD_REDIS_URL names it while the test runs."""
    url = _jobd_server_of_the_session
    client = import_module(_CONNECTION).connect(url)
    client.flushall()
    client.close()
    monkeypatch.setenv("JOBD_REDIS_URL", url)
    return url


@pytest.fixture
def jobd_world(jobd_server: str) -> Iterator[Callable[..., Any]]:
    """Make a `jobd.testing.world(app)` on the private server; it ends with the test."""
    with ExitStack() as stack:

        def make(app: Any, **options: Any) -> Any:
            world = import_module("jobd.testing").world
            return stack.enter_context(world(app, url=jobd_server, **options))

        yield make
