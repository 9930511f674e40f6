"""What an error of redis-py means: it becomes one of ours, which says what to do.

Redis' errors end here; what an answer means that is an error, `refusals` says. Invariant: `outcome_unknown`
is false only where nothing can have been carried out. Used by everything in broker/ that speaks to a server.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis.exceptions
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ConnectionError,  # noqa: A004  redis-py's name for it
    NoPermissionError,
    RedisError,
)

from jobd.broker.refusals import not_an_answer, not_permitted, refusal
from jobd.core.errors import (
    BrokerError,
    BrokerUnavailable,
    JobdError,
    SoftTimeout,
    StoreUnusable,
)

# What redis-py and we meet in an answer that is sound Redis, and none to what was asked.
_ODD = (TypeError, ValueError, LookupError, AttributeError)


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn redis-py's errors into ours. `where` says whom we spoke to."""
    with legible(where):
        try:
            yield
        except (RedisError, TimeoutError) as error:
            raise ours(error, where) from error


@contextmanager
def legible(where: str) -> Iterator[None]:
    """Tell of an answer that cannot be taken apart as one that is none: its outcome is unknown."""
    try:
        yield
    except (JobdError, UnicodeEncodeError):  # a caller's own, and a word that cannot be sent
        raise
    except _ODD as error:
        raise not_an_answer(where, f"an answer cannot be read: {error}") from error


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
            return not_permitted(where, error, command)
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
    return refusal(where, error, command)


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


def _reason(error: Exception) -> str:
    """Give the system's own word where there is one: redis-py's repeats the address."""
    cause = error.__cause__ or error.__context__
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(error).rstrip(".")
