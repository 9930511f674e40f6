"""Everything Redis holds of a queue, at one instant, and the laws it must obey at every instant."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import redis

# One script: no instant lies between two of its reads. KEYS is for tests only.
_COUNT = """
local root, found = ARGV[1], { containers = {}, held = {}, leases = {}, jobs = {}, tally = {} }
for _, name in ipairs({ 'waiting', 'delayed', 'completed', 'dead', 'cancelled' }) do
  found.containers[name] = redis.call('ZRANGE', root .. name, 0, -1)
end
found.leases = redis.call('ZRANGE', root .. 'leases', 0, -1, 'WITHSCORES')
for _, key in ipairs(redis.call('KEYS', root .. 'held:*')) do
  found.held[string.sub(key, #root + 6)] = redis.call('HGETALL', key)
end
for i, key in ipairs(redis.call('KEYS', root .. 'job:*')) do
  found.jobs[i] = string.sub(key, #root + 5)
end
found.told = {}
for i, entry in ipairs(redis.call('XRANGE', root .. 'outbox', '-', '+')) do
  found.told[i] = entry[2][4]
end
found.tally = redis.call('HGETALL', root .. 'tally')
found.claim = redis.call('HGET', root .. 'meta', 'claim') or '0'
local time = redis.call('TIME')
found.now = time[1] * 1000 + math.floor(time[2] / 1000)
return cjson.encode(found)
"""


@dataclass
class Census:
    """One look. `held` is incarnation -> job -> claim, `told` the jobs of the outbox' deaths."""

    containers: dict[str, list[str]]
    held: dict[str, dict[str, int]]
    leases: dict[str, int]
    jobs: set[str]
    told: list[str]
    tally: dict[str, int]
    claim: int
    now: int

    def state_counts(self) -> dict[str, int]:
        """How many jobs are in each state."""
        counts = {name: len(ids) for name, ids in self.containers.items()}
        return counts | {"active": sum(map(len, self.held.values()))}

    @property
    def at_rest(self) -> bool:
        """Whether nothing is on its way."""
        counts = self.state_counts()
        return not (counts["waiting"] or counts["delayed"] or counts["active"])

    def total(self, outcome: str) -> int:
        """The tally of an outcome over all tasks."""
        return sum(n for name, n in self.tally.items() if name.split("|")[0] == outcome)

    def broken_laws(self) -> list[str]:
        """Say what is wrong with this instant."""
        wrong = []
        places = Counter(i for ids in self.containers.values() for i in ids)
        places.update(i for jobs in self.held.values() for i in jobs)
        wrong += [f"{job} is in {n} containers" for job, n in places.items() if n > 1]
        wrong += [f"{job} has a record and no container" for job in self.jobs - places.keys()]
        wrong += [f"{job} has a container and no record" for job in places.keys() - self.jobs]
        wrong += [f"{name} holds jobs without a lease" for name in self.held.keys() - self.leases]
        told = Counter(self.told)
        wrong += [
            f"{i} is dead and told {told[i]} times" for i in self.containers["dead"] if told[i] != 1
        ]
        newest = max((claim for jobs in self.held.values() for claim in jobs.values()), default=0)
        if newest > self.claim:
            wrong.append(f"claim {newest} is held, the last one drawn is {self.claim}")
        for outcome in ("completed", "dead"):
            if self.total(outcome) != len(self.containers[outcome]):
                counted = f"{self.total(outcome)} counted as {outcome}"
                wrong.append(f"{counted}, {len(self.containers[outcome])} are there")
        waits, runs, totals = self.total("wait"), self.total("run"), self.total("total")
        if not waits == runs == totals:
            wrong.append(f"histograms hold {waits} waits, {runs} runs, {totals} totals")
        return wrong


def take(client: Any, queue: str = "q") -> Census:
    """Look once."""
    raw = json.loads(client.eval(_COUNT, 0, f"jobd:{{{queue}}}:"))
    leases = list(raw["leases"])
    return Census(
        containers={name: list(ids) for name, ids in raw["containers"].items()},
        held={
            name: {job: int(entry.partition(":")[0]) for job, entry in _pairs(flat).items()}
            for name, flat in dict(raw["held"] or {}).items()
        },
        leases={name: int(float(score)) for name, score in _pairs(leases).items()},
        jobs=set(raw["jobs"]),
        told=list(raw["told"]),
        tally={name: int(n) for name, n in _pairs(raw["tally"]).items()},
        claim=int(raw["claim"]),
        now=int(raw["now"]),
    )


def _pairs(flat: Any) -> dict[str, str]:
    parts = list(flat)
    return dict(zip(parts[::2], parts[1::2], strict=True))


@dataclass
class Watch:
    """Looks that were taken while something happened."""

    looks: int = 0
    wrong: list[str] = field(default_factory=list)


@contextmanager
def watching(url: str, *, every: float = 0.2) -> Iterator[Watch]:
    """Look again and again while the block runs. A server that is away is looked at later."""
    watch, ended = Watch(), threading.Event()
    client = redis.Redis.from_url(url, socket_timeout=2, protocol=2)

    def look() -> None:
        while True:
            with suppress(redis.exceptions.RedisError):
                watch.wrong += take(client).broken_laws()
                watch.looks += 1
            if ended.wait(every):
                break

    thread = threading.Thread(target=look, name="census")
    thread.start()
    try:
        yield watch
    finally:
        ended.set()
        thread.join()
        client.close()
