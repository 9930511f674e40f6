"""What it means that a server refused: it answered, and the answer is an error, or none of ours at all.

Invariant: what we do not know to be Redis' own word for having done nothing is an unknown outcome. A
proxy that lost its server says something too, and by then a job may be in. Called by meanings.py, which has
what came instead of an answer; and by whoever finds that an answer is not one (shapes.py).
"""

from __future__ import annotations

import re
from typing import Any

from redis.exceptions import (
    AskError,
    ClusterCrossSlotError,
    ClusterDownError,
    ExecAbortError,
    InvalidResponse,
    MasterDownError,
    MovedError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)

from jobd.broker.scripts import BY_SHA
from jobd.core.errors import (
    BrokerError,
    BrokerUnavailable,
    NotPermitted,
    StoreFull,
    StoreUnusable,
)


class QueueUnknown(BrokerError):
    """The store has never heard of this queue, or was emptied since: nothing was added.

    Goes no further than to whoever adds, who registers the queue and adds again.
    """

    code = "jobd.queue_unknown"


# A script's command that its user may not call: Valkey, and Redis up to 6.2 and from 7.0 on.
_OF_SCRIPTS_USER = ("NOPERM", "ACL failure in script", "The user executing the script can't")
_CLUSTER_ERRORS = (AskError, ClusterCrossSlotError, ClusterDownError, MovedError)
_OF_CLUSTER = ("MOVED ", "ASK ", "CLUSTERDOWN", "CROSSSLOT", "allowed in cluster mode")
# Redis' own, about a call that it has not carried out, or a script that has looked before it wrote.
_KNOWN = re.compile(
    r"JOBD[A-Z]+ |WRONGTYPE |@?user_script: ?\d|running script|"
    r"^(ERR )?(unknown (sub)?command|wrong number of arguments|syntax error|DB index is out of range)",
    re.IGNORECASE,
)

# What passes by itself: nothing was done, and the same may be asked again. By word: what redis-py makes of
# it where it begins an answer, and what to say. Redis 6.2 wraps what a script met: '... -OOM command not ...'.
_PASSING: tuple[tuple[str, type[Exception] | None, str], ...] = (
    (
        "READONLY",
        ReadOnlyError,
        "is a read-only replica; expected the primary; point redis.url at the primary",
    ),
    (
        "MASTERDOWN",
        MasterDownError,
        "is a replica that has lost its primary; expected the primary; point redis.url at the primary",
    ),
    (
        "NOREPLICAS",
        None,
        "has fewer replicas than min-replicas-to-write and takes no writes; expected them to be "
        "connected; bring them back, or lower min-replicas-to-write",
    ),
    (
        "BUSY",
        None,
        "is busy with a script that has run for long, and does nothing else; expected it to end; try "
        "again, and see whose it is: SCRIPT KILL ends one that has written nothing",
    ),
    (
        "TRYAGAIN",
        TryAgainError,
        "is moving a slot of its cluster; expected it to be done soon; try again",
    ),
)


def refusal(where: str, error: Exception, command: list[Any] | None) -> BrokerError:
    """Say what an answer that is an error means; or that it is not even one of Redis'."""
    text = str(error)
    if "JOBDUNKNOWN " in text:
        return QueueUnknown(f"redis: {where}: {text}")
    if said := _passing(error, text):
        return BrokerUnavailable(f"redis: {where} {said}")
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
    if "MISCONF" in text:
        return StoreUnusable(
            f"redis: {where} cannot write to its disk and takes no writes; expected its last save to have "
            "worked; see its log, and whether the disk is full"
        )
    if any(word in text for word in _OF_SCRIPTS_USER):
        return not_permitted(where, error, command)
    if isinstance(error, ResponseError | InvalidResponse) and not _is_known(error, text):
        return not_an_answer(where, text)
    return BrokerError(f"redis: {where}: {text}")


def _passing(error: Exception, text: str) -> str:
    for word, kind, said in _PASSING:
        if (
            (kind is not None and isinstance(error, kind))
            or text.startswith(f"{word} ")
            or f"-{word} " in text
        ):
            return said
    return ""


def _is_known(error: Exception, text: str) -> bool:
    return isinstance(error, ExecAbortError | NoScriptError) or bool(_KNOWN.search(text))


def not_an_answer(where: str, said: str) -> BrokerUnavailable:
    """Say that what came is nothing that Redis answers; `said` is it, or what it was to answer."""
    return BrokerUnavailable(
        f"redis: {where}: {said}; expected an answer of a Redis server; see what stands between us and "
        "it, as a proxy, and its log",
        outcome_unknown=True,
    )


def unsound(where: str, command: list[Any]) -> BrokerUnavailable:
    """Say that a call was answered by what its script never says."""
    return not_an_answer(where, f"{spoken(command)} was answered with something else than it says")


def not_permitted(where: str, error: Exception, command: list[Any] | None) -> NotPermitted:
    """Name what our user lacks: the server names a command, and never a key."""
    asked = "" if command is None else f" ({spoken(command)})"
    return NotPermitted(
        f"redis: {where}: {str(error).rstrip('.')}{asked}; expected a user that may use jobd's keys and "
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
