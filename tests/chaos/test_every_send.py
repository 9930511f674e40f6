"""A worker dies at each of its sends; the reply to each script is lost."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from functools import partial

import pytest
from support.daemons import eventually

from chaos import census
from chaos.proxy import KillAtSend, Lose, Proxy
from chaos.telling import mute, tell
from chaos.world import World
from jobd import Jobd
from jobd.broker.connection import connect
from jobd.broker.scripts import SCRIPTS
from jobd.broker.store import Store
from jobd.core.errors import BrokerError

# Hints whose loss is a wait, what a scrape or who looks asks again the next time, and what people ask
# over HTTP.
UNASKED = {"wake", "owner", "own_series", "page"}
UNASKED |= {"operation_say", "operation_stop"}
UNASKED |= {"login_try", "login_done", "session_open", "session_look", "session_close"}
UNASKED |= {"web_secret", "host_ask", "host_answer"}
# What each look of an alerter says again.
UNASKED |= {"alert_load"}
# Figures that are copied every quarter of an hour.
UNASKED |= {"remember"}
LONG = (pytest.mark.chaos, pytest.mark.timeout(1200))
pytestmark = pytest.mark.process

# Now and then a quick task overstays, so that the side thread sends something too.
KINDS = (
    ("quick", {}),
    ("mixed", {"seconds": 0.001}),
    ("nap", {"seconds": 0.006}),
    ("quick", {}),
    ("stumbles", {}),
) * 60 + (("mixed", {"seconds": 0.15}),)


@pytest.fixture
def world(behind_proxy: World) -> World:
    return behind_proxy


@pytest.mark.parametrize(
    "sends", [range(1, 200, 20), pytest.param(range(1, 201), marks=LONG)], ids=["10", "200"]
)
def test_a_worker_killed_at_its_nth_send_loses_nothing(
    world: World, proxy: Proxy, report: Callable[..., bool], sends: range
) -> None:
    """For every n, before the send arrives and after: all jobs end, each extra start explained."""
    plan = [(n, when) for n in sends for when in ("before", "after")]
    # Mixed up, since a worker that dies young is replaced ever more slowly.
    random.Random(3).shuffle(plan)
    rule = proxy.rule = KillAtSend(plan, world.faults)
    host = world.host("host", workers=4, lease=5)
    with (
        census.watching(world.store.url, every=0.5) as watch,
        world.load(*KINDS, every=0.015, size=3),
    ):
        eventually("all kills", lambda: rule.done, within=1000)
    world.works_on(host)
    account = world.account()

    account.require_clean()
    assert not watch.wrong
    assert rule.kills == len(plan)
    report(
        f"worker SIGKILLed at its n-th send, n = {sends[0]}..{sends[-1]}, before and after",
        bar="0 lost, 0 settled wrongly",
        figures=f"{account}; {watch.looks} looks",
        n=rule.kills,
    )


@pytest.mark.parametrize("times", [1, pytest.param(10, marks=LONG)])
@pytest.mark.parametrize("what", [pytest.param("request", marks=pytest.mark.chaos), "reply"])
def test_a_lost_request_or_reply_of_any_script_loses_nothing(
    world: World, proxy: Proxy, report: Callable[..., bool], what: str, times: int
) -> None:
    """It never arrived, or it ran and its answer never came: whoever asked repeats it, or looks."""
    rule = proxy.rule = Lose(world.faults)
    # Long enough for a keeper that has no core for a while: the host that is lost has a shorter one.
    host = world.host("host", workers=3, lease=6).up()
    world.queue = Jobd(proxy.url).queue("q")
    provoke: dict[str, Callable[[], None]] = {
        "epoch": lambda: proxy.cut(host.worker_pids()[0]),
        "join": lambda: proxy.cut(host.worker_pids()[0]),
        "SCRIPT": lambda: proxy.cut(host.worker_pids()[0]),
        "release": lambda: kill_one(world),
        "reap": lambda: lose_a_host(world),
        "await": lambda: ask_for_a_result(world),
        "hand_back": lambda: overstay(world),
        "heed": lambda: overstay(world),
        "cancel": lambda: operate(world, "cancel"),
        "reschedule": lambda: operate(world, "run_now"),
        "retry": lambda: operate(world, "retry"),
        "delete": lambda: operate(world, "delete"),
        "purge": lambda: purge(Store(connect(proxy.url), "jobd", "q")),
        "add_once": lambda: add_locked(world),
        "jot": lambda: world.add("tells"),
        "step": lambda: world.add("tells"),
        "pause": lambda: hold(world, "pause"),
        "resume": lambda: hold(world, "resume"),
        "schedule_put": lambda: schedule(world, "put"),
        "schedule_pause": lambda: schedule(world, "pause"),
        "schedule_resume": lambda: schedule(world, "resume"),
        "schedule_remove": lambda: schedule(world, "remove"),
    }
    for verb in ("add", "move", "take", "again", "end"):
        provoke[f"alert_{verb}"] = partial(tell, proxy.url, f"alert_{verb}")
    provoke["alert_mute"] = partial(mute, proxy.url)
    world.queue.schedules.put("ticks", "silent", every="1s")
    with (
        census.watching(world.store.url, every=0.5) as watch,
        world.load(*KINDS, every=0.06, size=4),
    ):
        for name in [*sorted(SCRIPTS.keys() - UNASKED), "BLPOP", "SCRIPT"]:
            for _ in range(times if name != "reap" else min(times, 3)):
                host.up()
                rule.arm(what, name)
                provoked(rule, name, provoke.get(name, lambda: None))
    world.works_on(host)
    account = world.account()

    account.require_clean()
    assert not watch.wrong
    # Where no group's count can be read the kernel's is the whole machine's, with other tests' balloons.
    assert {line["cause"] for line in host.said("worker.died")} <= {"crash", "oom"}
    assert len(host.said("worker.died")) == world.faults.count("kill")
    report(
        f"a lost {what} of each of {len(rule.lost)} scripts and commands",
        bar="0 lost, 0 settled wrongly",
        figures=f"{account}; {watch.looks} looks",
        n=sum(rule.lost.values()),
    )


def provoked(rule: Lose, name: str, provoke: Callable[[], None]) -> None:
    """Do what makes somebody send it, again if need be, until its reply was lost."""
    for _ in range(5):
        provoke()
        with contextlib.suppress(AssertionError):
            eventually("the loss", lambda: not rule.armed, within=8)
            return
    raise AssertionError(f"not provoked: {name}")


def kill_one(world: World) -> None:
    """Kill a worker of the first host that has settled something: the next one comes at once."""
    useful = eventually("a worker that has settled", world.hosts[0].useful)
    pid = useful[0]
    since = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    world.faults.note("kill", pid, since=since)


def lose_a_host(world: World) -> None:
    """Start a second host and kill it whole."""
    host = world.host(f"doomed-{len(world.hosts)}", workers=1, lease=1.5).up()
    since = time.monotonic()
    pids = host.kill()
    world.faults.note("host", *pids, since=since)


def overstay(world: World) -> None:
    """Let every worker believe that a task is quick; then let it take long with others behind it."""
    world.ended(world.burst("holds", 300, seconds=0))
    jobs = [("holds", {"uid": world.uid("holds"), "seconds": 0.0}) for _ in range(60)]
    jobs[5][1]["seconds"] = 0.7
    world.add_many(jobs)


def operate(world: World, verb: str) -> None:
    """Do something to a job of its own, until somebody says that it was done."""
    handle = world.queue.job(f"operated-{verb}")
    for attempt in (getattr(handle, verb),) * 10:
        with contextlib.suppress(BrokerError):
            assert attempt() == "gone"
            return
    raise AssertionError(verb)


def purge(store: Store) -> None:
    """Throw away a job that is not there, until somebody says so."""
    for _ in range(10):
        with contextlib.suppress(BrokerError):
            assert store.purge("waiting", ["purged"]) == ["gone"]
            return
    raise AssertionError("purge")


def add_locked(world: World) -> None:
    """Add a job with a lock, until somebody says that it is in: its own lock is no other's."""
    uid = world.uid()
    world.added.add(uid)
    for _ in range(10):
        with contextlib.suppress(BrokerError):
            handle = world.queue.add("quick", {"uid": uid}, job_id=uid, unique=True)
            assert handle.id == uid
            return
    raise AssertionError("add_once")


def hold(world: World, verb: str) -> None:
    """Pause, or let go on, a task that nobody has, until somebody says that it was done."""
    for _ in range(10):
        with contextlib.suppress(BrokerError):
            getattr(world.queue, verb)(task="nobody")
            return
    raise AssertionError(verb)


def schedule(world: World, verb: str) -> None:
    """Do something to a schedule that never fires, until somebody says that it was done."""
    schedules = world.queue.schedules
    for _ in range(10):
        with contextlib.suppress(BrokerError):
            if verb == "put":
                assert schedules.put("operated", "silent", every="300d") in ("created", "same")
            else:
                assert getattr(schedules, verb)("ticks" if verb != "remove" else "operated")
            return
    raise AssertionError(verb)


def ask_for_a_result(world: World) -> None:
    """Wait for a job's end, however often the connection breaks."""
    handle = world.queue.add("quick", {"uid": (uid := world.uid())}, job_id=uid)
    world.added.add(uid)
    while True:
        try:
            handle.result("10s")
            return
        except BrokerError:
            continue
