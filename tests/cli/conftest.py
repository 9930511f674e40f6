"""The place where `jobd` looks for a daemon when nobody names one: not that of the machine's user."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def no_daemon_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever runs these tests may have a daemon, of another version too."""
    # A short path: there are sockets in it.
    with tempfile.TemporaryDirectory(prefix="jobd-cli-") as place:
        monkeypatch.setenv("XDG_RUNTIME_DIR", place)
        yield
