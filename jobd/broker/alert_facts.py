"""What rules look at in Redis: figures of queues, and of the server itself.

The cost is of the number of queues (and of schedules, where a rule looks at them), never of jobs: one
round trip beside the three of jobd.broker.backlog. Minutes that are over do not change and are
remembered.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from jobd.broker.backlog import Backlogs
from jobd.broker.connection import Client, place_of, translated
from jobd.broker.keys import QueueKeys
from jobd.broker.server import read_facts
from jobd.core.alerts.facts import QueueFacts, StoreFacts
from jobd.core.server_facts import judge
from jobd.core.states import CLAIM_PER_MS

_MINUTE_MS = 60_000
# Schedules of one queue that are looked at, those that are due first.
_MOST_SCHEDULES = 1000


class _Asked(NamedTuple):
    """One question: about which queue, what, and of which minute or span."""

    queue: str
    what: str
    which: Any = None


class QueueReader:
    """Reads the figures of queues. Remembers minutes that are over."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self._backlogs = Backlogs(client, namespace)
        self._past: dict[tuple[str, int], dict[str, int]] = {}

    def read(
        self,
        queues: Sequence[str],
        now: int,
        *,
        minutes: int = 0,
        died_within: Collection[float] = (),
        schedules: bool = False,
        interrupted: bool = False,
    ) -> dict[str, QueueFacts]:
        """Read these queues at `now` (ms, by Redis' clock): so many minutes back. Raises BrokerError."""
        backlogs = self._backlogs.read(queues)
        asked: list[_Asked] = []
        with translated(place_of(self._client)):
            pipe = self._client.pipeline(transaction=False)
            for queue in queues:
                keys = QueueKeys(self._namespace, queue)
                pipe.hmget(keys.meta, "claim", "interrupted_last")
                asked.append(_Asked(queue, "meta"))
                pipe.zcount(keys.leases, f"({now}", "+inf")
                asked.append(_Asked(queue, "workers"))
                for minute in self._unknown_minutes(queue, now // _MINUTE_MS, minutes):
                    pipe.hgetall(f"{keys.minute_prefix}{minute}")
                    asked.append(_Asked(queue, "minute", minute))
                for within in died_within:
                    pipe.zcount(keys.dead, f"({now - round(within * 1000)}", "+inf")
                    asked.append(_Asked(queue, "died", within))
                if interrupted:
                    pipe.hget(keys.tally, "interrupted_often")
                    asked.append(_Asked(queue, "interrupted"))
                if schedules:
                    pipe.zrange(keys.schedules, 0, _MOST_SCHEDULES - 1, withscores=True)
                    asked.append(_Asked(queue, "schedules"))
            replies = pipe.execute(raise_on_error=False) if asked else []
        found = self._sorted(queues, asked, replies, now)
        self._remember(found, now, minutes)
        self._read_skipped(found)
        return {queue: _facts(each, backlogs[queue]) for queue, each in found.items()}

    def _sorted(
        self, queues: Sequence[str], asked: list[_Asked], replies: list[Any], now: int
    ) -> dict[str, dict[str, Any]]:
        """Put each answer to its queue. What somebody else put in the place of a key counts for nothing."""
        found: dict[str, dict[str, Any]] = {queue: {"minutes": {}, "died": {}} for queue in queues}
        for question, reply in zip(asked, replies, strict=True):
            if not isinstance(reply, Exception):
                self._take(found[question.queue], question, reply, now)
        return found

    def _unknown_minutes(self, queue: str, this: int, back: int) -> list[int]:
        if not back:
            return []
        return [m for m in range(this - back, this + 1) if (queue, m) not in self._past]

    def _take(self, found: dict[str, Any], asked: _Asked, reply: Any, now: int) -> None:
        queue, what, which = asked
        if what == "meta":
            claim, found["interrupted_last"] = _whole(reply[0]), _text(reply[1])
            found["claimed_ago"] = max(0.0, (now - claim / CLAIM_PER_MS) / 1000) if claim else None
        elif what == "minute":
            counts = {_text(outcome): _whole(n) for outcome, n in reply.items()}
            found["minutes"][which] = counts
            if which < now // _MINUTE_MS:
                self._past[queue, which] = counts
        elif what == "died":
            found["died"][which] = int(reply)
        elif what == "schedules":
            found["names"] = [_text(name) for name, _ in reply]
            found["overdue"] = {
                _text(name): (now - due) / 1000 for name, due in reply if 0 < due < now
            }
        else:
            found[what] = _whole(reply) if isinstance(reply, bytes) else int(reply or 0)

    def _remember(self, found: dict[str, dict[str, Any]], now: int, minutes: int) -> None:
        oldest = now // _MINUTE_MS - minutes
        self._past = {at: counts for at, counts in self._past.items() if at[1] >= oldest}
        for (queue, minute), counts in self._past.items():
            if queue in found:
                found[queue]["minutes"].setdefault(minute, counts)

    def _read_skipped(self, found: dict[str, dict[str, Any]]) -> None:
        """Read how many slots each schedule has passed over."""
        wanted = [(queue, name) for queue, each in found.items() for name in each.pop("names", ())]
        if not wanted:
            return
        with translated(place_of(self._client)):
            pipe = self._client.pipeline(transaction=False)
            for queue, name in wanted:
                keys = QueueKeys(self._namespace, queue)
                pipe.hget(keys.schedule_prefix + name, "missed_slots")
            replies = pipe.execute(raise_on_error=False)
        for (queue, name), reply in zip(wanted, replies, strict=True):
            if not isinstance(reply, Exception):
                found[queue].setdefault("skipped", {})[name] = _whole(reply)


def store_facts(client: Client, *, keeps_nothing: bool, reset_ago: float | None) -> StoreFacts:
    """Ask the server about itself. Raises BrokerError; NotPermitted where our user may not ask."""
    with translated(place_of(client)):
        info: Any = client.info("memory")
    server = read_facts(client)
    wrong = judge(server, keeps_nothing=keeps_nothing)
    return StoreFacts(
        used_memory=int(info.get("used_memory", 0)),
        max_memory=int(info.get("maxmemory", 0)),
        host_memory=int(info.get("total_system_memory", 0)),
        unfit=tuple(each.why for each in wrong if each.level == "error"),
        reset_ago=reset_ago,
    )


def _facts(found: dict[str, Any], backlog: Any) -> QueueFacts:
    return QueueFacts(
        due=backlog.due,
        oldest=backlog.oldest,
        paused=backlog.paused,
        limited=backlog.limited,
        **found,
    )


def _whole(raw: Any) -> int:
    return int(raw) if isinstance(raw, bytes) and raw.isdigit() and len(raw) < 19 else 0


def _text(raw: Any) -> str:
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else ""
