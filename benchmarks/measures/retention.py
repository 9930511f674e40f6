"""What trimming a million finished jobs costs a worker at full speed, and how long it holds Redis.

One worker drains a long backlog while the daemon's keeper removes jobs that ended long ago. In turns
of a second or so the keeper is told that another one is at it (its own protocol, a field in `meta`),
so that windows with and without trimming alternate inside one run, in pairs of changing order.
Redis' slow log says what held it longest.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.bench import Bench
from benchmarks.drain import START_SECONDS
from benchmarks.errors import RunFailed
from benchmarks.figures import show, spread
from benchmarks.outcome import Bar, Outcome, Table
from benchmarks.processes import Group
from benchmarks.servers import RedisServer
from benchmarks.stamps import FIRST
from benchmarks.systems.base import Order, System
from jobd.broker.scripts import BY_SHA

LONG_AGO_MS = 1_000_000_000_000
SLOW_US = 5_000
WINDOW_SECONDS = 1.0
LONGEST_SECONDS = 600.0

# Written by the server for itself: a client would need minutes.
PLANT = """
for i = 1, ARGV[2] do
  local id = string.format('0190aaaa-%04x-7%03x-9000-%012x', i % 65536, i % 4096, ARGV[1] + i)
  redis.call('HSET', KEYS[1] .. 'job:' .. id, 'task', 'noop', 'args', ARGV[3], 'at', ARGV[4], 'seq', i, 'result', '"done"')
  redis.call('ZADD', KEYS[1] .. (i % 2 == 0 and 'dead' or 'cancelled'), ARGV[4] + (ARGV[1] + i) / 10, id)
end
"""
NEVER_WAITS = "The server never waited for a processor (SCHED_FIFO): SLOWLOG shows its work alone."
MAY_WAIT = "The server may have waited for a processor: SLOWLOG shows that too."
PLANTED = '{"user_id":123456,"email":"user123456@example.com"}'
ROOT = "jobd:{bench}:"

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Look:
    """Seconds by Redis' clock, jobs completed so far, old jobs that are left."""

    at: float
    done: int
    old: int


@dataclass(frozen=True, slots=True)
class Window:
    """Rates in one window, per second, and what SLOWLOG had at its end."""

    done: float
    trimmed: float
    slow: list[Entry]


def measure(bench: Bench) -> Outcome:
    """One long run; pairs of windows inside it."""
    try:
        return _measure(bench, bench.systems.jobd)
    except RunFailed as error:
        return Outcome(failures=[f"retention: {error}"])


def _measure(bench: Bench, system: System) -> Outcome:
    plan = bench.plan
    # A server of its own: what is asked of the kernel for it must not help the other measures.
    with RedisServer(bench.scratch / "redis-trim") as server, bench.site(server) as site:
        first = server.go_first()
        order = Order(kind="fill", task="noop", count=plan.trim_backlog, warm=20_000)
        bench.say(
            f"retention: planting {plan.trim_records:,} finished jobs, adding {order.count:,}"
        )
        _plant(server, plan.trim_records)
        bench.produce(system, site, order)
        _watch_slow(server)
        _hold(server)
        with bench.workers(system, site, 1) as group:
            bench.stamps(site).wait(FIRST, START_SECONDS, group.check_alive)
            pairs = [_pair(bench, server, number) for number in range(plan.trim_pairs)]
            server.client.hdel(ROOT + "meta", "trimming")
            _wait(server, group, "done", lambda look: look.done >= order.warm + order.count)
            before = _look(server)
            _wait(server, group, "trimmed", lambda look: not look.old)
            after = _look(server)
        slow = _take_slow(server)
    return _outcome(bench, pairs, (before, after), slow, first=first)


def _pair(bench: Bench, server: RedisServer, number: int) -> tuple[Window, Window]:
    """Both windows, (with, without), in an order that changes."""
    found = {}
    for trimming in (True, False) if number % 2 else (False, True):
        found[trimming] = _window(server, trimming=trimming)
    bench.say(
        f"retention {number + 1}: {found[True].done:,.0f} jobs/s while {found[True].trimmed:,.0f}/s are "
        f"trimmed, {found[False].done:,.0f} jobs/s without"
    )
    return found[True], found[False]


def _window(server: RedisServer, *, trimming: bool) -> Window:
    if trimming:
        server.client.hdel(ROOT + "meta", "trimming")
        _wait_for_change(server)
    else:
        _hold(server)
    before = now = _look(server)
    while now.at - before.at < WINDOW_SECONDS:
        if not trimming:
            _hold(server)
        time.sleep(0.25)
        now = _look(server)
    span = now.at - before.at
    return Window(
        (now.done - before.done) / span, (before.old - now.old) / span, _take_slow(server)
    )


def _hold(server: RedisServer) -> None:
    """Let the keeper believe that another host trims this queue: for a second, it does not."""
    seconds, micros = server.client.time()
    until = seconds * 1000 + micros // 1000 + 1000
    server.client.hset(ROOT + "meta", "trimming", f"{until} benchmark")


def _look(server: RedisServer) -> Look:
    pipe = server.client.pipeline(transaction=True)
    pipe.time().hget(ROOT + "tally", "completed|noop")
    pipe.zcard(ROOT + "dead").zcard(ROOT + "cancelled")
    (seconds, micros), done, *old = pipe.execute()
    return Look(seconds + micros / 1e6, int(done or 0), sum(old))


def _wait_for_change(server: RedisServer) -> None:
    first, deadline = _look(server).old, time.monotonic() + 10
    while _look(server).old == first:
        if time.monotonic() > deadline:
            raise RunFailed(f"nothing is trimmed, and {first} old jobs are there")
        time.sleep(0.02)


def _wait(server: RedisServer, group: Group, what: str, is_so: Callable[[Look], bool]) -> None:
    deadline = time.monotonic() + LONGEST_SECONDS
    while not is_so(look := _look(server)):
        group.check_alive()
        if time.monotonic() > deadline:
            raise RunFailed(f"not {what} within {LONGEST_SECONDS:.0f} s: {look}")
        time.sleep(0.05)


def _plant(server: RedisServer, count: int) -> None:
    for first in range(0, count, 5000):
        size = min(5000, count - first)
        server.client.eval(PLANT, 1, ROOT, first, size, PLANTED, LONG_AGO_MS)


def _watch_slow(server: RedisServer) -> None:
    server.client.config_set("slowlog-log-slower-than", SLOW_US)
    server.client.config_set("slowlog-max-len", 1000)
    server.client.slowlog_reset()


def _take_slow(server: RedisServer) -> list[Entry]:
    found: list[Entry] = server.client.slowlog_get(1000)
    server.client.slowlog_reset()
    return found


def _named(entry: Entry) -> str:
    """Say which script, or which command, it was."""
    word, *rest = entry["command"].split()
    script = BY_SHA.get(rest[0].decode()) if word.startswith(b"EVAL") else None
    return word.decode() if script is None else script.name


def _outcome(
    bench: Bench,
    pairs: list[tuple[Window, Window]],
    idle: tuple[Look, Look],
    idle_slow: list[Entry],
    *,
    first: bool,
) -> Outcome:
    ratio = spread([on.done / off.done for on, off in pairs])
    slow = [entry for on, _ in pairs for entry in on.slow] + idle_slow
    without = [entry for _, off in pairs for entry in off.slow]
    over = spread([float(len(slow))])
    before, after = idle
    alone = (before.old - after.old) / (after.at - before.at) if before.old else None
    rows = [
        ["jobs/s, nothing trimmed", show(spread([off.done for _, off in pairs]))],
        ["jobs/s while trimming", show(spread([on.done for on, _ in pairs]))],
        ["ratio, pair by pair", show(ratio, 3, " x")],
        ["trimmed/s beside the worker", show(spread([on.trimmed for on, _ in pairs]))],
        ["trimmed/s when idle", show(spread([alone]))],
        [f"commands over {SLOW_US // 1000} ms while trimming", show(over)],
        ["the same in windows without", f"{len(without)}"],
    ]
    slowest = [f"{entry['duration'] / 1000:.1f} ms: {_named(entry)}" for entry in slow[:10]]
    table = Table(
        title="Trimming finished jobs beside a worker at full speed",
        intro=(
            f"{bench.plan.trim_records:,} jobs that died or were cancelled long ago, in the queue of one "
            "worker that runs no-op jobs (and trims those it completed by number, with each settle);"
            f" {len(pairs)} pairs of windows of {WINDOW_SECONDS:g} s with and without "
            "trimming in one run, until all were gone."
        ),
        columns=["", "found"],
        rows=rows,
        notes=[NEVER_WAITS if first else MAY_WAIT, *slowest],
    )
    bars = [
        Bar("a worker's rate while finished jobs are trimmed", ">=", 0.9, "x", ratio),
        Bar(f"commands over {SLOW_US // 1000} ms meanwhile (SLOWLOG)", "<=", 0, "", over),
    ]
    return Outcome([table], bars)
