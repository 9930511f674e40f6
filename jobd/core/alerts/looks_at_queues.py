"""Readings of rules that look at queues: what waits, what failed, who works.

Each takes a rule and facts and gives one reading for each thing it looks at; `recent` are the events of
the rule's window, for kinds that count such. Called through jobd.core.alerts.kinds.
"""

from __future__ import annotations

from collections.abc import Mapping

from jobd.core.alerts.facts import Facts, QueueFacts, Reading
from jobd.core.config_alerts import RuleConfig
from jobd.core.durations import words
from jobd.core.portrait import QueueView
from jobd.core.tally import bad_runs

Recent = Mapping[str, int]


def queues_of(rule: RuleConfig, facts: Facts) -> dict[str, QueueFacts]:
    """Give the queues a rule looks at: the one it names, or each."""
    known = facts.queues or {}
    if rule.queue is None:
        return known
    return {rule.queue: known.get(rule.queue, QueueFacts())}


def backlog(rule: RuleConfig, facts: Facts, _recent: Recent) -> list[Reading]:
    """Count what is due and not begun."""
    return [
        Reading(of=name, value=queue.due, shown=f"{_jobs(queue.due)} due{_held_back(queue)}")
        for name, queue in queues_of(rule, facts).items()
    ]


def latency(rule: RuleConfig, facts: Facts, _recent: Recent) -> list[Reading]:
    """Say how long the oldest job that is due has waited."""
    return [
        Reading(
            of=name, value=queue.oldest,
            shown=f"the oldest job has waited {words(queue.oldest)}{_held_back(queue)}",
        )
        for name, queue in queues_of(rule, facts).items()
    ]  # fmt: skip


def failure_rate(rule: RuleConfig, facts: Facts, _recent: Recent) -> list[Reading]:
    """Give the share of runs that ended badly; too few say nothing."""
    return [_failures(name, queue, rule, facts) for name, queue in queues_of(rule, facts).items()]


def _failures(name: str, queue: QueueFacts, rule: RuleConfig, facts: Facts) -> Reading:
    since = (facts.at_ms - round((rule.window or 0) * 1000)) // 60_000
    minutes = [counts for minute, counts in queue.minutes.items() if minute >= since]
    bad = sum(bad_runs(counts) for counts in minutes)
    ended = bad + sum(counts.get("completed", 0) for counts in minutes)
    if ended < (rule.min_runs or 1):
        return Reading(of=name, value=0.0, shown=f"{bad} of {ended} runs failed: too few to judge")
    return Reading(
        of=name, value=bad / ended,
        shown=f"{bad:,} of {ended:,} runs failed ({bad / ended * 100:.3g}%)",
    )  # fmt: skip


def dead(rule: RuleConfig, facts: Facts, _recent: Recent) -> list[Reading]:
    """Count the jobs that died lately."""
    window = rule.window or 0.0
    return [
        Reading(of=name, value=died, shown=f"{_jobs(died)} died within {words(window)}")
        for name, queue in queues_of(rule, facts).items()
        if (died := queue.died.get(window)) is not None
    ]


def stalled(rule: RuleConfig, facts: Facts, _recent: Recent) -> list[Reading]:
    """Say for how long nothing was claimed although there is work that nothing holds back."""
    readings = []
    for name, queue in queues_of(rule, facts).items():
        idle = 0.0
        if queue.due and not queue.paused and not queue.limited:
            idle = min(
                queue.oldest, queue.oldest if queue.claimed_ago is None else queue.claimed_ago
            )
        shown = "work is taken as it comes"
        if idle:
            shown = f"{_jobs(queue.due)} due, and none was taken for {words(idle)}"
        readings.append(Reading(of=name, value=idle, shown=shown))
    return readings


def no_workers(rule: RuleConfig, facts: Facts, _recent: Recent) -> list[Reading]:
    """Say which queues nobody works on, although somebody should."""
    views: dict[str, list[QueueView]] = {}
    for host in facts.hosts or ():
        for name, view in host.daemon.queues.items() if host.daemon else ():
            views.setdefault(name, []).append(view)
    known = queues_of(rule, facts)
    if rule.queue is None:
        known = known | {name: QueueFacts() for name in views if name not in known}
    readings = []
    for name, queue in known.items():
        said = views.get(name, [])
        wanted = queue.due > 0 or any(view.wanted for view in said) or (rule.queue and not said)
        lacking = bool(wanted and not queue.workers)
        shown = counted(queue.workers, "worker") if queue.workers else "no worker is wanted"
        if lacking:
            waits = f", and {_jobs(queue.due)} due" if queue.due else ""
            shown = f"no worker on any host{waits}"
        readings.append(Reading(of=name, value=float(lacking), shown=shown))
    return readings


def schedule_missed(rule: RuleConfig, facts: Facts, recent: Recent) -> list[Reading]:
    """Say how late each schedule is; a slot that was passed over counts as late for the window."""
    readings = []
    above = rule.above or 0.0
    for queue, found in queues_of(rule, facts).items():
        for name in sorted({*found.overdue, *found.skipped}):
            of = f"{queue}/{name}"
            late, skipped = found.overdue.get(name, 0.0), recent.get(of, 0)
            shown = f"due for {words(late)}" if late else "on time"
            if skipped:
                late, shown = max(late, above + 1), f"{counted(skipped, 'slot')} passed over"
            readings.append(Reading(of=of, value=late, shown=shown))
    return readings


def skipped(rule: RuleConfig, facts: Facts) -> dict[str, int]:
    """Count the slots that schedules have passed over, in all."""
    return {
        f"{queue}/{name}": n
        for queue, found in queues_of(rule, facts).items()
        for name, n in found.skipped.items()
    }


def interrupted(rule: RuleConfig, facts: Facts, recent: Recent) -> list[Reading]:
    """Count the jobs that were interrupted for the fifth time lately."""
    return [
        Reading(
            of=name, value=recent.get(name, 0),
            shown=f"{_jobs(recent.get(name, 0))} interrupted for the fifth time, "
            f"the last is {queue.interrupted_last or 'unknown'}",
        )
        for name, queue in queues_of(rule, facts).items()
    ]  # fmt: skip


def interruptions(rule: RuleConfig, facts: Facts) -> dict[str, int]:
    """Count the jobs that were interrupted for the fifth time, in all."""
    return {name: queue.interrupted for name, queue in queues_of(rule, facts).items()}


def counted(n: int, what: str) -> str:
    """Write so many of something: '1 job', '2,000 jobs'."""
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def _jobs(n: int) -> str:
    return counted(n, "job")


def _held_back(queue: QueueFacts) -> str:
    if queue.paused:
        return " (paused)"
    return " (held back by a limit)" if queue.limited else ""
