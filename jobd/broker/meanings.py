"""What an error of redis-py means: it becomes one of ours, which says what to do.

Redis' errors end here. Invariant: `outcome_unknown` is false only where nothing can have been carried
out. Used by everything in broker/ that speaks to a server.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis.exceptions
from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterCrossSlotError,
    ClusterDownError,
    ConnectionError,  # noqa: A004  redis-py's name for it
    MasterDownError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    TryAgainError,
)

from jobd.broker.scripts import BY_SHA
from jobd.core.errors import (
    BrokerError,
    BrokerUnavailable,
    NotPermitted,
    SoftTimeout,
    StoreFull,
    StoreUnusable,
)


class QueueUnknown(BrokerError):
    """The store has never heard of this queue, or was emptied since: nothing was added.

    Goes no further than to whoever adds, who registers the queue and adds again.
    """

    code = "jobd.queue_unknown"


_CLUSTER_ERRORS = (AskError, ClusterCrossSlotError, ClusterDownError, MovedError, TryAgainError)


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn redis-py's errors into ours. `where` says whom we spoke to."""
    try:
        yield
    except (RedisError, TimeoutError) as error:
        raise ours(error, where) from error


def ours(error: Exception, where: str, command: list[Any] | None = None) -> BrokerError:
    """Say what an error of redis-py means. The hot paths call this in their own `except`.

    `command` is what was sent, for what the server's words leave out.
    """
    match error:
        case SoftTimeout():
            raise error  # a task's own, that came while it spoke to Redis
        case redis.exceptions.TimeoutError() | TimeoutError():
            if "handshake" in str(error.__cause__ or error.__context__ or ""):
                return BrokerUnavailable(
                    f"redis: {where} does not answer in TLS; expected a handshake; write redis:// instead "
                    "of rediss:// if that port speaks plainly, else see whether the server hangs"
                )
            return BrokerUnavailable(
                f"redis: no answer from {where} in time; expected one within the time-out; "
                "see whether the server hangs or the network drops packets",
                outcome_unknown="connecting to" not in str(error),
            )
        case NoPermissionError():
            return _not_permitted(where, error, command)
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
            return _broken(where, error)
    return _refusal(where, error, command)


def _broken(where: str, error: ConnectionError) -> BrokerError:
    """Name what is wrong with a connection."""
    cause = error.__cause__ or error.__context__
    if isinstance(cause, BrokerError):  # what a connection of ours raised, wrapped on its way
        return cause
    if isinstance(cause, ssl.SSLError):
        return _encryption(where, cause)
    # Refused at connect: nothing was sent. Broken later: it may have been carried out.
    unsent = "connecting to" in str(error)
    do = "a running server; start it, or say where it is: JOBD_REDIS_URL, else redis.url"
    if isinstance(cause, ConnectionResetError | BrokenPipeError):
        do = (
            "it to hear us; see its log: it was stopped, or it is in protected mode and serves nobody "
            "from another host without a password"
        )
    return BrokerUnavailable(
        f"redis: {where} cannot be reached: {_reason(error)}; expected {do}",
        outcome_unknown=not unsent,
    )


def _encryption(where: str, error: ssl.SSLError) -> BrokerError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return StoreUnusable(
            f"redis: {where}: its certificate is refused: {error.verify_message}; expected a valid one "
            "for this name from an authority we know; name that with ?ssl_ca_certs=/path/ca.pem in "
            "redis.url, or renew the certificate"
        )
    reason = (error.reason or str(error).partition(" (_ssl")[0]).lower().replace("_", " ")
    if "wrong version number" in reason or "packet length too long" in reason:
        return StoreUnusable(
            f"redis: {where} does not speak TLS on this port; expected it to; "
            "write redis:// instead of rediss://, or name its TLS port"
        )
    if "certificate required" in reason or "handshake failure" in reason or "alert" in reason:
        return StoreUnusable(
            f"redis: {where} refused us: TLS: {reason}; expected it to accept our certificate; name one "
            "with ?ssl_certfile=/path/client.pem&ssl_keyfile=/path/client.key in redis.url"
        )
    return BrokerUnavailable(
        f"redis: {where} cannot be reached: TLS: {reason}; expected a sound connection; "
        "see the server's log, and whether it asks for a certificate of ours: "
        "?ssl_certfile=/path/client.pem&ssl_keyfile=/path/client.key in redis.url",
        outcome_unknown=True,
    )


def _not_permitted(where: str, error: Exception, command: list[Any] | None) -> NotPermitted:
    """Name what our user lacks: the server names a command, and never a key."""
    asked = "" if command is None else f" ({spoken(command)})"
    return NotPermitted(
        f"redis: {where}: {_reason(error)}{asked}; expected a user that may use jobd's keys and "
        "commands; correct its ACL (`jobd doctor --acl` prints one for each role), or name another "
        "user in redis.url"
    )


def spoken(command: list[Any]) -> str:
    """Name a command for people: its script, if it calls one, and its keys."""
    words = [
        part.decode("utf-8", "replace") if isinstance(part, bytes) else str(part)
        for part in command
    ]
    if words[0] not in ("EVALSHA", "EVAL"):
        return " ".join(words[:2])
    script = BY_SHA.get(words[1])
    keys = words[3 : 3 + int(words[2])]
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return f"script {script.name if script else '?'} on {', '.join(keys[:3])}{more}"


# A script's command that its user may not call: Valkey, and Redis up to 6.2 and from 7.0 on.
_OF_SCRIPTS_USER = ("NOPERM", "ACL failure in script", "The user executing the script can't")
_OF_CLUSTER = ("MOVED ", "ASK ", "CLUSTERDOWN", "CROSSSLOT", "TRYAGAIN", "allowed in cluster mode")


def _refusal(where: str, error: Exception, command: list[Any] | None) -> BrokerError:
    """Name what the server refused. Redis 6.2 wraps what a script met: '... -OOM command not ...'."""
    text = str(error)
    if "JOBDUNKNOWN " in text:
        return QueueUnknown(f"redis: {where}: {text}")
    if isinstance(error, ReadOnlyError) or "-READONLY " in text or "READONLY You can" in text:
        return BrokerUnavailable(
            f"redis: {where} is a read-only replica; expected the primary; "
            "point redis.url at the primary"
        )
    if isinstance(error, OutOfMemoryError) or "-OOM " in text:
        return StoreFull(
            f"redis: {where} is at its maxmemory and refuses to take jobs; expected free "
            "memory; raise maxmemory or lower `retain`; nothing was added"
        )
    if isinstance(error, _CLUSTER_ERRORS) or any(word in text for word in _OF_CLUSTER):
        return StoreUnusable(
            f"redis: {where} is a node of a cluster; expected a server outside one: what happens to a "
            "queue while its slot moves is not proven yet; name another server, or a primary by "
            "Sentinel (redis+sentinel://)"
        )
    if "MASTERDOWN" in text or isinstance(error, MasterDownError):
        return BrokerUnavailable(
            f"redis: {where} is a replica that has lost its primary; expected the primary; "
            "point redis.url at the primary"
        )
    if "NOREPLICAS" in text:
        return BrokerUnavailable(
            f"redis: {where} has fewer replicas than min-replicas-to-write and takes no writes; expected "
            "them to be connected; bring them back, or lower min-replicas-to-write"
        )
    if "MISCONF" in text:
        return StoreUnusable(
            f"redis: {where} cannot write to its disk and takes no writes; expected its last save to have "
            "worked; see its log, and whether the disk is full"
        )
    if any(word in text for word in _OF_SCRIPTS_USER):
        return _not_permitted(where, error, command)
    return BrokerError(f"redis: {where}: {text}")


def _reason(error: Exception) -> str:
    """Give the system's own word where there is one: redis-py's repeats the address."""
    cause = error.__cause__ or error.__context__
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(error).rstrip(".")
