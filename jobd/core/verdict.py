"""What becomes of a job whose run did not end well: the one failure path.

Whoever learns of a failure - the worker that caught an exception, the next worker that claims a job
whose process died or was killed for its timeout - asks here. Pure: the counters, the policy and a
random number go in, a verdict comes out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from jobd.core.error_types import refusal
from jobd.core.options import MAX_LOST, Policy
from jobd.core.raised import Discard, Retry, Snooze, Throttle, asked
from jobd.core.retry import Random, wait_after


@dataclass(frozen=True, slots=True)
class Counters:
    """What a job has gone through. Failures and timeouts use up attempts; the others do not."""

    failed: int = 0
    timeouts: int = 0
    crashes: int = 0
    lost: int = 0
    interrupted: int = 0
    suspected: int = 0
    """Crashes of its process while others ran there too: nobody knows which of them did it."""
    snoozed: int = 0
    throttled: int = 0

    @property
    def attempts_used(self) -> int:
        """Runs that count against `attempts`."""
        return self.failed + self.timeouts


TIMED_OUT = "timeouts"
CRASHED_AGAIN = 1.0
"""For how many seconds a job that crashed more than once is put off, to the end of its line."""


@dataclass(frozen=True, slots=True)
class Run:
    """Run it now."""


@dataclass(frozen=True, slots=True)
class RetryLater:
    """Run it again after `delay` seconds. `note` is what its history should say about that."""

    delay: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Postpone:
    """Run it again after `delay` seconds, and count no attempt. `whole_queue`: nothing of its queue
    runs before then, and it keeps its place in line."""

    delay: float
    whole_queue: bool = False


@dataclass(frozen=True, slots=True)
class Bury:
    """It is dead. `cause` is a word of `states.DEAD_CAUSES`, `note` for its history."""

    cause: str
    note: str = ""


def after_error(
    error: BaseException, counters: Counters, policy: Policy, random: Random
) -> tuple[RetryLater | Postpone | Bury, Counters]:
    """Judge a run that raised, and count it: `counters` go in without it and come out with it."""
    wish = asked(error)
    match wish:
        case Snooze():
            return Postpone(wish.delay), replace(counters, snoozed=counters.snoozed + 1)
        case Throttle():
            after = replace(counters, throttled=counters.throttled + 1)
            return Postpone(wish.delay, whole_queue=True), after
        case Discard():
            return Bury("discarded"), counters
    after = replace(counters, failed=counters.failed + 1)
    if isinstance(wish, Retry):
        if after.attempts_used >= policy.attempts:
            note = f"asked to run again; no attempt is left of {policy.attempts}, see `attempts`"
            return Bury("failed", note), after
        if wish.after is not None:
            return RetryLater(wish.after), after
    elif note := refusal(error, retry_on=policy.retry_on, give_up_on=policy.give_up_on):
        return Bury("failed", note), after
    return _again(after, policy, random, "failed", error), after


def before_start(
    counters: Counters, policy: Policy, random: Random, *, ended: str = ""
) -> Run | RetryLater | Bury:
    """Judge a claimed job. `ended`: what its last run was charged with when its process ended, if nobody
    has judged that yet; a word of Counters."""
    # At 1 the job is not to run again after a crash, whoever did it.
    crashes = counters.suspected if policy.max_crashes == 1 else 0
    if counters.crashes + crashes >= policy.max_crashes:
        return Bury("poison")
    if counters.lost >= MAX_LOST:
        return Bury("lost")
    if ended == TIMED_OUT:
        return _again(counters, policy, random, "timeout", None)
    # Once a crash may have been its process' bad luck. After that it goes behind those who wait: a
    # handful of jobs that end their process would keep all others from their turn.
    if ended == "crashes" and counters.crashes > 1:
        return RetryLater(CRASHED_AGAIN, "crashed again, so others go first")
    return Run()


def _again(
    counters: Counters, policy: Policy, random: Random, cause: str, error: BaseException | None
) -> RetryLater | Bury:
    """Judge a failed attempt by their number alone; `counters` include it."""
    if counters.attempts_used >= policy.attempts:
        return Bury(cause)
    return RetryLater(*wait_after(policy.backoff, counters.attempts_used, error, random))
