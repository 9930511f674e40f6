"""What all tests share: one real server for each that can be had, flushed for each test."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

import support.examples  # noqa: F401  which makes the profile
from support.ends import ending
from support.servers import KINDS, running, server_programs, version_of

from jobd.broker.connection import Client, connect

settings.load_profile("jobd")
# In the background of a shell ^C is ignored, and would be by all that is started here.
signal.signal(signal.SIGINT, signal.default_int_handler)
PROGRAMS = server_programs()
DEFAULT = next(iter(PROGRAMS))


def pytest_report_header() -> str:
    """Say what the proof is about."""
    found = [f"{name} {version_of(program)}" for name, program in PROGRAMS.items()]
    lacking = [name for name in KINDS if name not in PROGRAMS]
    return f"servers: {', '.join(found)}; not here: {', '.join(lacking) or 'none'}"


@pytest.fixture(scope="session")
def servers() -> Iterator[dict[str, str]]:
    """URLs of the servers that were started so far, by name."""
    with tempfile.TemporaryDirectory(prefix="jobd-test-") as top:
        stack: dict[str, str] = {}
        opened = []
        try:
            for name, program in PROGRAMS.items():
                directory = Path(top) / name
                directory.mkdir()
                manager = running(program, directory)
                stack[name] = manager.__enter__()
                opened.append(manager)
            yield stack
        finally:
            for manager in opened:
                manager.__exit__(None, None, None)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """The first to be set up, and so the last to be torn down."""
    with ending():
        yield


@pytest.fixture
def redis_url(servers: dict[str, str]) -> str:
    """A flushed server of the default kind."""
    client = connect(servers[DEFAULT])
    client.flushall()
    client.close()
    return servers[DEFAULT]


@pytest.fixture(params=sorted(PROGRAMS))
def client(request: pytest.FixtureRequest, servers: dict[str, str]) -> Iterator[Client]:
    """A client of a flushed server, once for each kind of server."""
    made = connect(servers[request.param], timeout=30.0)  # a busy machine, a slow server
    made.flushall()
    made.script_flush()
    yield made
    made.config_set("maxmemory", "0")
    made.close()
