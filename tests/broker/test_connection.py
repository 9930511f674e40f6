"""Connections: how they introduce themselves."""

from __future__ import annotations

import pytest

from jobd import __version__
from jobd.broker.connection import Client, connect, connect_async
from jobd.core.errors import ConfigError


def test_the_server_can_tell_which_connections_are_jobds(client: Client) -> None:
    """CLIENT LIST names the library and its version, where the server knows how (Redis 7.2)."""
    info = client.client_info()
    if "lib-name" not in info:
        pytest.skip("this server does not keep what clients say of themselves")

    assert info["lib-name"] == f"redis-py(jobd_v{__version__})"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://127.0.0.1:6379/main", "database 'main'"),
        ("redis://127.0.0.1:6379/-1", "database '-1'"),
        ("rediss://127.0.0.1:6379/0?socket_timeut=9", "socket_timeut"),
        ("unix:///run/redis.sock?bd=2", "bd"),
        ("http://127.0.0.1", "redis://"),
    ],
)
def test_a_url_that_says_something_else_is_refused(url: str, said: str) -> None:
    """redis-py takes the first for database 0, and fails at the first command over a wrong name."""
    for make in (connect, connect_async):
        with pytest.raises(ConfigError, match=said):
            make(url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1",
        "redis://127.0.0.1:6379/",
        "redis://user:pass%2F@127.0.0.1:6379/3?health_check_interval=9",
        "rediss://127.0.0.1:6379/0?ssl_cert_reqs=none",
        "unix:///run/redis.sock?db=2",
    ],
)
def test_a_url_that_is_right_stays_so(url: str) -> None:
    """With all that redis-py knows of."""
    connect(url)
    connect_async(url)
