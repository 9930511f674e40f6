"""Looking for what nobody owns: leases of daemons that are gone, records that are in no state.

Invariant: it reads only, and little: a bounded sample of keys, a few at a time, for no longer than a
second. Called by the doctor.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from jobd.broker.commands import Command
from jobd.broker.connection import Client, place_of, run_many, translated
from jobd.broker.keys import QueueKeys, SharedKeys
from jobd.broker.scripts import SCRIPTS
from jobd.core.doctor.daemon import LeaseFacts
from jobd.core.names import is_name
from jobd.seams import clock

MOST_KEYS = 5_000
LONGEST = 1.0
_BITE = 200
_MOST_NAMED = 100
_KEY = re.compile(r"\{(?P<queue>[^}]*)\}:(?P<kind>job|held):(?P<id>.*)", re.DOTALL)


class Sample(NamedTuple):
    """Keys without an owner, how many were looked at, and whether these were all there are."""

    ownerless: tuple[str, ...]
    looked_at: int
    whole: bool


def leases(client: Client, namespace: str) -> list[LeaseFacts]:
    """List all leases with what they hold. Raises BrokerError."""
    with translated(place_of(client)):
        names: Any = client.smembers(SharedKeys(namespace).queues)
        queues = sorted(name.decode() for name in names if is_name(name))
        pipe = client.pipeline(transaction=False)
        for queue in queues:
            pipe.zrange(QueueKeys(namespace, queue).leases, 0, -1, withscores=True)
        pipe.time()
        *listed, (seconds, micros) = pipe.execute(raise_on_error=False)
    now = int(seconds) * 1000 + int(micros) // 1000
    found = [
        (queue, incarnation.decode("utf-8", "replace"), score)
        for queue, members in zip(queues, listed, strict=True)
        for incarnation, score in (members if isinstance(members, list) else ())
    ]
    counts = _held(client, namespace, [(queue, name) for queue, name, _ in found])
    return [
        LeaseFacts(
            queue=queue,
            incarnation=name,
            held=held,
            # Closed ones (0) are being given back, job by job, by whoever closed them.
            over_for=max(0.0, (now - score) / 1000) if score else 0.0,
        )
        for (queue, name, score), held in zip(found, counts, strict=True)
    ]


def _held(client: Client, namespace: str, owners: list[tuple[str, str]]) -> list[int]:
    if not owners:
        return []
    with translated(place_of(client)):
        pipe = client.pipeline(transaction=False)
        for queue, incarnation in owners:
            pipe.hlen(QueueKeys(namespace, queue).held(incarnation))
        replies = pipe.execute(raise_on_error=False)
    return [reply if isinstance(reply, int) else 0 for reply in replies]


def ownerless(client: Client, namespace: str) -> Sample:
    """Look at a sample of the namespace's keys. Raises BrokerError."""
    bad: list[str] = []
    looked_at = 0
    until = clock.mono() + LONGEST
    for bite in _bites(client, namespace):
        looked_at += len(bite)
        bad += _without_owner(client, namespace, bite)
        if looked_at >= MOST_KEYS or clock.mono() > until:
            return Sample(tuple(bad[:_MOST_NAMED]), looked_at, whole=False)
    return Sample(tuple(bad[:_MOST_NAMED]), looked_at, whole=True)


def _bites(client: Client, namespace: str) -> Iterator[list[str]]:
    cursor = 0
    pattern = f"{_escaped(namespace)}:{{*"
    while True:
        with translated(place_of(client)):
            reply: Any = client.scan(cursor, match=pattern, count=_BITE)
        cursor, keys = reply
        yield [key.decode("utf-8", "replace") for key in keys]
        if not cursor:
            return


def _escaped(text: str) -> str:
    return re.sub(r"([*?\[\]\\])", r"\\\1", text)


def _without_owner(client: Client, namespace: str, bite: Iterable[str]) -> list[str]:
    """Ask for all keys of a bite that may have an owner, in one round trip."""
    asked = [(key, read) for key in bite if (read := _read(namespace, key)) is not None]
    commands = [_question(namespace, *read) for _, read in asked]
    replies = run_many(client, commands) if commands else []
    return [key for (key, _), reply in zip(asked, replies, strict=True) if reply[0] == b"ownerless"]


def _read(namespace: str, key: str) -> tuple[str, str, str] | None:
    """Give a key's queue, kind and id; None for what has no owner that could be missing."""
    found = _KEY.fullmatch(key.removeprefix(f"{namespace}:"))
    return None if found is None else (found["queue"], found["kind"], found["id"])


def _question(namespace: str, queue: str, kind: str, name: str) -> Command:
    keys = QueueKeys(namespace, queue)
    places = [keys.waiting, keys.delayed, keys.completed, keys.dead, keys.cancelled, keys.leases]
    return SCRIPTS["owner"].command([*places, keys.held_prefix, keys.job_prefix], "", kind, name)
