"""Readings of rules that look at hosts and their workers, by what each daemon says of itself.

Called through jobd.core.alerts.kinds; see looks_at_queues for what a look is.
"""

from __future__ import annotations

from collections.abc import Iterator

from jobd.core.alerts.facts import Facts, Reading
from jobd.core.alerts.looks_at_queues import Recent, counted
from jobd.core.config_alerts import RuleConfig
from jobd.core.durations import words
from jobd.core.portrait import Daemon, Host, QueueView, Worker
from jobd.core.sizes import size_words

# Ends of workers that nobody wanted; the others are the supervisor's own doing, or a task's time-out.
_CRASHES = ("crash", "oom", "boot", "hung", "memory")
# Phases of a worker that has begun.
_AT_WORK = ("idle", "busy")
# What a host said longer ago than this is no news of its workers.
_STALE_AFTER = 60.0


def _speaking(facts: Facts) -> Iterator[tuple[Host, Daemon]]:
    """Give the daemons that run and say so."""
    for host in facts.hosts or ():
        if host.daemon is not None and host.silent_for <= _STALE_AFTER:
            yield host, host.daemon


def _views(rule: RuleConfig, facts: Facts) -> Iterator[tuple[Host, str, QueueView]]:
    for host, daemon in _speaking(facts):
        for name, view in daemon.queues.items():
            if rule.queue in (None, name):
                yield host, name, view


def _workers(rule: RuleConfig, facts: Facts) -> Iterator[tuple[Host, Worker]]:
    for host, daemon in _speaking(facts):
        for worker in daemon.workers:
            if rule.queue in (None, worker.queue):
                yield host, worker


def crash_loop(rule: RuleConfig, facts: Facts, recent: Recent) -> list[Reading]:
    """Count crashes of a queue's workers lately; a queue that a host gave up is over any threshold."""
    found: dict[str, Reading] = {}
    crashes: dict[str, int] = {}
    for key, n in recent.items():
        crashes[key.partition(" ")[0]] = crashes.get(key.partition(" ")[0], 0) + n
    for host, name, view in _views(rule, facts):
        if view.gave_up:
            found[name] = Reading(
                of=name, value=max(crashes.get(name, 0), (rule.above or 0) + 1),
                shown=f"given up on {host.daemon.host if host.daemon else host.key}: "
                f"{view.useless} workers in a row ended without having run a job",
            )  # fmt: skip
        elif name not in found:
            n = crashes.get(name, 0)
            shown = f"{counted(n, 'worker')} crashed within {words(rule.window or 0)}"
            found[name] = Reading(of=name, value=n, shown=shown)
    return list(found.values())


def crashes(rule: RuleConfig, facts: Facts) -> dict[str, int]:
    """Count how many workers have crashed in all, by queue and host."""
    return {
        f"{name} {host.key}": sum(view.exits.get(cause, 0) for cause in _CRASHES)
        for host, name, view in _views(rule, facts)
    }


def missing_workers(rule: RuleConfig, facts: Facts, _recent: Recent) -> list[Reading]:
    """Count how many workers of each queue a host wants and has not at work; the worst host counts."""
    found: dict[str, Reading] = {}
    for host, name, view in _views(rule, facts):
        daemon = host.daemon
        if daemon is None or daemon.stopping or len(daemon.workers) < daemon.workers_in_all:
            continue  # of a large fleet not all workers are named
        at_work = sum(
            each.queue == name and each.phase in _AT_WORK and not each.leaving
            for each in daemon.workers
        )
        missing = max(0, view.wanted - at_work)
        before = found.get(name)
        if before is None or missing > (before.value or 0):
            shown = f"{at_work} of {counted(view.wanted, 'worker')} at work on {daemon.host}"
            found[name] = Reading(of=name, value=missing, shown=shown)
    return list(found.values())


def stuck(rule: RuleConfig, facts: Facts, _recent: Recent) -> list[Reading]:
    """Say for how long the job of each queue has run that has run longest."""
    found: dict[str, Reading] = {}
    for _host, name, _view in _views(rule, facts):
        found.setdefault(name, Reading(of=name, value=0.0, shown="nothing runs for long"))
    for host, worker in _workers(rule, facts):
        if worker.running_for is None or rule.task not in (None, worker.task):
            continue
        span = worker.running_for + host.silent_for
        before = found.get(worker.queue)
        if before is None or span > (before.value or 0.0):
            where = host.daemon.host if host.daemon else host.key
            shown = f"job {worker.job} ({worker.task}) has run for {words(span)} on {where}"
            found[worker.queue] = Reading(of=worker.queue, value=span, shown=shown)
    return list(found.values())


def memory(rule: RuleConfig, facts: Facts, _recent: Recent) -> list[Reading]:
    """Say how much memory the largest worker of each queue has of its own."""
    found: dict[str, Reading] = {}
    for host, worker in _workers(rule, facts):
        amount = worker.memory or 0
        before = found.get(worker.queue)
        if before is None or amount > (before.value or 0):
            where = host.daemon.host if host.daemon else host.key
            shown = f"worker {worker.slot} on {where} has {size_words(amount)}"
            found[worker.queue] = Reading(of=worker.queue, value=amount, shown=shown)
    return list(found.values())


def reload_refused(_rule: RuleConfig, facts: Facts, _recent: Recent) -> list[Reading]:
    """Say which hosts refused their last reload."""
    readings = []
    for host, daemon in _speaking(facts):
        why = daemon.reload.error if daemon.reload else None
        shown = why.splitlines()[0][:300] if why else "took its last configuration"
        readings.append(Reading(of=host.key, value=float(bool(why)), shown=shown))
    return readings


def host_lost(_rule: RuleConfig, facts: Facts, _recent: Recent) -> list[Reading]:
    """Say for how long each host has said nothing."""
    return [
        Reading(of=host.key, value=host.silent_for, shown=f"silent for {words(host.silent_for)}")
        for host in facts.hosts or ()
    ]
