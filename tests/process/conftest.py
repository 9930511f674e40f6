"""A server for the tests of one module that share a daemon: flushing the common one would take its jobs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.servers import running, server_programs


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server that no other module knows."""
    program = next(iter(server_programs().values()))
    with running(program, tmp_path_factory.mktemp("server")) as url:
        yield url
