"""Many hosts, whose clocks are wrong, fire the same schedules while they are killed at the ticks."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from support.daemons import eventually, kill
from support.records import records

from chaos.conftest import PROGRAM
from chaos.effects import Effects
from chaos.hosts import Host
from chaos.report import percentile
from chaos.stores import DURABLE, Store
from chaos.world import World
from jobd.broker.schedules import ScheduleStore
from jobd.broker.store import store_ms
from jobd.core.schedule import Declared, read_schedule

LONG = (pytest.mark.chaos, pytest.mark.timeout(900))
pytestmark = pytest.mark.process

SKEWS = (30.0, -30.0, 0.0, 20.0, -10.0)  # seconds, told apart to the nearest ten

# What the code declares. Its argument says which schedule it was.
IN_CODE = """
@q.task()
def tick(job: Job, name: str) -> int:
    effect("start", job.id, job)
    return job.token

for number in range({count}):
    span = ("1s", "2s", "2s", "5s")[number % 4]
    q.every(span, name=f"code-{{number}}", args={{"name": f"code-{{number}}"}})(tick)
"""
PERIODS = (1000, 2000, 2000, 5000)


@pytest.fixture
def durable(tmp_path: Path) -> Iterator[World]:
    """A world whose store keeps what it acknowledged, also when it is killed."""
    store = Store(PROGRAM, tmp_path, *DURABLE)
    made = World(tmp_path, store, store.url, Effects(tmp_path / "effects"))
    yield made
    made.end()


def in_file(count: int) -> list[Declared]:
    """What every host's file declares: by the minute, by the second minute, by two seconds."""
    timings = (
        {"cron": "* * * * *"},
        {"cron": "*/2 * * * *", "tz": "Australia/Lord_Howe"},
        {"every": "2s"},
    )
    return [
        Declared(
            "q",
            read_schedule(
                f"file-{number}", "tick", args=f'{{"name":"file-{number}"}}', **timings[number % 3]
            ),
        )
        for number in range(count)
    ]


def period_of(name: str) -> int:
    """Give in ms how often a schedule of this world fires, at whole multiples since 1970."""
    kind, _, number = name.partition("-")
    if kind == "file":
        return (60_000, 120_000, 2000)[int(number) % 3]
    return PERIODS[int(number) % 4]


def at_a_tick(world: World) -> None:
    """Wait until Redis' clock is some ms before or behind a whole second."""
    left = 1.0 - time.time() % 1.0 + random.uniform(-0.03, 0.12)
    time.sleep(left % 1.0)


def hurt(world: World, host: Host, turn: int) -> str:
    """Do one thing to one host, or to the store; give its name."""
    since = time.monotonic()
    if turn % 12 == 7:
        world.store.kill()
        world.store.start()
        world.faults.note("redis", since=since)
        return "redis"
    if turn % 4 == 3:
        pids = host.kill()
        world.faults.note("host", *pids, since=since)
        host.daemon.start()
        return "host"
    if host.has("keeper"):
        kill(host.helper("keeper"))
        return "keeper"
    return "none"


def is_ahead(host: Host) -> float:
    """By how many seconds a host's clock is ahead: what its last word says, and when it was said."""
    log = host.daemon.log
    while True:
        written = log.stat().st_mtime
        last = records(log)[-1]
        if log.stat().st_mtime == written:  # nothing was written meanwhile
            return datetime.fromisoformat(last["ts"]).timestamp() - written


def slots_by_name(world: World) -> dict[str, list[tuple[int, int]]]:
    """Read every job of a schedule: its slot, and when it was added; by the schedule."""
    found: dict[str, list[tuple[int, int]]] = {}
    client = world.store.client
    ids = [raw.decode().partition(":job:")[2] for raw in client.scan_iter("jobd:{q}:job:*", 5000)]
    pipe = client.pipeline(transaction=False)
    for job in ids:
        pipe.hget(f"jobd:{{q}}:job:{job}", "at")
    for job, at in zip(ids, pipe.execute(), strict=True):
        name, _, slot = job.partition(":")
        instant = round(datetime.fromisoformat(slot).timestamp() * 1000)
        found.setdefault(name, []).append((instant, int(at)))
    return found


@pytest.mark.parametrize(
    ("hosts", "schedules", "turns"), [(2, 24, 5), pytest.param(5, 200, 60, marks=LONG)]
)
def test_each_slot_is_one_job_whoever_dies_at_the_tick(
    durable: World, report: Callable[..., bool], hosts: int, schedules: int, turns: int
) -> None:
    """Keepers, hosts and the store are killed around whole seconds; each host's clock is wrong."""
    world = durable
    by_hand, by_file = schedules // 10, schedules * 3 // 10
    more = IN_CODE.format(count=schedules - by_hand - by_file)
    fleet = [
        world.host(
            f"host-{n}", workers=1, lease=3.0, more=more, schedules=in_file(by_file), skew=SKEWS[n]
        )
        for n in range(hosts)
    ]
    for number in range(by_hand):
        name = f"hand-{number}"
        span = f"{PERIODS[number % 4]}ms"
        assert world.queue.schedules.put(name, "tick", {"name": name}, every=span) == "created"
    store = ScheduleStore(world.store.client, "jobd", "q")
    eventually("all are declared", lambda: len(store.mentions()) == schedules)
    began = store_ms(world.store.client)
    done: Counter[str] = Counter()
    for turn in range(turns):
        at_a_tick(world)
        done[hurt(world, fleet[turn % hosts], turn)] += 1
    for host in fleet:
        host.up()
    until = store_ms(world.store.client)
    eventually(
        "all that has come was fired",
        lambda: all((each.next_at or 0) > until for each in store.all()),
    )
    infos = store.all()
    for info in infos:
        store.pause(info.name)
    world.at_rest(within=120)

    found, expected, late, wrong = slots_by_name(world), 0, [], []
    assert len(infos) == schedules
    for info in infos:
        created = int(world.store.client.hget(f"jobd:{{q}}:schedule:{info.name}", "created_at"))
        period = period_of(info.name)
        want = list(range((created // period + 1) * period, until + 1, period))
        got = sorted(slot for slot, _ in found.get(info.name, []) if slot <= until)
        expected += len(want)
        late += [at - slot for slot, at in found.get(info.name, []) if began < slot <= until]
        if got != want:
            wrong.append((info.name, set(want) ^ set(got)))
    fired = {info.name: info.fired for info in store.all()}
    twice = {name: n for name, n in fired.items() if n != len(found.get(name, []))}
    starts = world.effects.by_uid("start")
    assert [round(is_ahead(host), -1) for host in fleet] == [round(by, -1) for by in SKEWS[:hosts]]
    missed = sum(info.missed_slots for info in store.all())

    assert not wrong, (len(wrong), wrong[:5], world.tail())
    assert not twice
    assert not missed
    assert len(starts) == sum(map(len, found.values())), "each job has run"
    killed = ", ".join(f"{n} x {what}" for what, n in sorted(done.items()))
    report(
        f"{hosts} daemons with clocks up to 30 s wrong, {schedules} schedules, kills at ticks",
        bar="each slot exactly one job",
        figures=f"{len(wrong)} schedules with a slot lost or twice; {killed} killed in "
        f"{(until - began) / 1000:.0f} s; added after the slot p50 {percentile(late, 0.5):.0f} ms, p99 "
        f"{percentile(late, 0.99):.0f} ms, max {max(late):.0f} ms",
        n=expected,
    )
