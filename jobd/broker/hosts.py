"""What the daemons of a namespace say of themselves: the hash `jobd:hosts`, one field each.

A keeper writes its host's word every few seconds and takes it away when it ends in order; whoever
wants to know about the fleet reads all of them. How old a word is, Redis' clock says.
"""

from __future__ import annotations

from typing import Any

import msgspec

from jobd.broker.connection import Client, place_of, run, translated
from jobd.broker.keys import SharedKeys
from jobd.broker.scripts import SCRIPTS
from jobd.core.portrait import Daemon, Host
from jobd.core.unreadable import UNREADABLE_JSON

# Who has said nothing for so long is left out: a host that is gone for good, not for a moment.
FORGOTTEN_AFTER = 3600.0


class _Word(msgspec.Struct, frozen=True, kw_only=True):
    """One field's document. `wall_ms` is the host's own clock when it was written."""

    wall_ms: int
    daemon: Daemon


def say(client: Client, namespace: str, key: str, daemon: Daemon, *, wall_ms: int) -> None:
    """Write one daemon's word. Raises BrokerError, StoreFull."""
    document = msgspec.json.encode(_Word(wall_ms=wall_ms, daemon=daemon))
    forget = round(FORGOTTEN_AFTER * 1000)
    hosts = SharedKeys(namespace).hosts
    run(client, SCRIPTS["host_say"].command([hosts], "", key, document, forget))


def unsay(client: Client, namespace: str, key: str) -> None:
    """Take a daemon's word away: it ends. Raises BrokerError."""
    with translated(place_of(client)):
        client.hdel(SharedKeys(namespace).hosts, key)


def hosts(client: Client, namespace: str) -> list[Host]:
    """Read what all have said, those that are forgotten left out. Raises BrokerError."""
    with translated(place_of(client)):
        # No transaction: at maxmemory Redis refuses whatever is part of one.
        pipe = client.pipeline(transaction=False)
        pipe.hgetall(SharedKeys(namespace).hosts)
        pipe.time()
        words, (seconds, micros) = pipe.execute()
    now = int(seconds) * 1000 + int(micros) // 1000
    found = [_read(key.decode("utf-8", "replace"), raw, now) for key, raw in words.items()]
    return sorted(
        (host for host in found if host.silent_for <= FORGOTTEN_AFTER), key=lambda host: host.key
    )


def host(client: Client, namespace: str, key: str) -> Host | None:
    """Read what one has said; None where there is none. Raises BrokerError."""
    with translated(place_of(client)):
        pipe = client.pipeline(transaction=False)
        pipe.hget(SharedKeys(namespace).hosts, key)
        pipe.time()
        raw, (seconds, micros) = pipe.execute()
    if raw is None:
        return None
    found = _read(key, raw, int(seconds) * 1000 + int(micros) // 1000)
    return found if found.silent_for <= FORGOTTEN_AFTER else None


def _read(key: str, raw: Any, now: int) -> Host:
    """Read one word; whatever else a stranger or another version put there is named as unread."""
    at, _, document = raw.partition(b" ")
    said = int(at) if at.isdigit() and len(at) < 16 else now
    silent_for = max(0.0, (now - said) / 1000)
    try:
        word = msgspec.json.decode(document, type=_Word)
    except UNREADABLE_JSON as bad:
        return Host(key=key, silent_for=silent_for, said_at=said, why_unread=str(bad))
    ahead = (word.wall_ms - said) / 1000
    return Host(key=key, silent_for=silent_for, said_at=said, ahead=ahead, daemon=word.daemon)
