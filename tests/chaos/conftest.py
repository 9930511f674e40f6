"""Fixtures of the fault rows, and the table at the end of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.servers import server_programs

from chaos.effects import Effects
from chaos.proxy import Proxy
from chaos.report import ROWS, Row, table
from chaos.stores import Store
from chaos.world import World

PROGRAM = next(iter(server_programs().values()))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A server that forgets nothing but by being replaced."""
    made = Store(PROGRAM, tmp_path)
    yield made
    made.end()


@pytest.fixture
def world(tmp_path: Path, store: Store) -> Iterator[World]:
    """A world whose hosts speak to the store directly."""
    made = World(tmp_path, store, store.url, Effects(tmp_path / "effects"))
    yield made
    made.end()


@pytest.fixture
def proxy(tmp_path: Path, store: Store) -> Iterator[Proxy]:
    """A proxy before the store."""
    made = Proxy(tmp_path, store.socket)
    yield made
    made.end()


@pytest.fixture
def behind_proxy(tmp_path: Path, store: Store, proxy: Proxy) -> Iterator[World]:
    """A world whose hosts speak to the store through the proxy."""
    made = World(tmp_path, store, proxy.url, Effects(tmp_path / "effects"))
    yield made
    made.end()


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Callable[..., bool]:
    """Write a row of the table. True when this is the long proof, whose times are judged."""
    long = request.node.get_closest_marker("chaos") is not None

    def write(what: str, *, bar: str, figures: str, n: int) -> bool:
        ROWS.append(Row(what, bar, figures, n))
        return long

    return write


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table."""
    if ROWS:
        terminalreporter.write_sep("-", "faults")
        terminalreporter.write_line(table())
