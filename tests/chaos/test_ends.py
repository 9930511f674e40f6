"""The daemon is told to end, or is killed, at any moment: it does, and nothing and nobody is left."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.daemons import Daemon, eventually, gone
from support.leavings import SOURCE

from chaos import census
from chaos.hosts import Host
from chaos.report import percentile
from chaos.world import World
from jobd import Jobd
from jobd.broker.connection import connect
from jobd.core.config import QueueConfig
from jobd.seams.mark import Mark

pytestmark = pytest.mark.process
LONG = (pytest.mark.chaos, pytest.mark.timeout(1800))

DRAIN = 3.0
WORKERS = 3
# Something that comes between a job and its record, or that ends it: it may run again.
REPEATS = ("store frozen", "job that lasts", "second TERM")


class Moments:
    """The moments at which TERM comes: each brings the host into it, and gives what to undo."""

    def __init__(self, world: World, host: Host, rng: random.Random) -> None:
        self.world = world
        self.host = host
        self.rng = rng
        self.number = 0
        self.all: dict[str, Callable[[], None]] = {
            "at start": self.starting,
            "under load": self.loaded,
            "all workers busy": self.busy,
            "fork orders open": self.forking,
            "second TERM": self.twice,
            "store frozen": self.away,
            "keeper killed": lambda: self.helper("keeper", signal.SIGKILL),
            "keeper frozen": lambda: self.helper("keeper", signal.SIGSTOP),
            "preloader killed": lambda: self.helper("preloader", signal.SIGKILL),
            "preloader frozen": lambda: self.helper("preloader", signal.SIGSTOP),
            "during a reload": self.reloading,
            "job that lasts": self.lasting,
        }

    def pause(self, most: float) -> None:
        time.sleep(self.rng.uniform(0, most))

    def starting(self) -> None:
        since = time.monotonic()
        self.world.faults.note("host", *self.host.kill(), since=since)
        self.host.daemon.start()
        eventually("it listens", lambda: _listens(self.host.daemon.process.pid))
        self.pause(1.5)

    def loaded(self) -> None:
        self.pause(0.5)

    def busy(self) -> None:
        uids = self.world.burst("nap", 2 * WORKERS, seconds=0.5)
        eventually("all are busy", lambda: sum(u in self._begun() for u in uids) >= WORKERS)
        self.pause(0.1)

    def _begun(self) -> set[str]:
        return set(self.world.effects.by_uid("start"))

    def forking(self) -> None:
        """Those that run nothing are killed: who has a job would be charged with a crash. They are
        looked at when they stand still, since one could begin a job between a look and its end."""
        for pid in self.host.worker_pids():
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):  # it has just ended
                os.kill(pid, signal.SIGSTOP)
                eventually("it stands still", lambda p=pid: _stands_still(p))
                runs = any(view.pid == pid and view.claimed for view in self.host._pages())
                os.kill(pid, signal.SIGCONT if runs else signal.SIGKILL)
        self.pause(0.03)

    def twice(self) -> None:
        self.world.burst("nap", WORKERS, seconds=2)
        self.pause(0.2)
        self.host.daemon.signal(signal.SIGTERM)
        self.pause(0.1)

    def away(self) -> None:
        self.world.store.freeze()
        self.pause(0.3)

    def helper(self, role: str, number: int) -> None:
        eventually(f"a {role}", lambda: self.host.has(role))
        os.kill(self.host.helper(role), number)
        self.pause(0.1)

    def reloading(self) -> None:
        self.number += 1
        path = self.host.daemon.top / "shopjobs.py"
        path.write_text(path.read_text() + f"\nCHANGE = {self.number}\n")
        self.host.daemon.signal(signal.SIGHUP)
        self.pause(1.5)

    def lasting(self) -> None:
        self.world.started(self.world.add("victim"))


def _up(host: Host, when: list[tuple[float, str]]) -> None:
    try:
        host.up()
    except AssertionError as late:
        raise AssertionError(f"{late}, after {when[-2:]}\n{host.daemon.text()[-5000:]}") from None


def _stands_still(pid: int) -> bool:
    return "\nState:\tT" in Path(f"/proc/{pid}/status").read_text()


def _listens(pid: int) -> bool:
    text = Path(f"/proc/{pid}/status").read_text()
    [caught] = [line.split()[1] for line in text.splitlines() if line.startswith("SigCgt")]
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize(("turns", "quick"), [(3, True), pytest.param(100, False, marks=LONG)])
def test_a_stop_at_any_moment_ends_in_time_and_costs_nobody_anything(
    world: World, report: Callable[..., bool], turns: int, quick: bool
) -> None:
    """Nothing is lost, no attempt is charged, nobody is left; twice runs only who was cut off."""
    rng = random.Random(turns)
    host = world.host("a", workers=WORKERS, lease=30, drain=DRAIN).up()
    moments = Moments(world, host, rng)
    kinds = ("all workers busy", "fork orders open", "during a reload") if quick else moments.all
    took: dict[str, list[float]] = {}
    when: list[tuple[float, str]] = []
    codes, left = [], []
    with census.watching(world.store.url) as watch:
        for kind in itertools.islice(itertools.cycle(kinds), turns):
            _up(host, when)
            mark = Mark(host.daemon.nonce())
            with world.load(("nap", {"seconds": 0.01}), ("quick", {}), every=0.02, size=4):
                since = time.monotonic()
                moments.all[kind]()
                pids = host.worker_pids()
                told = time.monotonic()
                when.append((told, kind))
                host.daemon.signal(signal.SIGTERM)
                codes.append(host.daemon.wait())
                took.setdefault(kind, []).append(time.monotonic() - told)
                if kind in REPEATS:
                    world.faults.note(kind, *pids, since=since)
                left += [pid for pid in mark.wearers() if not gone(pid)]
                world.store.thaw()
            host.daemon.start()
    world.works_on(host)
    account = world.account()
    records = world.infos(world.added)
    charged = [u for u, i in records.items() if i["failed"] or i["crashes"] or i["timeouts"]]
    every = [span for spans in took.values() for span in spans]
    worst = max(took, key=lambda kind: max(took[kind]))

    print({kind: [round(span, 2) for span in spans] for kind, spans in took.items()})
    assert not account.unexplained, (account.unexplained, when)
    account.require_clean()
    assert not watch.wrong
    assert (set(codes), left, charged) == ({0}, [], [])
    if report(
        f"TERM at a random moment, drain_timeout {DRAIN:g} s",
        bar="exit within drain_timeout + 2 s, 0 lost, 0 attempts charged, 0 processes left",
        figures=f"exit p50 {percentile(every, 0.5):.2f} s, max {max(every):.2f} s ({worst}); "
        f"{account}; {sum(i['interrupted'] for i in records.values())} interruptions, 0 charged",
        n=turns,
    ):
        # A machine that does other things too may be late; that it ends at all is seen above.
        assert max(every) <= DRAIN + 2, took


@pytest.fixture
def daemon(tmp_path: Path, redis_url: str) -> Iterator[Daemon]:
    made = Daemon(tmp_path, redis_url, SOURCE, queues={"q": QueueConfig(processes=3)})
    yield made
    made.end()


@pytest.mark.parametrize("turns", [2, pytest.param(50, marks=LONG)])
def test_a_killed_supervisor_leaves_nothing_at_any_moment(
    daemon: Daemon, redis_url: str, tmp_path: Path, report: Callable[..., bool], turns: int
) -> None:
    """While tasks start pools, programs and daemons, while workers crash, while others are born."""
    rng = random.Random(turns)
    queue = Jobd(redis_url).queue("q")
    spans, seen = [], 0
    for turn in range(turns):
        daemon.running(3)
        mark = Mark(daemon.nonce())
        path = tmp_path / f"pids-{turn}"
        for _ in range(6):
            how = rng.choice(("return", "crash", "wait"))
            queue.add("leave", {"path": str(path), "how": how})
        eventually("something is left", path.exists)
        time.sleep(rng.uniform(0, 1.0))
        alive = len([pid for pid in mark.wearers() if not gone(pid)])
        daemon.process.kill()
        since = time.monotonic()
        daemon.process.wait()
        eventually("nothing is left", lambda m=mark: not any(not gone(p) for p in m.wearers()))
        spans.append(time.monotonic() - since)
        noted = {int(word) for word in path.read_text().split()}
        assert not [pid for pid in noted if not gone(pid)], "it had taken off its mark"
        seen += alive
        with contextlib.closing(connect(redis_url)) as client:
            client.flushall()
        daemon.start()
    report(
        "supervisor SIGKILLed while tasks leave pools, programs and daemons",
        bar="nothing is left",
        figures=f"{seen} processes below it in all; none left after p50 "
        f"{percentile(spans, 0.5) * 1000:.0f} ms, max {max(spans) * 1000:.0f} ms",
        n=turns,
    )
