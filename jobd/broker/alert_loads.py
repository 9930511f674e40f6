"""How hosts define the rules they share, in Redis: said by each, heard by all.

What is read is a stranger's until it is validated: what is no definition is left out. Called by
jobd.alerter, and by whoever shows rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from jobd.broker.connection import Client, place_of, run, translated
from jobd.broker.keys import SharedKeys
from jobd.broker.scripts import SCRIPTS
from jobd.core.alerts.loads import Load, Said, digest, given
from jobd.core.config_alerts import RuleConfig
from jobd.core.unreadable import UNREADABLE_JSON

_MOST_NAMED = 200


class Heard(NamedTuple):
    """How living hosts define each rule, at `at_ms` by Redis' clock."""

    at_ms: int
    loads: dict[str, list[Load]]


class LoadStore:
    """The definitions of one namespace. `now` injects a store time in ms for tests."""

    def __init__(self, client: Client, namespace: str, *, now: int | None = None) -> None:
        self._client = client
        self._keys = SharedKeys(namespace)
        self._now = "" if now is None else str(now)

    def say(
        self, rules: Sequence[RuleConfig], *, age_ms: int, for_ms: int, owner: str, host: str
    ) -> Heard:
        """Say that this daemon has loaded these, `age_ms` ago; it holds for `for_ms`. Raises BrokerError.

        `owner` is hexadecimal, `host` without spaces. Goes on at maxmemory.
        """
        script = SCRIPTS["alert_load"]
        keys = [getattr(self._keys, key) for key in script.keys]
        said = [
            word
            for rule in rules
            for word in (rule.name, digest(rule), msgspec.json.encode(given(rule)))
        ]
        at, *rows = run(
            self._client, script.command(keys, self._now, age_ms, for_ms, owner, host, *said)
        )
        return Heard(int(at), _by_rule(dict(zip(rows[::2], rows[1::2], strict=True)), int(at)))

    def read(self) -> dict[str, list[Load]]:
        """Read how living hosts define each rule. Raises BrokerError."""
        with translated(place_of(self._client)):
            pipe = self._client.pipeline(transaction=False)
            pipe.time()
            pipe.hgetall(self._keys.alert_loads)
            time, rows = pipe.execute()
        return _by_rule(rows, int(time[0]) * 1000 + int(time[1]) // 1000)


def _by_rule(rows: Mapping[bytes, bytes], at_ms: int) -> dict[str, list[Load]]:
    found: dict[str, list[Load]] = {}
    for rule, load in _loads(rows.items()):
        if load.until_ms > at_ms:
            found.setdefault(rule, []).append(load)
    return found


def _loads(rows: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[str, Load]]:
    for field, value in rows:
        rule, _, of = field.decode("utf-8", "replace").rpartition("\n")
        head, _, document = value.partition(b"\n")
        try:
            loaded, when, span, owner, host = head.decode().split(" ")
            says: Any = msgspec.json.decode(document, type=dict[str, Said])
            yield (
                rule,
                Load(
                    digest=of, loaded_ms=int(loaded), until_ms=int(when) + int(span), owner=owner,
                    host=host[:_MOST_NAMED], says=says,
                ),
            )  # fmt: skip
        except (*UNREADABLE_JSON, ValueError):
            continue
