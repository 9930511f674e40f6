"""The primary is killed, stopped or told to go, again and again, under a daemon at full load.

Jobs count as safe once both replicas have said that they have them (WAIT); every one of those must be
completed in the end. What was acknowledged by the primary alone may go with it: that is Redis', and
is counted.
"""

from __future__ import annotations

import itertools
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.daemons import Daemon, eventually
from support.sentinels import SERVICE, Service, program, service

from chaos import census
from chaos.effects import Effects
from chaos.report import percentile
from jobd.broker.commands import QueueCommands
from jobd.broker.connection import connect
from jobd.broker.link import Link
from jobd.broker.new_job import NewJob
from jobd.broker.store import register_queues
from jobd.core.config import QueueConfig
from jobd.core.errors import BrokerError
from jobd.core.processes import exactly

pytestmark = [
    pytest.mark.process,
    pytest.mark.chaos,
    pytest.mark.timeout(900),
    pytest.mark.skipif(program() is None, reason="no server here that can be a sentinel"),
]

WORKERS = 4
BATCH = 200
MOST_WAITING = 5000
BOUND = 2.0  # of a producer's call
SOON = 5.0
APP = """
app = Jobd()
q = app.queue("q", attempts=5, max_crashes=50,
              retain={"completed": {"age": "24h", "count": 10_000_000}})

@q.task()
def brief(job: Job, uid: str) -> None:
    effect("start", uid, job)
    time.sleep(0.002)
    effect("end", uid, job)
"""


_CLAIM = "return tonumber(redis.call('HGET', 'jobd:{q}:meta', 'claim') or 0)"
_NEW_CLAIMS = """
local found = {}
for _, name in ipairs(redis.call('ZRANGE', 'jobd:{q}:leases', 0, -1)) do
  for _, entry in ipairs(redis.call('HVALS', 'jobd:{q}:held:' .. name)) do
    if tonumber(string.match(entry, '^%d+')) > tonumber(ARGV[1]) then found[#found + 1] = name break end
  end
end
return found
"""
_ON_ITS_WAY = """
local n = redis.call('ZCARD', 'jobd:{q}:waiting') + redis.call('ZCARD', 'jobd:{q}:delayed')
for _, name in ipairs(redis.call('ZRANGE', 'jobd:{q}:leases', 0, -1)) do
  n = n + redis.call('HLEN', 'jobd:{q}:held:' .. name)
end
return n
"""


class Feeder:
    """Adds without end, and keeps apart what both replicas have and what only the primary said."""

    def __init__(self, url: str) -> None:
        self.safe: set[str] = set()
        self.doubtful: set[str] = set()
        self.unknown: set[str] = set()
        self.looks = self.idle = 0
        self.longest = 0.0
        self.errors: Counter[str] = Counter()
        self._url = url
        self._stop = threading.Event()
        self._commands = QueueCommands("jobd", "q")
        self._thread = threading.Thread(target=self._run, name="feeder")

    def __enter__(self) -> Feeder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        client = connect(self._url, timeout=BOUND)
        numbers = itertools.count()
        link: Link | None = None
        while not self._stop.is_set():
            began = time.monotonic()
            ids = [f"u-{next(numbers)}" for _ in range(BATCH)]
            try:
                link = link or self._open(client)
                [waiting] = link.roundtrip([["ZCARD", self._commands.keys.waiting]])
                self.looks += 1
                self.idle += waiting == 0
                if waiting > MOST_WAITING:
                    self._stop.wait(0.05)
                    continue
                jobs = [
                    NewJob(id=each, task="brief", args=b'{"uid":"%s"}' % each.encode())
                    for each in ids
                ]
                adds = [
                    self._commands.as_known(each)
                    for each in self._commands.add_bites(jobs, fresh=True)
                ]
                began = time.monotonic()
                *_, replicas = link.roundtrip([*adds, ["WAIT", 2, 500]])
                (self.safe if replicas >= 2 else self.doubtful).update(ids)
            except BrokerError as error:
                self.unknown.update(ids)
                self.errors[type(error).__name__] += 1
                if link is not None:
                    link.close()
                link = None
                self._stop.wait(0.05)
            self.longest = max(self.longest, time.monotonic() - began)

    def _open(self, client: object) -> Link:
        register_queues(client, "jobd", ["q"])  # type: ignore[arg-type]
        return Link(client)  # type: ignore[arg-type]


@pytest.fixture
def trio(tmp_path: Path) -> Iterator[Service]:
    with service(tmp_path) as made:
        yield made


def depose(trio: Service, how: str) -> tuple[int, float]:
    """Take the primary away; give the new one and when it was promoted."""
    old = trio.primary()
    if how == "SIGKILL":
        trio.kill(old)
    elif how == "SIGSTOP":
        trio.processes[old].send_signal(signal.SIGSTOP)
    else:
        eventually(
            "a failover that is allowed",
            lambda: trio.ask(trio.sentinel_ports[0], "SENTINEL", "FAILOVER", SERVICE) is not None,
        )
    return trio.promoted(old)


def heal(trio: Service, old: int, new: int, how: str) -> None:
    """Bring the old one back, as a replica."""
    if how == "SIGKILL":
        trio.start_server(old, of=new)
    elif how == "SIGSTOP":
        trio.processes[old].send_signal(signal.SIGCONT)
    trio.settle(within=60)


@pytest.mark.parametrize(("concurrency", "rounds"), [(1, 4), (4, 1)])
def test_failover_under_load(
    trio: Service, tmp_path: Path, report: Callable[..., bool], concurrency: int, rounds: int
) -> None:
    """Resumed within 5 s of the promotion; what the replicas had is completed, all of it."""
    effects = Effects(tmp_path / "effects")
    daemon = Daemon(
        tmp_path, trio.url, effects.prelude("h") + APP,
        queues={"q": QueueConfig(processes=exactly(WORKERS), concurrency=concurrency)},
    )  # fmt: skip
    resumed: dict[str, list[float]] = {"SIGKILL": [], "SIGSTOP": [], "SENTINEL FAILOVER": []}
    try:
        daemon.running(WORKERS)
        pids = {slot.pid for slot in daemon.slots()}
        with Feeder(trio.url) as feeder:
            for how in list(resumed) * rounds:
                busy(effects, pids)
                old = trio.primary()
                new, promoted_at = depose(trio, how)
                resumed[how] += resumed_after(trio, new, promoted_at)
                heal(trio, old, new, how)
        seen = rest(trio, daemon)
        assert {slot.pid for slot in daemon.slots()} == pids, "somebody was killed or ended"
    finally:
        daemon.end()
    completed = set(seen.containers["completed"])
    lost = feeder.safe - completed
    ended = set(effects.by_uid("end"))
    gone = len(feeder.doubtful - completed)
    waited = [each for some in resumed.values() for each in some]
    report(
        f"failover under load, {WORKERS} workers of {concurrency}",
        bar="all claim within 5 s of the promotion, nothing lost that both replicas had",
        figures=(
            f"{len(lost)} of {len(feeder.safe)} safe lost, {gone} of {len(feeder.doubtful)} that the "
            f"primary alone had gone with it, {len(feeder.unknown)} unacknowledged; "
            f"the queue was empty at {feeder.idle} of {feeder.looks} looks; longest producer call {feeder.longest:.2f} s, errors {dict(feeder.errors)}; "
            + "; ".join(
                f"{how}: p50 {percentile(some, 0.5):.2f} max {max(some):.2f} s ({len(some)})"
                for how, some in resumed.items()
            )
        ),
        n=3 * rounds,
    )
    assert not lost
    assert feeder.safe <= ended
    assert not seen.broken_laws()
    assert max(waited) <= SOON
    assert feeder.longest <= 2 * BOUND + 0.5  # looking, and adding
    assert set(feeder.errors) <= {"BrokerUnavailable"}


def busy(effects: Effects, pids: set[int | None]) -> None:
    """Wait until every worker is seen to begin jobs."""
    seen = len(effects.all())
    found: set[int] = set()

    def look() -> bool:
        found.update(line.pid for line in effects.all()[seen:])
        return pids <= found

    eventually(f"new work of {pids}", look, within=30)


def resumed_after(trio: Service, new: int, promoted_at: float) -> list[float]:
    """Wait until every worker holds jobs it claimed of the new primary; give the seconds it took each."""
    floor = int(str(trio.ask(new, "EVAL", _CLAIM, 0)))
    first: dict[bytes, float] = {}

    def look() -> bool:
        names = trio.ask(new, "EVAL", _NEW_CLAIMS, 0, floor)
        for name in names if isinstance(names, list) else []:
            first.setdefault(name, time.monotonic() - promoted_at)
        return len(first) >= WORKERS

    eventually(f"new claims of {WORKERS} workers", look, within=30)
    return list(first.values())


def rest(trio: Service, daemon: Daemon) -> census.Census:
    """Wait until nothing is on its way; give that instant."""
    primary = trio.primary()
    try:
        eventually(
            "a queue at rest", lambda: trio.ask(primary, "EVAL", _ON_ITS_WAY, 0) == 0, within=120
        )
    except AssertionError as late:
        raise AssertionError(f"{late}\n{daemon.text()[-4000:]}") from None
    client = connect(f"redis://127.0.0.1:{primary}/0", timeout=60)
    try:
        return census.take(client)
    finally:
        client.close()
