"""A whole host goes: all processes at once, or all of them freeze and wake up later."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from support.daemons import eventually, gone

from chaos import census
from chaos.effects import gate, wall_minus_monotonic
from chaos.proxy import Hold, Proxy
from chaos.report import percentile
from chaos.world import World

LONG = (pytest.mark.chaos, pytest.mark.timeout(900))
pytestmark = pytest.mark.process


def held_by(world: World, host: str, count: int, gate_name: str) -> list[str]:
    """Add jobs that wait on one host until it runs this many of them."""
    uids: list[str] = []

    def look() -> bool:
        running = [u for u in uids if any(e.host == host for e in world.effects.of(u))]
        if len(running) < count and not world.backlog():
            uids.append(world.add("gated", host=host, gate=gate_name))
        return len(running) >= count

    eventually(f"{count} jobs running on {host}", look)
    return [u for u in uids if any(e.host == host for e in world.effects.of(u))]


@pytest.mark.parametrize("rounds", [1, pytest.param(10, marks=LONG)])
def test_a_host_that_is_gone_loses_its_jobs_at_its_leases_end_and_not_before(
    world: World, report: Callable[..., bool], rounds: int
) -> None:
    """SIGKILL of every process at once: another host runs its jobs within 1.25 leases."""
    lease, workers = 2.0, 2
    other = world.host("other", workers=workers, lease=lease).up()
    early, after = [], []
    with census.watching(world.store.url) as watch:
        for turn in range(rounds):
            doomed = world.host(f"doomed-{turn}", workers=workers, lease=lease).up()
            uids = held_by(world, doomed.name, workers, "never")
            nonce, leases = doomed.daemon.nonce(), world.census().leases
            killed_at = time.monotonic()
            pids = doomed.kill()
            world.faults.note("host", *pids, since=killed_at)
            # As they were left; as they were just before, of one that has been reaped by now.
            leases |= world.census().leases
            left = [end for name, end in leases.items() if name.startswith(nonce)]
            ends = [end / 1000 - wall_minus_monotonic() for end in left]
            again = [world.started(uid, 2).at for uid in uids]
            after += [at - killed_at for at in again]
            early += [min(ends) - at for at in again]
    world.works_on(other)
    account = world.account()

    account.require_clean()
    assert not watch.wrong
    assert max(early) <= 0.002, "a job ran before its lease had ended (2 ms: clocks are in ms)"
    assert not other.said("worker.died")
    if report(
        "whole daemon SIGKILLed, another one takes over",
        bar="within 1.25 leases, never before the lease ends",
        figures=f"lease {lease:g} s: after the kill p50 {percentile(after, 0.5) / lease:.2f}, "
        f"max {max(after) / lease:.2f} leases; soonest {-max(early) * 1000:.0f} ms after the end; "
        f"{account}",
        n=len(after),
    ):
        assert max(after) <= 1.25 * lease


@pytest.mark.parametrize("rounds", [1, pytest.param(10, marks=LONG)])
def test_a_host_that_is_restarted_takes_its_jobs_back_at_once(
    world: World, report: Callable[..., bool], rounds: int
) -> None:
    """The same runtime directory: what the scoreboard holds is proven dead and released."""
    workers = 2
    host = world.host("host", workers=workers, lease=30).up()
    boots, delays = [], []
    with census.watching(world.store.url) as watch:
        for turn in range(rounds):
            uids = [world.add("victim") for _ in range(workers)]
            for uid in uids:
                world.started(uid)
            since = time.monotonic()
            pids = host.kill()
            world.faults.note("host", *pids, since=since)
            restarted_at = time.monotonic()
            host.daemon.start()
            again = [world.started(uid, 2).at for uid in uids]
            host.up()
            boots.append(min(again) - restarted_at)
            delays += [at - restarted_at for at in again]
            world.works_on(host)
            assert turn + 1 == len(host.said("predecessor.found"))
    account = world.account()

    account.require_clean()
    assert not watch.wrong
    if report(
        "whole daemon SIGKILLed, itself restarted",
        bar="at once (lease 30 s; counted from its exec, boot included)",
        figures=f"p50 {percentile(delays, 0.5):.2f} s, max {max(delays):.2f} s; {account}",
        n=len(delays),
    ):
        assert max(delays) <= 3.0


@pytest.mark.parametrize(("rounds", "workers"), [(1, 3), pytest.param(10, 10, marks=LONG)])
def test_a_frozen_host_ends_its_jobs_in_vain_and_recovers(
    world: World, report: Callable[..., bool], rounds: int, workers: int
) -> None:
    """SIGSTOP of everything until another host has reaped it; then SIGCONT, workers first.

    The workers go on before their supervisor and keeper do, so that each has to find out for itself.
    """
    lease = 1.5
    # Who reaps has a longer one: neither host's keeper may lose its workers for want of a core.
    other = world.host("other", workers=2, lease=6)
    frozen = world.host("frozen", workers=workers, lease=lease).up()
    other.up()
    refused, fenced = 0, 0
    late, recovery = [], []
    with census.watching(world.store.url) as watch:
        for turn in range(rounds):
            uids = held_by(world, "frozen", workers, f"go-{turn}")
            running = frozen.worker_pids()
            since = time.monotonic()
            pids = frozen.freeze()
            again = [world.started(uid, 2) for uid in uids]
            world.faults.note("freeze", *pids, since=since)
            assert {run.host for run in again} == {"other"}
            world.at_rest()
            before = world.census()

            gate(world.directory / f"go-{turn}")
            thawed_at = time.monotonic()
            frozen.thaw(running)
            eventually("the fenced workers' ends", lambda: all(map(gone, running)))  # noqa: B023
            assert all(len(world.effects.of(uid, "end")) == 2 for uid in uids)
            frozen.thaw(pids)
            fenced += workers
            eventually("their obituaries", lambda: len(frozen.said("worker.died")) >= fenced)  # noqa: B023
            late += uids
            refused += before.total("completed") == world.census().total("completed") and workers
            frozen.up()
            world.works_on(frozen)
            recovery.append(time.monotonic() - thawed_at)
    died = frozen.said("worker.died")
    account = world.account()

    account.require_clean()
    assert not watch.wrong
    assert {(line["cause"], line["how"]) for line in died} == {("fenced", "exit 75")}
    assert refused == len(late) == rounds * workers
    report(
        "frozen host, then SIGCONT",
        bar="its late ends count nothing; it recovers by itself",
        figures=f"{refused} of {len(late)} late ends counted nothing, each of a worker that ended itself; all of its workers at new work "
        f"p50 {percentile(recovery, 0.5):.2f} s, max {max(recovery):.2f} s later; {account}",
        n=len(late),
    )


@pytest.mark.parametrize(("rounds", "workers"), [(1, 3), pytest.param(10, 10, marks=LONG)])
def test_settles_that_arrive_after_the_lease_was_reaped_change_nothing(
    behind_proxy: World, proxy: Proxy, report: Callable[..., bool], rounds: int, workers: int
) -> None:
    """Sent in time, kept back by the network while the host is frozen, carried out late."""
    world, lease = behind_proxy, 1.5
    rule = proxy.rule = Hold()
    other = world.host("other", workers=2, lease=6, url=world.store.url)
    frozen = world.host("frozen", workers=workers, lease=lease).up()
    other.up()
    refused = sent = 0
    with census.watching(world.store.url) as watch:
        for turn in range(rounds):
            uids = held_by(world, "frozen", workers, f"go-{turn}")
            running = set(frozen.worker_pids())
            since = time.monotonic()
            rule.holding = True
            gate(world.directory / f"go-{turn}")
            eventually("all settles kept back", lambda: rule.held == workers)
            pids = frozen.freeze()
            again = [world.started(uid, 2) for uid in uids]
            world.faults.note("freeze", *pids, since=since)
            assert {run.host for run in again} == {"other"}
            world.at_rest()

            before = everything(world)
            rule.let_go()
            eventually("all late answers", lambda: all(rule.answers.values()))
            assert everything(world) == before
            sent += workers
            refused += sum(a.startswith(b"*1\r\n$6\r\nfenced") for a in rule.answers.values())
            frozen.thaw(pids)
            eventually("their ends", lambda old=running: not old & set(frozen.worker_pids()))
            world.works_on(frozen.up())
    account = world.account()

    account.require_clean()
    assert not watch.wrong
    assert {line["cause"] for line in frozen.said("worker.died")} == {"fenced"}
    assert refused == sent == rounds * workers
    report(
        "settles of a frozen host, carried out after it was reaped",
        bar="refused, 100 of 100; it recovers by itself",
        figures=f"{refused} of {sent} refused, no byte of any key changed; {account}",
        n=sent,
    )


def everything(world: World) -> dict[bytes, bytes]:
    """The contents of all keys but what the other host's idle workers move: leases and hints."""
    client = world.store.client
    keys = [key for key in client.keys("*") if not key.endswith((b":leases", b":wake"))]
    return {key: client.dump(key) for key in sorted(keys)}
