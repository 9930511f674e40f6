"""How jobd reaches Redis: the only place that makes clients.

redis-py repeats commands silently by default, also after a time-out. A claim repeated that way
would take twice as many jobs, so it is switched off on every client (`pools`); what may be repeated is
said, script by script, on its REPLAY line. What redis-py's errors mean says `meanings`.
"""

from __future__ import annotations

from typing import Any

import redis
import redis.asyncio
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError

from jobd.broker.meanings import ours, translated
from jobd.broker.pools import async_pool_of, pool_of
from jobd.broker.refusals import unsound
from jobd.broker.scripts import BY_SHA
from jobd.broker.shapes import is_sound
from jobd.broker.urls import read_url
from jobd.core.errors import BrokerError, BrokerUnavailable

__all__ = [
    "AsyncClient", "Client", "Reply", "connect", "connect_async", "ours", "place_of", "run",
    "run_async", "run_each", "run_many", "run_timed", "spelled_out", "translated",
]  # fmt: skip

Reply = Any
Client = redis.Redis
AsyncClient = redis.asyncio.Redis

DEFAULT_TIMEOUT = 2.0


def connect(url: str, *, timeout: float = DEFAULT_TIMEOUT) -> Client:
    """Make a client. No connection is opened yet. Raises ConfigError for a URL it cannot use."""
    return redis.Redis.from_pool(pool_of(read_url(url), timeout))


def connect_async(url: str, *, timeout: float = DEFAULT_TIMEOUT) -> AsyncClient:
    """Make a client for the running event loop. Raises ConfigError for a URL it cannot use."""
    return redis.asyncio.Redis.from_pool(async_pool_of(read_url(url), timeout))


def place_of(client: Client | AsyncClient) -> str:
    """Name the server a client speaks to, for messages. Holds no password."""
    settings = client.connection_pool.connection_kwargs
    if sentinels := settings.get("sentinels"):
        return str(sentinels.said)
    if path := settings.get("path"):
        return str(path)
    return f"{settings.get('host', 'localhost')}:{settings.get('port', 6379)}"


def run(client: Client, command: list[str | bytes | int]) -> Reply:
    """Carry out one script call, with its text when Redis does not know it."""
    try:
        try:
            reply = client.execute_command(*command)  # type: ignore[no-untyped-call]
        except NoScriptError:
            reply = client.execute_command(*spelled_out(command))  # type: ignore[no-untyped-call]
    except (RedisError, TimeoutError) as error:
        raise _refused(client, error, command) from error
    return _sound(client, command, reply)


def _sound(client: Client, command: list[str | bytes | int], reply: Reply) -> Reply:
    """Give an answer on, if it is one to that call."""
    if is_sound(command, reply):
        return reply
    _leave(client)
    raise unsound(place_of(client), command)


def _refused(client: Client, error: Exception, command: list[Any]) -> BrokerError:
    """Say what an error means, and leave whom nothing more is to be asked.

    All that is idle leads to a server that was deposed, or may be out of step.
    """
    meant = ours(error, place_of(client), command)
    if isinstance(error, ReadOnlyError) or meant.outcome_unknown:
        _leave(client)
    return meant


def _leave(client: Client) -> None:
    client.connection_pool.disconnect(inuse_connections=False)


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
                raise _refused(client, answer, ["TIME"]) from answer
        if isinstance(reply, NoScriptError):
            reply = client.execute_command(*spelled_out(command))  # type: ignore[no-untyped-call]
        elif isinstance(reply, RedisError):
            raise _refused(client, reply, command) from reply
        took = max(0.0, _seconds(after) - _seconds(before))
    return _sound(client, command, reply), took


def _seconds(time: tuple[int, int]) -> float:
    return time[0] + time[1] / 1e6


def run_many(client: Client, commands: list[list[str | bytes | int]]) -> list[Reply]:
    """Carry out script calls in one round trip, each by itself.

    When one is refused the others are done all the same; then its error is raised.
    """
    replies = run_each(client, commands)
    for reply in replies:
        if isinstance(reply, BrokerError):
            raise reply
    return replies


def run_each(client: Client, commands: list[list[str | bytes | int]]) -> list[Reply | BrokerError]:
    """Carry out commands in one round trip, each by itself; a refusal stands in its reply's place.

    Scripts that Redis has forgotten go in a second one, after all others. Raises BrokerUnavailable
    for what is no single one's.
    """
    replies = _pipelined(client, commands)
    forgotten = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
    if forgotten:
        known: set[str] = set()
        again = _pipelined(client, [_spelled_once(commands[i], known) for i in forgotten])
        for i, reply in zip(forgotten, again, strict=True):
            replies[i] = reply
    return [
        _understood(client, command, reply)
        for command, reply in zip(commands, replies, strict=True)
    ]


def _pipelined(client: Client, commands: list[list[str | bytes | int]]) -> list[Any]:
    with translated(place_of(client)):
        pipe = client.pipeline(transaction=False)
        for command in commands:
            pipe.execute_command(*command)  # type: ignore[no-untyped-call]
        return list(pipe.execute(raise_on_error=False))


def _spelled_once(command: list[str | bytes | int], known: set[str]) -> list[str | bytes | int]:
    sha = str(command[1])
    if sha in known:
        return command
    known.add(sha)
    return spelled_out(command)


def _understood(
    client: Client, command: list[str | bytes | int], reply: Any
) -> Reply | BrokerError:
    try:
        if isinstance(reply, NoScriptError):  # forgotten again, meanwhile
            return run(client, command)
        if isinstance(reply, Exception):
            raise _refused(client, reply, command) from reply
    except BrokerUnavailable:
        raise
    except BrokerError as refused:
        return refused
    return _sound(client, command, reply)


async def run_async(client: AsyncClient, command: list[str | bytes | int]) -> Reply:
    """Carry out one script call on the event loop."""
    try:
        try:
            reply = await client.execute_command(*command)  # type: ignore[no-untyped-call]
        except NoScriptError:
            reply = await client.execute_command(*spelled_out(command))  # type: ignore[no-untyped-call]
    except (RedisError, TimeoutError) as error:
        meant = ours(error, place_of(client), command)
        if isinstance(error, ReadOnlyError) or meant.outcome_unknown:
            await client.connection_pool.disconnect(inuse_connections=False)
        raise meant from error
    if not is_sound(command, reply):
        await client.connection_pool.disconnect(inuse_connections=False)
        raise unsound(place_of(client), command)
    return reply


def spelled_out(command: list[str | bytes | int]) -> list[str | bytes | int]:
    """Give a call with its script's text, which Redis keeps from then on.

    One command, because between loading a script and calling it the script may be forgotten again.
    """
    return ["EVAL", BY_SHA[str(command[1])].source, *command[2:]]
