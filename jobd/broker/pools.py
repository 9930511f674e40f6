"""Connection pools for an address that was read: of threads, and of an event loop.

Invariant: nothing of redis-py's own repeating is on, to servers or to sentinels (Retry(NoBackoff(), 0)):
a claim that is repeated silently takes twice as many jobs.
"""

from __future__ import annotations

from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from jobd import __version__
from jobd.broker import primary, primary_async, prompt, prompt_async, sentinel
from jobd.broker.tls import AsyncTlsConnection, TlsConnection, context_of
from jobd.core.redis_urls import RedisUrl

# redis-py refuses the 101st call at once, from version 8 on; a web server on one event loop makes
# more. The server's maxclients and the system's descriptors are limits enough, and say so.
_NO_LIMIT = 2**31


def _introduction() -> dict[str, Any]:
    """What a connection says of itself: CLIENT LIST shows redis-py(jobd_v...).

    Said here because redis-py otherwise looks up its own version for each connection it makes, in
    the metadata of the installed packages: 4 ms, and 2.5 MB of private memory in a forked worker.
    An older redis-py, which has no DriverInfo, does so only once.
    """
    if not hasattr(redis, "DriverInfo"):
        return {}
    driver = redis.DriverInfo(lib_version=redis.__version__)
    return {"driver_info": driver.add_upstream_driver("jobd", __version__)}


_INTRODUCTION = _introduction()


def pool_of(read: RedisUrl, timeout: float) -> redis.ConnectionPool:
    """Make a pool of threads' connections; none is opened yet."""
    plain = {"retry": Retry(NoBackoff(), 0), "protocol": 2, **_INTRODUCTION}
    kind: Any
    if read.scheme == "redis+sentinel":
        encrypted = read.is_encrypted
        kind = primary.EncryptedPrimaryConnection if encrypted else primary.PrimaryConnection
    elif read.scheme == "unix":
        kind = prompt.UnixConnection
    else:
        kind = TlsConnection if read.is_encrypted else prompt.TcpConnection
    settings = _settings(read, plain, timeout)
    if sentinels := settings.get("sentinels"):
        settings["watch"] = primary.Watch(sentinels)
    return redis.ConnectionPool(connection_class=kind, max_connections=_NO_LIMIT, **settings)


def async_pool_of(read: RedisUrl, timeout: float) -> redis.asyncio.ConnectionPool:
    """Make a pool of an event loop's connections; none is opened yet."""
    plain = {"retry": AsyncRetry(NoBackoff(), 0), "protocol": 2, **_INTRODUCTION}
    kind: Any
    if read.scheme == "redis+sentinel":
        there = primary_async
        encrypted = read.is_encrypted
        kind = there.EncryptedPrimaryConnection if encrypted else there.PrimaryConnection
    elif read.scheme == "unix":
        kind = prompt_async.UnixConnection
    else:
        kind = AsyncTlsConnection if read.is_encrypted else prompt_async.TcpConnection
    settings = _settings(read, plain, timeout)
    if sentinels := settings.get("sentinels"):
        settings["watch"] = primary_async.Watch(sentinels)
    return redis.asyncio.ConnectionPool(
        connection_class=kind, max_connections=_NO_LIMIT, **settings
    )


def _settings(read: RedisUrl, plain: dict[str, Any], timeout: float) -> dict[str, Any]:
    settings = plain | {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "db": read.db,
        "username": read.username,
        "password": read.password,
        "client_name": read.client_name,
        "health_check_interval": read.health_check_interval,
    }
    encrypted = read.is_encrypted or read.is_sentinel_encrypted
    tls: dict[str, Any] = {}
    if encrypted:
        has_certificate = read.tls.certfile is not None
        tls = {"context": context_of(read.tls), "has_certificate": has_certificate}
    if read.is_encrypted:
        settings |= tls
    if read.scheme == "unix":
        return settings | {"path": read.path}
    if read.scheme != "redis+sentinel":
        [(host, port)] = read.places
        return settings | {"host": host, "port": port}
    asking = plain | {"username": read.sentinel_username, "password": read.sentinel_password}
    if read.is_sentinel_encrypted:
        asking |= tls
    return settings | {
        "sentinels": sentinel.Sentinels(
            read.places, read.service, asking, encrypted=read.is_sentinel_encrypted
        )
    }
