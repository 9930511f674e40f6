"""Faults that come at a bad moment, one scenario each: what they once broke stays mended."""

from __future__ import annotations

import os
import signal
import time

import pytest
from support.daemons import eventually, kill

from chaos import census
from chaos.effects import gate
from chaos.proxy import Lose, Proxy, SilenceAfter
from chaos.world import World
from jobd.broker.connection import connect
from jobd.broker.store import Store as Broker
from jobd.core.errors import StoreFull

pytestmark = pytest.mark.process


def test_at_maxmemory_only_adding_is_refused(world: World) -> None:
    """Workers join, jobs end, a dead host is reaped: what frees memory must go on."""
    first = world.host("first", workers=1, lease=1.5).up()
    victim = world.add("victim")
    world.started(victim)
    world.burst("quick", 50)
    world.store.client.config_set("maxmemory", "1")
    second = world.host("second", workers=1, lease=1.5).up()
    since = time.monotonic()
    world.faults.note("host", *first.kill(), since=since)

    with pytest.raises(StoreFull):
        world.queue.add("quick", {"uid": "refused"})
    assert world.started(victim, 2).host == second.name
    world.at_rest()

    world.store.client.config_set("maxmemory", "0")
    world.works_on(second)
    world.account().require_clean()


def test_a_flushed_store_costs_no_worker_its_life(world: World) -> None:
    """Its jobs are gone, which is told; who runs one ends it in peace and works on."""
    host = world.host("host", workers=2, lease=1.5).up()
    before = set(host.worker_pids())
    naps = world.burst("nap", 2, seconds=3)
    for uid in naps:
        world.started(uid)
    world.store.client.flushall()
    world.added.clear()
    world.ended(naps)
    world.works_on(host)
    eventually("word of the reset", lambda: host.said("store.reset"))

    assert set(host.worker_pids()) == before
    assert not host.said("worker.died")
    world.account().require_clean()


def test_what_a_lost_claim_took_does_not_wait_behind_the_next_job(
    behind_proxy: World, proxy: Proxy
) -> None:
    """The worker finds it by looking, and gives it back before it takes on anything else."""
    world = behind_proxy
    rule = proxy.rule = Lose(world.faults)
    world.host("host", workers=1, lease=30).up()
    rule.arm("reply", "claim")
    quick, slow = world.uid("quick"), world.uid("nap")
    world.add_many([("quick", {"uid": quick}), ("nap", {"uid": slow, "seconds": 0.3})])
    world.ended([quick, slow])

    assert world.effects.of(quick)[0].at < world.effects.of(slow)[0].at
    world.account().require_clean()


def test_a_settle_that_never_arrived_still_counts_its_times(
    behind_proxy: World, proxy: Proxy
) -> None:
    """The repeat carries the sums too."""
    world = behind_proxy
    rule = proxy.rule = Lose(world.faults)
    world.host("host", workers=1, lease=30).up()
    rule.arm("request", "settle")
    world.add("nap", seconds=0.2)
    seen = world.at_rest()

    assert not rule.armed
    assert seen.tally["run_us|nap"] >= 200_000
    world.account().require_clean()


def test_a_worker_that_is_fenced_while_the_store_goes_away_ends_as_fenced(
    behind_proxy: World, proxy: Proxy
) -> None:
    """It asks whether the store was reset, and asks again when nobody answers."""
    world = behind_proxy
    rule = proxy.rule = SilenceAfter(b"fenced")
    host = world.host("host", workers=1, lease=30).up()
    [slot] = host.daemon.slots()
    client = connect(world.store.url)
    Broker(client, "jobd", "q").release(str(slot.incarnation))
    client.close()
    world.add("quick")
    eventually("silence", lambda: rule.silent)
    time.sleep(0.3)
    rule.silent = False
    eventually("its end", lambda: host.said("worker.died"))

    assert [line["how"] for line in host.said("worker.died")] == ["exit 75"]
    world.works_on(host)
    world.account().require_clean()


def test_jobs_behind_a_task_that_holds_the_gil_for_a_moment_do_not_wait_for_a_look(
    world: World,
) -> None:
    """Taken away by the keeper, which then sees that the worker goes on: the worker returns them."""
    world.host("host", workers=1, lease=60).up()
    for held_for in (0.33, 0.36, 0.39, 0.42, 0.45, 0.48):
        world.ended(world.burst("holds", 300, seconds=0))
        uid = world.uid("gil")
        line = [("holds", {"uid": world.uid("behind"), "seconds": 0}) for _ in range(60)]
        world.add_many([("holds", {"uid": uid, "seconds": held_for}), *line])
        world.started(uid)
        # The next look of this worker is up to a third of its lease away: 20 s.
        world.ended([str(args["uid"]) for _, args in line], within=10)
    account = world.account()

    account.require_clean()
    assert account.extra_starts == 0


@pytest.mark.parametrize(
    "kills", [pytest.param(40, marks=(pytest.mark.chaos, pytest.mark.timeout(600)))]
)
def test_killed_keepers_and_preloaders_cost_nobody_anything(world: World, kills: int) -> None:
    """However often: leases stay open, since the next keeper is there before one can end."""
    host = world.host("host", workers=2, lease=2.0).up()
    other = world.host("other", workers=2, lease=2.0).up()
    nonce = host.daemon.nonce()

    def leases() -> list[int]:
        return [end for name, end in world.census().leases.items() if name.startswith(nonce)]

    with census.watching(world.store.url) as watch:
        naps = world.burst("nap", 4, seconds=kills)
        for uid in naps:
            world.started(uid)
        for turn in range(kills):
            os.kill(host.helper("keeper"), signal.SIGKILL)
            if turn in (1, 3):
                os.kill(host.helper("preloader"), signal.SIGKILL)
            eventually("a keeper", lambda: host.has("keeper"))
            killed_at = max(leases())
            eventually("renewed leases", lambda at=killed_at: min(leases()) > at)
            eventually("a preloader", lambda: host.has("preloader"), within=90)
        world.ended(naps, within=60)
    pid = host.worker_pids()[0]
    kill(pid)
    eventually("another worker", lambda: pid not in host.worker_pids())
    world.works_on(host.up())
    account = world.account()

    account.require_clean()
    assert not watch.wrong
    assert account.extra_starts == 0
    assert not other.said("lease.reaped")
    assert len(host.said("worker.died")) == 1


def test_a_drain_that_meets_a_blocked_worker_loses_nothing(world: World) -> None:
    """TERM while workers wait for a hint: what the claim behind it brings is released."""
    for turn in range(2):
        host = world.host(f"host-{turn}", workers=2, lease=30).up()
        uids = world.burst("quick", 30)
        host.daemon.signal(signal.SIGTERM)
        assert host.daemon.wait() == 0
        assert world.census().state_counts()["active"] == 0
        assert uids
    world.host("last", workers=1, lease=30).up()
    account = world.account()

    account.require_clean()
    assert account.extra_starts == 0


def test_a_side_link_that_broke_is_made_again(behind_proxy: World, proxy: Proxy) -> None:
    """What was to be handed back over it runs elsewhere although the worker is still busy."""
    world = behind_proxy
    rule = proxy.rule = Lose(world.faults)
    world.host("host", workers=2, lease=60).up()
    rule.arm("request", "hand_back")
    for turn in range(20):
        world.ended(world.burst("mixed", 300, seconds=0))
        slow, go = world.uid("slow"), f"go-{turn}"
        line = [("mixed", {"uid": world.uid("behind"), "seconds": 0}) for _ in range(60)]
        world.add_many([("mixed", {"uid": slow, "seconds": 0, "gate": go}), *line])
        world.ended(str(args["uid"]) for _, args in line)  # while it runs
        gate(world.directory / go)
        world.ended([slow])
        if not rule.armed:
            break
        # A machine without a core to spare made the task seem slow: nothing was claimed behind it.
    assert not rule.armed
    account = world.account()

    account.require_clean()
    assert account.extra_starts == 0


def test_forgotten_scripts_are_loaded_again(world: World) -> None:
    """SCRIPT FLUSH is not even an outage."""
    host = world.host("host", workers=2, lease=30).up()
    with world.load(("quick", {}), ("nap", {"seconds": 0.002}), every=0.01, size=4):
        for _ in range(20):
            world.store.client.script_flush()
            world.ended(world.burst("quick", 4))
    world.works_on(host)
    account = world.account()

    account.require_clean()
    assert account.extra_starts == 0
    assert not host.said("broker.lost")


def test_connections_that_break_under_load_make_nothing_run_twice(world: World) -> None:
    """Every client of the server is cut off again and again: workers, keeper and producer."""
    host = world.host("host", workers=3, lease=30).up()
    before = set(host.worker_pids())
    with world.load(("quick", {}), ("mixed", {"seconds": 0.002}), every=0.01, size=4):
        for _ in range(25):
            world.store.client.client_kill_filter(_type="normal", skipme=True)
            world.ended(world.burst("quick", 4))
    world.works_on(host)
    account = world.account()

    account.require_clean()
    assert account.extra_starts == 0
    assert set(host.worker_pids()) == before


def test_a_store_that_refuses_writes_for_a_while_loses_nothing(world: World) -> None:
    """It becomes a replica of nobody, and a primary again: READONLY in the middle of everything."""
    host = world.host("host", workers=2, lease=30).up()
    before = set(host.worker_pids())
    with world.load(("quick", {}), ("mixed", {"seconds": 0.002}), every=0.01, size=4):
        for _ in range(3):
            world.ended(world.burst("quick", 4))
            lost = len(host.said("broker.lost"))
            world.store.client.execute_command("REPLICAOF", "127.0.0.1", "1")
            eventually("word of it", lambda n=lost: len(host.said("broker.lost")) > n)
            world.store.client.execute_command("REPLICAOF", "NO", "ONE")
    world.works_on(host)
    account = world.account()

    account.require_clean()
    assert account.extra_starts == 0
    assert set(host.worker_pids()) == before
