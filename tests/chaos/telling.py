"""What the alerter asks of Redis, asked until it is answered: each call may lose its request or reply."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from typing import TypeVar

from support.notes import a_note

from jobd.broker.alert_outbox import RedisOutbox
from jobd.broker.alerts import AlertStore, Move
from jobd.broker.connection import connect
from jobd.core.alerts.machine import RuleState
from jobd.core.errors import BrokerError

T = TypeVar("T")
_numbers = itertools.count()


def _until_answered(ask: Callable[[], T]) -> T:
    for _ in range(10):
        with contextlib.suppress(BrokerError):
            return ask()
    raise AssertionError("never answered")


def mute(url: str) -> None:
    """Have a rule muted, and unmuted: said again, that is the same."""
    rule = f"rule{next(_numbers)}"
    client = connect(url, timeout=1.0)
    store = AlertStore(client, "jobd")
    until = _until_answered(lambda: store.mute(rule, 60_000))
    assert store.mutes()[rule] == until
    _until_answered(lambda: store.unmute(rule))
    assert rule not in store.mutes()
    client.close()


def tell(url: str, script: str) -> None:
    """Have a notification added, taken, put off and delivered, and a rule's state moved. Told once."""
    number = next(_numbers)
    client = connect(url, timeout=1.0)
    outbox, store, sink = RedisOutbox(client, "jobd"), AlertStore(client, "jobd"), f"sink{number}"
    note, rule = a_note(number, rule=f"rule{number}"), f"rule{number}"
    if script == "alert_move":
        moves = [_until_answered(lambda: store.move([Move(rule, b"", RuleState(), note, [sink])]))]
        assert moves in ([["moved"]], [["stale"]])
    else:
        _until_answered(lambda: outbox.add(note, [sink]))
    taken = _until_answered(lambda: outbox.take([sink]))
    # Where the answer was lost, it is leased to nobody who knows of it.
    if script != "alert_take":
        [delivery] = taken
        assert delivery.id == note.id
        if script == "alert_again":
            _until_answered(lambda: outbox.again(delivery, 60.0))
        else:
            _until_answered(lambda: outbox.done(delivery))
            assert _until_answered(lambda: outbox.take([sink])) == []
    client.close()
