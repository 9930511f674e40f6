"""Connections: how they introduce themselves."""

from __future__ import annotations

import pytest

from jobd import __version__
from jobd.broker.connection import Client


def test_the_server_can_tell_which_connections_are_jobds(client: Client) -> None:
    """CLIENT LIST names the library and its version, where the server knows how (Redis 7.2)."""
    info = client.client_info()
    if "lib-name" not in info:
        pytest.skip("this server does not keep what clients say of themselves")

    assert info["lib-name"] == f"redis-py(jobd_v{__version__})"
