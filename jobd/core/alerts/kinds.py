"""The kinds of rules: what each means, takes, looks at and tells people to do. To add one, add it here.

    backlog          jobs are due and not begun, more than `above` (a number; no default)
    latency          the oldest due job has waited longer than `above` (a span; no default)
    failure_rate     of the runs that ended within `window` (5m; in whole minutes), a greater share than
                     `above` (20%) were bad (core/tally.py says which are); fewer than `min_runs` (10) say nothing
    dead             within `window` (15m) more than `above` (0) jobs died, and are dead still
    crash_loop       a host gave the queue up, or within `window` (5m) more than `above` (5) workers crashed
    stalled          work is due, neither paused nor limited, and nothing was claimed for `above` (10m)
    no_workers       no host has a live worker for a queue that somebody should serve
    missing_workers  for a minute a host has had fewer workers of a queue at work than it wants, by more than
                     `above` (0): none can be forked, or they do not come up
    schedule_missed  a slot of a schedule is due for longer than `above` (1m), or was passed over within
                     `window` (15m)
    stuck            a job has run for longer than `above` (a span; no default)
    memory           a worker has more memory of its own than `above` (a size; no default)
    interrupted      within `window` (1h) more than `above` (0) jobs were interrupted for the fifth time
    redis_memory     Redis uses more than `above` (80%) of its maxmemory, or of its host's memory where it
                     has none; or more than a size
    redis_down       this host cannot use Redis: no answer, a refusal, loading, or a read-only replica; each
                     host looks and tells for itself, for a host that cannot reach Redis cannot ask others
    store_unfit      Redis answers, and may lose jobs: it evicts keys, fails to save, is too old or a replica
    store_reset      within `window` (15m) the store was flushed, replaced by another, or lost what it had
                     acknowledged: a failover to a replica that lagged, an old copy
    reload_refused   a host's last reload was refused; it runs on with what it had
    host_lost        a host has said nothing for longer than `above` (30s): the host, its daemon or its keeper
                     is gone. One that ended in order is none; one that is silent for an hour is forgotten

A rule fires while its value is above `above`, and has been so for `for` (of redis_down 10s, of no_workers
30s, of others nothing).
It resolves when the value is below `clear_below` (without one: not above `above`) and stays so.

Where there is a sink, rules of the kinds in BUILTIN are there by themselves, unless the file has one of that
kind, or says `builtin = false`: what nobody wants to learn from a user.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from jobd.core.alerts import looks_at_hosts as hosts
from jobd.core.alerts import looks_at_queues as queues
from jobd.core.alerts import looks_at_store as store
from jobd.core.alerts.facts import Facts, Reading
from jobd.core.alerts.units import COUNT, MEMORY, PART_OR_MEMORY, SHARE, SPAN, YES, Unit
from jobd.core.config_alerts import RuleConfig

# What must be known for a rule to be judged: parts of Facts.
Need = Literal["queues", "hosts", "store", "unreachable"]
# What is asked of each queue beside the plain figures, which are always read.
Detail = Literal["minutes", "died", "schedules", "interrupted"]


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of rule. `watches` says what its value is, `hint` what to do when it fires.

    `above` is the threshold of a rule that says none; None: it must say one. `takes` are the keys it may
    have beside those of every rule. `counts` gives numbers that only ever grow, by name: what came on top
    within the rule's window is handed to `look`. `local`: each host looks for itself.
    """

    look: Callable[[RuleConfig, Facts, queues.Recent], list[Reading]]
    unit: Unit
    needs: frozenset[Need]
    watches: str
    hint: str
    above: float | None = None
    takes: tuple[str, ...] = ()
    for_: float = 0.0
    window: float | None = None
    min_runs: int | None = None
    counts: Callable[[RuleConfig, Facts], dict[str, int]] | None = None
    detail: Detail | None = None
    local: bool = False


_QUEUES: frozenset[Need] = frozenset({"queues"})
_HOSTS: frozenset[Need] = frozenset({"hosts"})
_STORE: frozenset[Need] = frozenset({"store"})
_LEVEL = ("queue", "above", "clear_below")
_WITHIN = (*_LEVEL, "window")

KINDS: dict[str, Kind] = {
    "backlog": Kind(
        look=queues.backlog, unit=COUNT, needs=_QUEUES, takes=_LEVEL,
        watches="jobs that are due and not begun",
        hint="See with `jobd status` whether the workers are busy, and raise `processes` or "
        "`concurrency` of the queue if they are.",
    ),
    "latency": Kind(
        look=queues.latency, unit=SPAN, needs=_QUEUES, takes=_LEVEL,
        watches="how long the oldest due job has waited",
        hint="Ask `jobd why JOB` about the oldest job of the queue: it names what it waits for.",
    ),
    "failure_rate": Kind(
        look=queues.failure_rate, unit=SHARE, needs=_QUEUES, takes=(*_WITHIN, "min_runs"),
        above=0.2, window=300.0, min_runs=10, detail="minutes",
        watches="the share of runs that failed, timed out, crashed or were lost",
        hint="Look at the errors with `jobd jobs list --state dead` and `jobd jobs show`, and at what "
        "the tasks depend on; `jobd queues pause` keeps the rest from failing too.",
    ),
    "dead": Kind(
        look=queues.dead, unit=COUNT, needs=_QUEUES, takes=_WITHIN, above=0.0, window=900.0,
        detail="died",
        watches="jobs that died of late, and are dead still",
        hint="See why with `jobd jobs list --state dead`, mend the cause, then put them back with "
        "`jobd jobs retry`.",
    ),
    "crash_loop": Kind(
        look=hosts.crash_loop, unit=COUNT, needs=_HOSTS, takes=_WITHIN, above=5.0, window=300.0,
        counts=hosts.crashes,
        watches="workers of a host that crashed of late",
        hint="Read `worker.died` in the daemon's log, which names the signal or code and the jobs that "
        "ran, and mend the code or roll it back, then `jobd reload`.",
    ),
    "stalled": Kind(
        look=queues.stalled, unit=SPAN, needs=_QUEUES, takes=_LEVEL, above=600.0,
        watches="how long nothing was begun, though work is due",
        hint="See with `jobd status` whether there are workers and whether all are busy with long jobs; "
        "`jobd dump` shows where they are.",
    ),
    "no_workers": Kind(
        look=queues.no_workers, unit=YES, needs=_QUEUES | _HOSTS, takes=("queue",), above=0.0, for_=30.0,
        watches="a queue that no live worker serves",
        hint="Start a daemon that serves the queue, or add the queue to one's `daemon.queues`; "
        "`jobd status` shows who is there.",
    ),
    "missing_workers": Kind(
        look=hosts.missing_workers, unit=COUNT, needs=_HOSTS, takes=_LEVEL, above=0.0, for_=60.0,
        watches="workers that a host wants and has not",
        hint="See `fork.failed` and `worker.died` in that host's log: it is out of memory, processes or "
        "file handles, or the application does not come up; `jobd doctor` looks at its limits.",
    ),
    "schedule_missed": Kind(
        look=queues.schedule_missed, unit=SPAN, needs=_QUEUES, takes=(*_LEVEL, "window"),
        above=60.0, window=900.0, counts=queues.skipped, detail="schedules",
        watches="how long a slot of a schedule is due, or one that was passed over",
        hint="See with `jobd schedules list` what it says of itself; `jobd schedules run` makes up for a "
        "slot by hand.",
    ),
    "stuck": Kind(
        look=hosts.stuck, unit=SPAN, needs=_HOSTS, takes=(*_LEVEL, "task"),
        watches="how long a job has been running",
        hint="See where it is with `jobd dump`, end it with `jobd jobs cancel --force`, and give its task "
        "a `timeout`.",
    ),
    "memory": Kind(
        look=hosts.memory, unit=MEMORY, needs=_HOSTS, takes=_LEVEL,
        watches="memory that a worker has for itself",
        hint="See in `jobd status` which task made it grow; `memory_limit` of the queue lets workers be "
        "replaced before that.",
    ),
    "interrupted": Kind(
        look=queues.interrupted, unit=COUNT, needs=_QUEUES, takes=_WITHIN, above=0.0, window=3600.0,
        counts=queues.interruptions, detail="interrupted",
        watches="jobs that were cut off for the fifth time",
        hint="The job runs longer than a drain lasts: raise `drain_timeout`, make the job shorter, or "
        "let it look at `job.cancelled` and go on where it was.",
    ),
    "redis_memory": Kind(
        look=store.redis_memory, unit=PART_OR_MEMORY, needs=_STORE, takes=("above", "clear_below"),
        above=0.8,
        watches="memory that Redis uses",
        hint="Raise maxmemory, lower `retain` of the large queues, or take away a backlog: `jobd status` "
        "shows where the jobs are.",
    ),
    "redis_down": Kind(
        look=store.redis_down, unit=YES, needs=frozenset({"unreachable"}), above=0.0, for_=10.0,
        local=True,
        watches="a Redis that this host cannot use",
        hint="See whether the server runs and the network lets this host through; `jobd doctor` tries "
        "every step. Workers go on by themselves when it is back.",
    ),
    "store_unfit": Kind(
        look=store.store_unfit, unit=YES, needs=_STORE, above=0.0,
        watches="a Redis that answers, and may lose jobs",
        hint="Mend what is named in the server's configuration; `jobd doctor` says how.",
    ),
    "store_reset": Kind(
        look=store.store_reset, unit=YES, needs=_STORE, takes=("window",), above=0.0, window=900.0,
        watches="a store that was flushed, replaced, or lost what it had acknowledged",
        hint="Find out who flushed or replaced it, or what failed over, restore a backup if jobs are missed, and let the "
        "programs add again what has to run.",
    ),
    "reload_refused": Kind(
        look=hosts.reload_refused, unit=YES, needs=_HOSTS, above=0.0,
        watches="a reload that was refused",
        hint="Run `jobd check` on that host, mend what it names, and reload again.",
    ),
    "host_lost": Kind(
        look=hosts.host_lost, unit=SPAN, needs=_HOSTS, takes=("above", "clear_below"), above=30.0,
        watches="how long a host has said nothing",
        hint="See whether the host is up and its daemon runs (`systemctl status jobd`); its jobs go back "
        "to the queue by themselves when its leases end.",
    ),
}  # fmt: skip


BUILTIN = (
    "redis_down", "store_unfit", "store_reset", "crash_loop", "missing_workers", "interrupted",
    "reload_refused",
)  # fmt: skip


def known(rule: RuleConfig, facts: Facts) -> bool:
    """Say whether the facts that a rule is about are there."""
    return all(getattr(facts, need) is not None for need in KINDS[rule.kind].needs)


def threshold(rule: RuleConfig) -> str:
    """Say a rule's threshold to people; '' where there is nothing to set."""
    unit = KINDS[rule.kind].unit
    return "" if unit is YES else unit.say(rule.above or 0.0)
