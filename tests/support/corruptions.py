"""What a stranger, a bug or a failing disk may leave in a job's record, by name."""

from __future__ import annotations

from collections.abc import Callable

from jobd.broker.connection import Client

Corruption = Callable[[Client, str], object]


def _fields(**values: str | bytes) -> Corruption:
    """Overwrite fields of the record; `more` says that there is something to read."""
    return lambda client, key: client.hset(key, mapping=values | {"more": "1"})  # type: ignore[arg-type]


def _without(field: str) -> Corruption:
    return lambda client, key: client.hdel(key, field)


def _another_type(client: Client, key: str) -> None:
    client.delete(key)
    client.rpush(key, "not", "a", "record")


# After any of these the job ends dead with cause `corrupt`.
CORRUPTIONS: dict[str, Corruption] = {
    "no record": lambda client, key: client.delete(key),
    "another type": _another_type,
    "no task": _without("task"),
    "no arguments": _without("args"),
    "no time of adding": _without("at"),
    "task of garbage bytes": _fields(task=b"\xff\xfe\x00"),
    "task that is no name": _fields(task="rm -rf /"),
    "arguments of garbage bytes": _fields(args=b"\x80\x00\xff"),
    "half of the arguments": _fields(args=b'{"n": '),
    "arguments without end": _fields(args=b'{"n":' + b"[" * 100_000),
    "time that is a word": _fields(at="yesterday"),
    "time without end": _fields(at="9" * 400),
    "time after all times": _fields(at="9" * 20),
    "infinite time": _fields(at="inf"),
    "options that are no JSON": _fields(options=b"{attempts: 3"),
    "options that are a list": _fields(options=b"[1, 2]"),
    "options without sense": _fields(options=b'{"attempts": "many"}'),
    "options that name no exceptions": _fields(options=b'{"retry_on": 7}'),
    "options without end": _fields(options=b"[" * 100_000),
    "failures that are a word": _fields(failed="many"),
    "crashes below zero": _fields(crashes="-1"),
    "snoozes below zero": _fields(snoozed="-1"),
    "history of garbage bytes": _fields(history=b"\xff\xff"),
    "history that is no list": _fields(history=b'{"kind": "failed"}'),
    "due time that is a word": _fields(due="soon"),
    "deadline that is a word": _fields(expires="soon"),
    "parking time that is a word": _fields(task="unknown", parked="long ago"),
}
