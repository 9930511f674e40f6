"""What becomes of a job whose run did not end well: the one failure path.

Whoever learns of a failure - the worker that caught an exception, the next worker that claims a job
whose process died or was killed for its timeout - asks here. Pure: the counters, the policy and a
random number go in, a verdict comes out.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobd.core.options import MAX_LOST, Policy
from jobd.core.retry import Random


@dataclass(frozen=True, slots=True)
class Counters:
    """What a job has gone through. Failures and timeouts use up attempts; the others do not."""

    failed: int = 0
    timeouts: int = 0
    crashes: int = 0
    lost: int = 0
    interrupted: int = 0

    @property
    def attempts_used(self) -> int:
        """Runs that count against `attempts`."""
        return self.failed + self.timeouts


@dataclass(frozen=True, slots=True)
class Run:
    """Run it now."""


@dataclass(frozen=True, slots=True)
class RetryLater:
    """Run it again after `delay` seconds."""

    delay: float


@dataclass(frozen=True, slots=True)
class Bury:
    """It is dead. `cause` is a word of `states.DEAD_CAUSES`."""

    cause: str


def after_failure(
    counters: Counters, policy: Policy, random: Random, *, cause: str
) -> RetryLater | Bury:
    """Judge a failed attempt; `counters` include it. `cause` is failed or timeout."""
    if counters.attempts_used >= policy.attempts:
        return Bury(cause)
    return RetryLater(max(0.0, policy.backoff.delay(counters.attempts_used, random)))


def before_start(
    counters: Counters, policy: Policy, random: Random, *, timed_out: bool
) -> Run | RetryLater | Bury:
    """Judge a claimed job. `timed_out`: its last run was killed for its timeout, not judged yet."""
    if counters.crashes >= policy.max_crashes:
        return Bury("poison")
    if counters.lost >= MAX_LOST:
        return Bury("lost")
    if timed_out:
        return after_failure(counters, policy, random, cause="timeout")
    return Run()
