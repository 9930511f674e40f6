"""`/metrics` beside the truth, after everything that can happen to jobs, workers and hosts."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.daemons import eventually
from support.expositions import Exposition, Series
from support.records import records

from chaos import truth
from chaos.effects import Effects, gate
from chaos.hosts import Host
from chaos.report import percentile
from chaos.world import World
from jobd import Jobd
from jobd.broker.connection import connect
from jobd.web.metrics import Metrics

LONG = (pytest.mark.chaos, pytest.mark.timeout(3600))
pytestmark = pytest.mark.process

LEASE = 2.0
WORKERS = 3
SCRAPE_WAITS = 1.0
QUEUES = ("q", "r")
BURST = 250
MOST_WAITING = 600
APP = """
from jobd import Discard, Snooze
import signal

r = app.queue("r", attempts=5, max_crashes=50, retain={"completed": {"age": "24h", "count": 1_000_000}})

@r.task()
def small(job: Job, uid: str) -> int:
    effect("start", uid, job)
    effect("end", uid, job)
    return job.token

@q.task(attempts=2)
def fails(job: Job, uid: str) -> None:
    effect("start", uid, job)
    effect("raise", uid, job)
    raise ValueError("as asked")

@q.task()
def gives_up(job: Job, uid: str) -> None:
    effect("start", uid, job)
    effect("raise", uid, job)
    raise Discard("as asked")

@q.task()
def sleeps_on(job: Job, uid: str) -> int:
    effect("start", uid, job)
    if first_time(uid):
        raise Snooze("20ms")
    effect("end", uid, job)
    return job.token

@q.task(attempts=2, timeout="500ms")
def hangs(job: Job, uid: str) -> None:
    effect("start", uid, job)
    time.sleep(600)

@q.task(timeout="500ms")
def hangs_once(job: Job, uid: str) -> int:
    effect("start", uid, job)
    if first_time(uid):
        time.sleep(600)
    effect("end", uid, job)
    return job.token

@q.task(max_crashes=2)
def kills(job: Job, uid: str) -> None:
    effect("start", uid, job)
    os.kill(os.getpid(), signal.SIGKILL)

@q.task()
def waits(job: Job, uid: str) -> None:
    effect("start", uid, job)
    while not job.cancelled:
        time.sleep(0.005)

@q.task()
def later(job: Job, uid: str) -> None:
    effect("start", uid, job)
"""
# One burst: so many of a task. Most are plain, as in life.
MIX = {"quick": 215, "nap": 10, "stumbles": 6, "sleeps_on": 4, "fails": 3, "gives_up": 2}
RARE = ("hangs", "hangs_once", "kills")
OF_R = BURST - sum(MIX.values()) - 1


# --- samples while it happens ---


@dataclass
class Watch:
    """What was scraped. `fell` are counters that went down, `wrong` laws that were broken."""

    samples: int = 0
    without_redis: int = 0
    fell: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    spans: list[float] = field(default_factory=list)


@contextmanager
def scraping(metrics: dict[str, Metrics], every: float = 0.2) -> Iterator[Watch]:
    """Scrape each host again and again. What is of all hosts is compared over all of them."""
    watch, ended = Watch(), threading.Event()
    last: dict[tuple[str, Series], float] = {}

    def scrape(host: str, one: Metrics) -> None:
        began = time.monotonic()
        found = Exposition(one.exposition())
        watch.spans.append(time.monotonic() - began)
        watch.samples += 1
        watch.without_redis += found.value("jobd_redis_up") == 0
        watch.wrong += found.broken_laws()
        for series, value in found.counters().items():
            shared = "same on all hosts" in found.helps.get(series[0], "same on all hosts").lower()
            key = ("" if shared else host, series)
            if value < last.get(key, 0):
                watch.fell.append(f"{key}: {last[key]} then {value}")
            last[key] = value

    def work() -> None:
        while not ended.wait(every):
            for host, one in metrics.items():
                scrape(host, one)

    thread = threading.Thread(target=work, name="scrapes")
    thread.start()
    try:
        yield watch
    finally:
        ended.set()
        thread.join()


# --- what happens ---


class Chaos:
    """Two hosts, the jobs they are given, and what is done to them."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self.world = world
        self.rng = rng
        self.app = Jobd(world.url)
        self.r = self.app.queue("r")
        self.a = self.host("a", concurrency=1)
        self.b = self.host("b", concurrency=2)
        self.added = 0
        self.added_to_r: set[str] = set()
        self.purged: Counter[str] = Counter()
        self.closed: set[str] = set()
        self.gone = 0
        self.done: Counter[str] = Counter()
        self.rare = itertools.cycle(RARE)

    def host(self, name: str, concurrency: int) -> Host:
        return self.world.host(
            name, workers=WORKERS, lease=LEASE, drain=5.0, more=APP, max_jobs=700,
            concurrency=concurrency,
        )  # fmt: skip

    def up(self, host: Host) -> None:
        """Every worker of `q`, and the one of `r`."""
        eventually(f"{host.name} is up", lambda: len(host.joined()) >= WORKERS + 1, within=60)

    # --- jobs ---

    def burst(self) -> None:
        world = self.world
        jobs = [(task, world.uid(task)) for task, n in MIX.items() for _ in range(n)]
        rare = next(self.rare)
        jobs.append((rare, world.uid(rare)))
        world.add_many(
            [(t, {"uid": uid} | ({"seconds": 0.005} if t == "nap" else {})) for t, uid in jobs]
        )
        mine = [world.uid("small") for _ in range(OF_R)]
        self.r.add_many([("small", {"uid": uid}, {"job_id": uid}) for uid in mine])
        self.added_to_r |= set(mine)
        self.added += BURST

    def wants_more(self) -> bool:
        counts = (self.world.store.client.zcard(f"jobd:{{{q}}}:waiting") for q in QUEUES)
        return sum(counts) < MOST_WAITING

    # --- faults ---

    def kill_worker(self) -> None:
        host = self.rng.choice((self.a, self.b))
        if pids := host.worker_pids():
            with contextlib.suppress(ProcessLookupError):  # it was its last job
                os.kill(self.rng.choice(pids), signal.SIGKILL)

    def kill_victims_worker(self) -> None:
        uid = self.world.add("victim")
        os.kill(self.world.started(uid, within=60).pid, signal.SIGKILL)

    def kill_keeper(self) -> None:
        eventually("a keeper", lambda: self.a.has("keeper"))
        os.kill(self.a.helper("keeper"), signal.SIGKILL)

    def restart(self) -> None:
        self.a.daemon.signal(signal.SIGTERM)
        self.a.daemon.wait(30)
        self.a.daemon.start()
        self.up(self.a)

    def reload(self) -> None:
        path = self.a.daemon.top / "shopjobs.py"
        path.write_text(path.read_text() + f"\nCHANGE = {self.done['reload']}\n")
        self.a.daemon.signal(signal.SIGHUP)

    def holds(self, host: Host) -> Path:
        """Jobs that end elsewhere, and not here; give what lets them end here too: it comes back."""
        self.up(host)
        uids: list[str] = []
        opens = self.world.directory / f"go-{len(self.world.added)}"

        def look() -> bool:
            uids.append(self.world.add("gated", host=host.name, gate=opens.name))
            return any(
                line.host == host.name for uid in uids for line in self.world.effects.of(uid)
            )

        eventually(f"{host.name} holds a job", look, within=60)
        return opens

    def kill_host(self) -> None:
        opens = self.holds(self.b)
        self.b.kill()
        gate(opens)
        self.b.daemon.start()

    def lose_host(self) -> None:
        """Its leases end, and the other host takes back what it held."""
        opens = self.holds(self.b)
        nonce = self.b.daemon.nonce()
        self.b.kill()
        gate(opens)
        left = self.leases(nonce)
        self.gone += sum(score > 0 for score in left.values())
        self.closed |= {name for name, score in left.items() if score == 0}
        eventually("they are reaped", lambda: not self.leases(nonce), within=60)
        self.b.daemon.start()

    def leases(self, nonce: str) -> dict[str, float]:
        found: dict[str, float] = {}
        for queue in QUEUES:
            rows = self.world.store.client.zrange(
                f"jobd:{{{queue}}}:leases", 0, -1, withscores=True
            )
            found |= {name.decode(): score for name, score in rows}
        return {name: score for name, score in found.items() if name.startswith(nonce)}

    def freeze_store(self) -> None:
        """For longer than a scrape waits."""
        self.world.store.freeze()
        time.sleep(SCRAPE_WAITS * 1.5)
        self.world.store.thaw()

    def operate(self) -> None:
        """Cancel what runs and what waits, throw some of it away, have dead ones run again."""
        world, store = self.world, self.app.producer.store("q")
        running, doomed = world.add("waits"), world.add("waits")
        world.started(running, within=60)
        pid = world.started(doomed, within=60).pid
        idle = [world.uid("later") for _ in range(6)]
        world.queue.add_many([("later", {"uid": u}, {"job_id": u, "delay": "1h"}) for u in idle])
        world.added |= set(idle)
        store.cancel([running, doomed, *idle])
        with contextlib.suppress(
            ProcessLookupError
        ):  # it was told first, and was its worker's last
            os.kill(pid, signal.SIGKILL)
        gone = [
            u
            for u, w in zip(idle, store.purge("cancelled", idle[:3]), strict=False)
            if w == "purged"
        ]
        self.purged["later"] += len(gone)
        world.added -= set(gone)
        dead = world.store.client.zrange("jobd:{q}:dead", 0, 4)
        store.retry([raw.decode() for raw in dead if raw.startswith((b"gives_up", b"fails"))])

    def rest(self, within: float) -> None:
        views = self.app.producer.views()

        def look() -> bool:
            counts = [views.counts(queue) for queue in QUEUES]
            return not any(n[s] for n in counts for s in ("waiting", "delayed", "active"))

        try:
            eventually("both queues at rest", look, within)
        except AssertionError as late:
            counts = [views.counts(queue) for queue in QUEUES]
            raise AssertionError(f"{late}: {counts}\n{self.world.tail()}") from None


QUICK = ("kill_worker", "operate", "kill_keeper", "kill_victims_worker", "restart", "lose_host")
FAULTS = (
    "kill_worker", "operate", "kill_worker", "kill_keeper", "kill_worker", "kill_victims_worker",
    "restart", "kill_worker", "kill_host", "freeze_store", "kill_worker", "reload", "lose_host",
)  # fmt: skip


@pytest.mark.parametrize(
    ("jobs", "faults"), [(2_000, QUICK), pytest.param(100_000, FAULTS * 4, marks=LONG)]
)
def test_metrics_say_what_has_happened(
    world: World, report: Callable[..., bool], jobs: int, faults: tuple[str, ...]
) -> None:
    """Per queue, task and outcome; each run that ended is in each histogram; nothing ever goes down."""
    chaos = Chaos(world, random.Random(jobs))
    clients = [connect(world.url, timeout=SCRAPE_WAITS) for _ in "ab"]
    metrics = {
        host.name: Metrics(client, "jobd", host.daemon.runtime)
        for host, client in zip((chaos.a, chaos.b), clients, strict=True)
    }
    chaos.up(chaos.a)
    chaos.up(chaos.b)
    bursts_a_fault = jobs // BURST // len(faults) + 1
    began = time.monotonic()
    with scraping(metrics) as watch:
        for what in faults:
            for _ in range(bursts_a_fault):
                eventually("room for more", chaos.wants_more, within=120)
                chaos.burst()
            getattr(chaos, what)()
            chaos.done[what] += 1
        chaos.rest(within=120)
    took = time.monotonic() - began
    found = {name: Exposition(one.exposition()) for name, one in metrics.items()}
    for client in clients:
        client.close()

    assert not watch.fell
    assert not watch.wrong
    assert watch.samples >= 2 * len(faults)
    seen = found["a"]
    shared = [
        {s: n for s, n in one.counters().items() if "worker_restarts" not in s[0]}
        for one in found.values()
    ]
    assert shared[0] == shared[1], "what is counted in Redis is the same on every host"

    true = {queue: truth.read(world.store.client, queue) for queue in QUEUES}
    assert set(true["q"].records) == world.added, "nothing is lost"
    assert set(true["r"].records) == chaos.added_to_r
    for task, n in chaos.purged.items():
        true["q"].outcomes[task, "cancelled"] += n
    compare(seen, true)
    agree_with_effects(true, world.effects)

    reaped = {
        line["incarnation"] for host in (chaos.a, chaos.b) for line in host.said("lease.reaped")
    }
    expired = sum(seen.by("jobd_leases_expired_total", "queue").values())
    assert expired == len(reaped - chaos.closed)
    assert expired >= chaos.gone > 0
    assert restarts(seen) == told_by_log(chaos.a)
    outcomes = Counter[str]()
    for one in true.values():
        for (_, outcome), n in one.outcomes.items():
            outcomes[outcome] += n
    report(
        f"/metrics beside the truth, {chaos.added} jobs over chaos",
        bar="equal exactly; no counter ever goes down",
        figures=f"{sum(map(len, (t.records for t in true.values())))} records, "
        f"{dict(+outcomes)}, {sum(t.runs.total() for t in true.values())} runs in each histogram, "
        f"{int(expired)} leases expired, {sum(restarts(seen).values())} exits on the restarted host; "
        f"{watch.samples} scrapes (p50 {percentile(watch.spans, 0.5) * 1000:.0f} ms, "
        f"{watch.without_redis} without Redis), 0 fell; {dict(chaos.done)} in {took:.0f} s",
        n=chaos.added,
    )


def compare(seen: Exposition, true: dict[str, truth.Truth]) -> None:
    """Outcomes, histograms and gauges, each exactly."""
    counted = seen.by("jobd_jobs_total", "queue", "task", "outcome")
    assert {key: n for key, n in counted.items() if n} == {
        (queue, task, outcome): n
        for queue, one in true.items()
        for (task, outcome), n in one.outcomes.items()
        if n
    }
    for name in ("wait", "run", "total"):
        runs = seen.by(f"jobd_job_{name}_seconds_count", "queue", "task")
        assert runs == {
            (queue, task): n for queue, one in true.items() for task, n in one.runs.items() if n
        }, name
    assert seen.by("jobd_queue_jobs", "queue", "state") == {
        (queue, state): one.states[state]
        for queue, one in true.items()
        for state in ("waiting", "delayed", "active", "completed", "dead", "cancelled")
    }
    assert seen.by("jobd_queue_waiting", "queue") == {(queue,): 0 for queue in true}


def agree_with_effects(true: dict[str, truth.Truth], effects: Effects) -> None:
    """What records say of runs is what tasks did: so the truth above is not jobd's word alone."""
    did = {kind: effects.by_uid(kind) for kind in ("start", "end", "raise")}
    tokens = {
        kind: {uid: {line.token for line in lines} for uid, lines in by.items()}
        for kind, by in did.items()
    }
    wrong = []
    for record in (r for one in true.values() for r in one.records.values()):
        started = tokens["start"].get(record.id, set())
        ended = tokens["end"].get(record.id, set())
        raised = tokens["raise"].get(record.id, set())
        if record.state == "completed" and record.result not in ended:
            wrong.append(f"{record.id}: settled by {record.result}, ended by {ended}")
        if record.task in ("fails", "gives_up") and not set(record.settled) <= raised:
            wrong.append(f"{record.id}: failures {record.settled}, raised by {raised}")
        # Not those of crashes: a process may be killed after it has said that it begins, and before.
        known = {*record.settled, *record.tokens("timeout")}
        if not known <= started:
            wrong.append(f"{record.id}: {known - started} never started")
        if record.result is not None and record.result != max(started):
            wrong.append(f"{record.id}: settled by {record.result} of {started}")
    assert not wrong, wrong[:5]


def restarts(seen: Exposition) -> dict[tuple[str, ...], float]:
    """How workers ended: by queue, and whether they were told to."""
    found: Counter[tuple[str, ...]] = Counter()
    for (queue, cause), n in seen.by("jobd_worker_restarts_total", "queue", "cause").items():
        if n:  # what should not happen is shown as 0 before it has
            found[queue, "told" if cause in ("stopped", "recycled") else cause] += int(n)
    return dict(found)


def told_by_log(host: Host) -> dict[tuple[str, ...], float]:
    """The same by the host's log, which goes on over its restarts."""
    found: Counter[tuple[str, ...]] = Counter()
    for told in records(host.daemon.log):
        if told["event"] in ("worker.died", "worker.stopped"):
            found[told["slot"].rpartition(".")[0], told.get("cause", "told")] += 1
    return dict(found)
