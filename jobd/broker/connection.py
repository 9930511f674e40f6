"""How jobd reaches Redis: the only place that makes clients, and that says what redis-py's errors mean.

redis-py repeats commands silently by default, also after a time-out. A claim repeated that way
would take twice as many jobs, so it is switched off on every client; what may be repeated is said,
script by script, on its REPLAY line.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
import redis.asyncio
import redis.exceptions
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ConnectionError,  # noqa: A004  redis-py's name for it
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
)
from redis.retry import Retry

from jobd import __version__
from jobd.broker.scripts import BY_SHA
from jobd.broker.urls import bad_url, refuse_coming, refuse_what_is_ignored
from jobd.core.errors import (
    BrokerError,
    BrokerUnavailable,
    ConfigError,
    NotPermitted,
    SoftTimeout,
    StoreFull,
    StoreUnusable,
)

Reply = Any
Client = redis.Redis
AsyncClient = redis.asyncio.Redis

DEFAULT_TIMEOUT = 2.0

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


def connect(url: str, *, timeout: float = DEFAULT_TIMEOUT) -> Client:
    """Make a client. No connection is opened yet. Raises ConfigError for a URL it cannot read."""
    refuse_coming(url)
    try:
        refuse_what_is_ignored(url)
        return redis.Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            max_connections=_NO_LIMIT,
            **_INTRODUCTION,
        )
    except ValueError as error:
        raise ConfigError(bad_url(url, error)) from error


def connect_async(url: str, *, timeout: float = DEFAULT_TIMEOUT) -> AsyncClient:
    """Make a client for the running event loop. Raises ConfigError for a URL it cannot read."""
    refuse_coming(url)
    try:
        refuse_what_is_ignored(url)
        return redis.asyncio.Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=AsyncRetry(NoBackoff(), 0),
            protocol=2,
            max_connections=_NO_LIMIT,
            **_INTRODUCTION,
        )
    except ValueError as error:
        raise ConfigError(bad_url(url, error)) from error


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn redis-py's errors into ours. `where` says whom we spoke to."""
    try:
        yield
    except (RedisError, TimeoutError) as error:
        raise ours(error, where) from error


def ours(error: Exception, where: str) -> BrokerError:
    """Say what an error of redis-py means. The hot paths call this in their own `except`."""
    match error:
        case SoftTimeout():
            raise error  # a task's own, that came while it spoke to Redis
        case redis.exceptions.TimeoutError() | TimeoutError():
            return BrokerUnavailable(
                f"redis: no answer from {where} in time; expected one within the time-out; "
                "see whether the server hangs or the network drops packets",
                outcome_unknown="connecting to" not in str(error),
            )
        case NoPermissionError():
            return NotPermitted(
                f"redis: {where}: {_reason(error)}; expected a user that may use jobd's keys and "
                "commands; correct its ACL, or name another user in redis.url"
            )
        case AuthenticationError() | AuthorizationError():
            return StoreUnusable(
                f"redis: {where} refused us: {_reason(error)}; expected the right user and "
                "password; write them into redis.url, as in redis://user:password@host:6379/0"
            )
        case BusyLoadingError():
            return BrokerUnavailable(
                f"redis: {where} is loading its data set; expected it to be done soon; try again"
            )
        case ConnectionError():
            # Refused at connect: nothing was sent. Broken later: it may have been carried out.
            unsent = "connecting to" in str(error)
            return BrokerUnavailable(
                f"redis: {where} cannot be reached: {_reason(error)}; expected a running server; "
                "start it, or correct redis.url",
                outcome_unknown=not unsent,
            )
    return _refusal(where, error)


def _refusal(where: str, error: Exception) -> BrokerError:
    """Name what the server refused. Redis 6.2 wraps what a script met: '... -OOM command not ...'."""
    text = str(error)
    if isinstance(error, ReadOnlyError) or "-READONLY " in text:
        return BrokerUnavailable(
            f"redis: {where} is a read-only replica; expected the primary; "
            "point redis.url at the primary"
        )
    if isinstance(error, OutOfMemoryError) or "-OOM " in text:
        return StoreFull(
            f"redis: {where} is at its maxmemory and refuses to take jobs; expected free "
            "memory; raise maxmemory or lower `retain`; nothing was added"
        )
    return BrokerError(f"redis: {where}: {text}")


def _reason(error: Exception) -> str:
    """Give the system's own word where there is one: redis-py's repeats the address."""
    cause = error.__cause__ or error.__context__
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(error).rstrip(".")


def place_of(client: Client | AsyncClient) -> str:
    """Name the server a client speaks to, for messages. Holds no password."""
    settings = client.connection_pool.connection_kwargs
    if path := settings.get("path"):
        return str(path)
    return f"{settings.get('host', 'localhost')}:{settings.get('port', 6379)}"


def run(client: Client, command: list[str | bytes | int]) -> Reply:
    """Carry out one script call, with its text when Redis does not know it."""
    with translated(place_of(client)):
        try:
            return client.execute_command(*command)  # type: ignore[no-untyped-call]
        except NoScriptError:
            return client.execute_command(*spelled_out(command))  # type: ignore[no-untyped-call]


def run_timed(client: Client, command: list[str | bytes | int]) -> tuple[Reply, float]:
    """Carry out one script call; give its reply, and for how many seconds the server was busy with it.

    By the server's clock, asked before and after in the same round trip: a server carries out what
    came together without serving others in between.
    """
    with translated(place_of(client)):
        pipe = client.pipeline(transaction=False)
        for each in (["TIME"], command, ["TIME"]):
            pipe.execute_command(*each)  # type: ignore[no-untyped-call]
        before, reply, after = pipe.execute(raise_on_error=False)
        for answer in (before, after):
            if isinstance(answer, RedisError):
                raise answer
        if isinstance(reply, NoScriptError):
            reply = client.execute_command(*spelled_out(command))  # type: ignore[no-untyped-call]
        elif isinstance(reply, RedisError):
            raise reply
    return reply, max(0.0, _seconds(after) - _seconds(before))


def _seconds(time: tuple[int, int]) -> float:
    return time[0] + time[1] / 1e6


def run_many(client: Client, commands: list[list[str | bytes | int]]) -> list[Reply]:
    """Carry out script calls in one round trip, each by itself.

    When one is refused the others are done all the same; then its error is raised.
    """
    place = place_of(client)
    with translated(place):
        pipe = client.pipeline(transaction=False)
        for command in commands:
            pipe.execute_command(*command)  # type: ignore[no-untyped-call]
        replies: list[Any] = pipe.execute(raise_on_error=False)
        for index, reply in enumerate(replies):
            if isinstance(reply, NoScriptError):
                replies[index] = run(client, commands[index])
            elif isinstance(reply, Exception):
                raise reply
    return replies


async def run_async(client: AsyncClient, command: list[str | bytes | int]) -> Reply:
    """Carry out one script call on the event loop."""
    with translated(place_of(client)):
        try:
            return await client.execute_command(*command)  # type: ignore[no-untyped-call]
        except NoScriptError:
            return await client.execute_command(*spelled_out(command))  # type: ignore[no-untyped-call]


def spelled_out(command: list[str | bytes | int]) -> list[str | bytes | int]:
    """Give a call with its script's text, which Redis keeps from then on.

    One command, because between loading a script and calling it the script may be forgotten again.
    """
    return ["EVAL", BY_SHA[str(command[1])].source, *command[2:]]
