"""One row's world: a server, hosts, a producer that never gives up, and the account at the end."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from support.daemons import eventually
from support.servers import PATIENCE

from chaos import census
from chaos.app import SOURCE
from chaos.effects import Effects
from chaos.faults import FaultLog
from chaos.hosts import Host
from chaos.stores import Store
from jobd import Jobd
from jobd.core.errors import BrokerError
from jobd.core.schedule import Declared

# A load is a load, not a flood: what is added next must get its turn within a second or so.
MOST_WAITING = 100
KEEP_ALL = {"retain": {"completed": {"age": "24h", "count": 1_000_000}}}


@dataclass
class Account:
    """What the oracles say about everything that was added."""

    added: int
    completed: int
    lost: list[str]
    settled_wrongly: list[str]
    unexplained: list[str]
    extra_starts: int

    def require_clean(self) -> None:
        """Fail unless nothing was lost, nothing settled wrongly, every extra start explained."""
        assert not self.lost, f"{len(self.lost)} lost, such as {self.lost[:5]}"
        wrong = self.settled_wrongly
        assert not wrong, f"{len(wrong)} settled wrongly, such as {wrong[:5]}"
        assert not self.unexplained, f"unexplained starts: {self.unexplained[:5]}"

    def __str__(self) -> str:
        return (
            f"{self.added} jobs: {len(self.lost)} lost, {len(self.settled_wrongly)} settled wrongly, "
            f"{self.extra_starts} extra starts, {len(self.unexplained)} unexplained"
        )


@dataclass
class World:
    """Everything of one row. `url` is what hosts connect to: the store, or a proxy before it."""

    directory: Path
    store: Store
    url: str
    effects: Effects
    faults: FaultLog = field(default_factory=FaultLog)
    hosts: list[Host] = field(default_factory=list)
    added: set[str] = field(default_factory=set)
    _uids: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.queue = Jobd(self.store.url).queue("q")

    # --- hosts ---

    def host(
        self, name: str, *, workers: int, lease: float, drain: float = 10.0, url: str | None = None,
        more: str = "", schedules: list[Declared] | None = None, skew: float = 0.0,
        limits: dict[str, Any] | None = None, max_jobs: int = 0, concurrency: int = 1,
    ) -> Host:  # fmt: skip
        """Start a daemon; `up()` waits for it. `more` is source that its application has too."""
        source = self.effects.prelude(name) + SOURCE + more
        host = Host(
            self.directory, url or self.url, source,
            name=name, workers=workers, lease=lease, drain=drain, options=KEEP_ALL,
            schedules=schedules, skew=skew, limits=limits, max_jobs=max_jobs,
            concurrency=concurrency,
        )  # fmt: skip
        self.hosts.append(host)
        return host

    # --- jobs ---

    def uid(self, what: str = "u") -> str:
        """A name nobody has."""
        return f"{what}-{next(self._uids)}"

    def add(self, task: str, **args: Any) -> str:
        """Add a job whose id is its uid, as often as it takes to know that it is there."""
        uid = args.setdefault("uid", self.uid(task))
        self.add_many([(task, args)])
        return str(uid)

    def add_many(self, jobs: Iterable[tuple[str, dict[str, Any]]], within: float = 60.0) -> None:
        """Add jobs in one round trip, repeated until it is acknowledged."""
        batch = [(task, args, {"job_id": args["uid"]}) for task, args in jobs]
        until = time.monotonic() + within
        while True:
            try:
                self.queue.add_many(batch)
                break
            except BrokerError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)
        self.added |= {args["uid"] for _, args, _ in batch}

    def burst(self, task: str, count: int, **args: Any) -> list[str]:
        """Add many of a kind."""
        uids = [self.uid(task) for _ in range(count)]
        self.add_many([(task, {"uid": uid, **args}) for uid in uids])
        return uids

    # --- what is seen ---

    def census(self) -> census.Census:
        """Look at the queue now."""
        return census.take(self.store.client)

    def started(self, uid: str, times: int = 1, within: float = PATIENCE) -> Any:
        """Wait for the n-th start of a uid; give it."""
        what = f"start {times} of {uid}"
        return eventually(what, lambda: self.effects.of(uid)[times - 1 : times], within)[0]

    def ended(self, uids: Iterable[str], within: float = PATIENCE) -> None:
        """Wait until each of these has ended once."""
        missing = set(uids)

        def look() -> bool:
            missing.difference_update(self.effects.by_uid("end"))
            return not missing

        eventually("the end of all jobs", look, within)

    def at_rest(self, within: float = 60.0) -> census.Census:
        """Wait until no job is waiting, delayed or active; give that instant."""

        def look() -> census.Census | None:
            seen = self.census()
            return seen if seen.at_rest else None

        try:
            return eventually("a queue at rest", look, within)
        except AssertionError as late:
            raise AssertionError(f"{late}: {self.census()}\n{self.tail()}") from None

    def works_on(self, host: Host | None = None) -> None:
        """Show that new jobs are picked up: by every worker of this host, or by anybody."""
        if host is None:
            self.ended(self.burst("quick", 20))
            return
        # Starts of before do not count: only what the fault left alive has these pids now.
        seen = len(self.effects.all())
        eventually(f"new work on {host.name}", lambda: self._all_work(host, seen))

    def _all_work(self, host: Host, seen: int) -> bool:
        if self.backlog() < 2 * host.workers:  # all that is added has to be done before the account
            self.burst("nap", 2 * host.workers, seconds=0.02)
        pids = {line.pid for line in self.effects.all()[seen:]}
        joined = host.joined()
        return len(joined) == host.workers and pids.issuperset(joined)

    def account(self) -> Account:
        """Compare what was added, what happened, and what Redis says, once all is at rest."""
        seen = self.at_rest()
        assert not (laws := seen.broken_laws()), laws
        starts, ends = self.effects.by_uid("start"), self.effects.by_uid("end")
        completed = set(seen.containers["completed"])
        results = self._results(sorted(completed & self.added))
        wrong = [
            f"{uid}: settled by claim {token}, started by {[s.token for s in starts[uid]]}"
            for uid, token in results.items()
            if token not in {end.token for end in ends[uid]}
            or token != max(start.token for start in starts[uid])
        ]
        unexplained = []
        extra = 0
        for uid, runs in starts.items():
            tokens = [run.token for run in runs]
            if tokens != sorted(set(tokens)):
                wrong.append(f"{uid}: claim numbers do not grow: {tokens}")
            for first, second in itertools.pairwise(runs):
                if uid.startswith("stumbles") and not self._ended_between(first, second, ends[uid]):
                    continue  # it failed, as asked; at most once, see the app
                extra += 1
                if not self.faults.explains(first, second):
                    unexplained.append(f"{uid}: {first} then {second}")
        return Account(
            added=len(self.added),
            completed=len(completed),
            lost=sorted(self.added - completed),
            settled_wrongly=wrong,
            unexplained=unexplained,
            extra_starts=extra,
        )

    @staticmethod
    def _ended_between(first: Any, second: Any, ends: list[Any]) -> bool:
        return any(first.at <= end.at <= second.at for end in ends)

    def _results(self, uids: list[str]) -> dict[str, int]:
        pipe = self.store.client.pipeline(transaction=False)
        for uid in uids:
            pipe.hget(f"jobd:{{q}}:job:{uid}", "result")
        found = pipe.execute()
        return {uid: int(raw or 0) for uid, raw in zip(uids, found, strict=True)}

    def infos(self, uids: Iterable[str]) -> dict[str, dict[str, int]]:
        """The counters of these jobs' records."""
        names = ("crashes", "lost", "failed", "timeouts", "interrupted")
        line = sorted(uids)
        pipe = self.store.client.pipeline(transaction=False)
        for uid in line:
            pipe.hmget(f"jobd:{{q}}:job:{uid}", names)
        found = pipe.execute()
        return {
            uid: {name: int(raw or 0) for name, raw in zip(names, values, strict=True)}
            for uid, values in zip(line, found, strict=True)
        }

    def tail(self) -> str:
        """The end of each host's log, for a failure's message."""
        return "\n".join(f"--- {h.name}\n{h.daemon.text()[-3000:]}" for h in self.hosts)

    @contextmanager
    def load(self, *kinds: tuple[str, dict[str, Any]], every: float, size: int) -> Iterator[None]:
        """Add a burst of `size` jobs of all these kinds in turn, again and again."""
        with ThreadPoolExecutor(1) as pool:
            running = [True]

            def produce() -> None:
                turn = itertools.cycle(kinds)
                while running[0]:
                    if self.backlog() > MOST_WAITING:
                        time.sleep(every)
                        continue
                    chosen = [next(turn) for _ in range(size)]
                    self.add_many([(t, {"uid": self.uid(t), **args}) for t, args in chosen])
                    time.sleep(every)

            producing = pool.submit(produce)
            try:
                yield
            finally:
                running[0] = False
                producing.result()

    def backlog(self) -> int:
        """How many jobs wait."""
        try:
            return int(self.store.client.zcard("jobd:{q}:waiting"))
        except redis.exceptions.RedisError:
            return 0  # adding tries until the server is back

    def end(self) -> None:
        """Leave nothing behind."""
        for host in self.hosts:
            host.end()
        self.store.end()
