"""Why a job has not run, and when it will: the facts go in, an explanation comes out. Pure.

What holds a job back is its own (a delay, a retry, a name that nobody knows), or the whole queue's
(paused, a limit, nobody serves it), or it is simply not its turn. Each is a `Reason` with a word for
programs; together they say when it starts, as far as that can be known. `broker.why` reads the facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import msgspec

from jobd.core.durations import words
from jobd.core.states import ACTIVE, CANCELLED, COMPLETED, DEAD, DEAD_CAUSES, DELAYED
from jobd.core.why_facts import JobFacts, QueueFacts

Instant = Callable[[int], str]

_DEPLOY = "deploy the code that declares it, and let workers load that: see `jobd check`"

# 0001-01-01 and the end of 9999, ms since 1970.
_FIRST_INSTANT = -62_135_596_800_000
_LAST_INSTANT = 253_402_300_799_999


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that keeps a job from running. `until` (ms since 1970) where that is known.

    `do` is what somebody may do about it. `holds` says that it does not end by itself.
    """

    word: str
    text: str
    until: int | None = None
    do: str | None = None
    holds: bool = False


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why a job is where it is. `starts_at` (ms since 1970) is when it will start, by what is known.

    `when` says the same in words; both are empty for a job that runs or has ended.
    """

    id: str
    queue: str
    task: str
    state: str
    reasons: list[Reason]
    starts_at: int | None = None
    when: str = ""

    def __str__(self) -> str:
        lines = [f"job {self.id} ({self.task}) in queue {self.queue}: {self.state}"]
        lines += [f"  {each.text}" + (f"; {each.do}" if each.do else "") for each in self.reasons]
        return "\n".join([*lines, *([f"  starts: {self.when}"] if self.when else [])])


def in_utc(at_ms: int) -> str:
    """Write an instant as ISO 8601; what no calendar has, as it is."""
    if not _FIRST_INSTANT <= at_ms <= _LAST_INSTANT:
        return f"{at_ms} ms since 1970"
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(" ", "seconds")


def explain(job: JobFacts, queue: QueueFacts, instant: Instant = in_utc) -> Explanation:
    """Say why a job is where it is. `instant` writes a time for people."""
    say = _Explainer(job, queue, instant)
    if job.state == ACTIVE:
        return say.answer(list(say.active()))
    if job.state in (COMPLETED, DEAD, CANCELLED):
        return say.answer(list(say.ended()))
    reasons = [*say.own(), *say.of_the_queue(), *say.line()]
    starts_at, when = say.start(reasons)
    return say.answer([*reasons, *say.deadline(starts_at)], starts_at, when)


def holding(queue: str, facts: QueueFacts, instant: Instant = in_utc) -> list[Reason]:
    """Say what keeps a queue's jobs from running, as long as nobody changes that."""
    nobody = JobFacts(id="", queue=queue, task="", state="")
    return [each for each in _Explainer(nobody, facts, instant).of_the_queue() if each.holds]


class _Explainer:
    """One question."""

    def __init__(self, job: JobFacts, queue: QueueFacts, instant: Instant) -> None:
        self._job = job
        self._queue = queue
        self._instant = instant

    def answer(
        self, reasons: list[Reason], starts_at: int | None = None, when: str = ""
    ) -> Explanation:
        job = self._job
        return Explanation(
            id=job.id, queue=job.queue, task=job.task, state=job.state, reasons=reasons,
            starts_at=starts_at, when=when,
        )  # fmt: skip

    # --- a job that is to come: what is its own ---

    def own(self) -> Iterator[Reason]:
        """Say what the job itself waits for, and what sent it back."""
        job = self._job
        set_aside = self._queue.task_paused or self._queue.task_resuming
        if job.state == DELAYED and not (set_aside and job.due_at is None):
            yield self._delay()
        elif job.state != DELAYED and (went := self._came_back()):
            yield went

    def _delay(self) -> Reason:
        job, due = self._job, self._job.due_at
        if due is None:
            return Reason(word="delayed", text="it is delayed")
        if self._is_parked():
            since = self._instant(job.parked_since or 0)
            return Reason(
                word="unknown_task",
                text=f"no worker knows the task {job.task!r}, since {since}; the next look is "
                f"{self._instant(due)}",
                until=due,
                do=_DEPLOY,
                holds=True,
            )
        if due <= self._queue.now:
            return Reason(word="due", text=f"it was due {self._instant(due)}")
        if self._was_snoozed():
            why = _short(job.error) or "Snooze"
            text = f"its task put it off until {self._instant(due)}: {why}"
            return Reason(word="snoozed", text=text, until=due, do=self._sooner())
        if used := job.failed + job.timeouts:
            text = f"attempt {used + 1}{self._of_attempts()} is due {self._instant(due)}"
            if job.error:
                text += f", after {_short(job.error)}"
            return Reason(word="retry", text=text, until=due, do=self._sooner())
        text = f"it was asked to wait until {self._instant(due)}"
        return Reason(word="delayed", text=text, until=due, do=self._sooner())

    def _is_parked(self) -> bool:
        return self._job.parked_since is not None

    def _was_snoozed(self) -> bool:
        """Tell a snooze from a failed attempt: that one's error is in the history too."""
        job = self._job
        if not job.snoozed:
            return False
        last = job.history[-1] if job.history else {}
        return not (job.failed + job.timeouts) or last.get("error") != job.error

    def _sooner(self) -> str:
        return f"`jobd jobs run-now {self._job.id}` does not wait"

    def _of_attempts(self) -> str:
        attempts = self._job.options.get("attempts")
        return f" of {attempts}" if isinstance(attempts, int) else ""

    def _came_back(self) -> Reason | None:
        job = self._job
        if self._is_parked():
            since = self._instant(job.parked_since or 0)
            text = f"no worker that took it has known the task {job.task!r}, since {since}"
            return Reason(word="unknown_task", text=text, do=_DEPLOY, holds=True)
        if used := job.failed + job.timeouts:
            text = f"attempt {used + 1}{self._of_attempts()} is due"
            text += f", after {_short(job.error)}" if job.error else ""
            return Reason(word="retry", text=text)
        counted = {
            "crashed": job.crashes,
            "was lost": job.lost,
            "was interrupted": job.interrupted,
            "held its queue back": job.throttled,
        }
        said = [f"{what} {_times(n)}" for what, n in counted.items() if n]
        if not said:
            return None
        return Reason(word="came_back", text=f"it ran before and {' and '.join(said)}")

    # --- what is the queue's ---

    def of_the_queue(self) -> Iterator[Reason]:
        """Say what holds every job of the queue back."""
        job, queue = self._job, self._queue
        if queue.paused_since is not None:
            why = f": {queue.paused_why}" if queue.paused_why else ""
            yield Reason(
                word="paused",
                text=f"queue {job.queue!r} is paused since {self._instant(queue.paused_since)}{why}",
                do=f"`jobd queues resume {job.queue}`",
                holds=True,
            )
        if queue.task_paused:
            yield Reason(
                word="task_paused",
                text=f"the task {job.task!r} is paused in queue {job.queue!r}",
                do=f"`jobd queues resume {job.queue} --task {job.task}`",
                holds=True,
            )
        elif queue.task_resuming:
            text = f"the task {job.task!r} was resumed, and its jobs are going back in line"
            yield Reason(word="resumed", text=text)
        if not self._alive():
            yield self._nobody()
        if queue.held_until is not None and queue.held_until > queue.now:
            by = f", asked for by job {queue.held_by}" if queue.held_by else ""
            until = self._instant(queue.held_until)
            text = f"queue {job.queue!r} is held back until {until}{by}"
            do = f"`jobd queues resume {job.queue}` ends that"
            yield Reason(word="throttled", text=text, until=queue.held_until, do=do)
        yield from self._limits()

    def _alive(self) -> bool:
        return any(until > self._queue.now for until in self._queue.leases.values())

    def _nobody(self) -> Reason:
        job, queue = self._job, self._queue
        text = f"no worker serves queue {job.queue!r}"
        if last := max(queue.leases.values(), default=0):
            text += f"; the last one was heard of {words((queue.now - last) / 1000)} ago or before"
        return Reason(
            word="no_workers",
            text=text,
            do="start `jobd run` where the app declares it; `jobd status` shows what runs on a host, and queues that were given up",
            holds=True,
        )

    def _limits(self) -> Iterator[Reason]:
        queue = self._queue
        if queue.rate and queue.rate_opens_at is not None and queue.rate_opens_at > queue.now:
            most, span = queue.rate
            yield Reason(
                word="rate_limit",
                text=f"the rate limit of {most} in {words(span / 1000)} is used up until "
                f"{self._instant(queue.rate_opens_at)}",
                until=queue.rate_opens_at,
            )
        if queue.max_active and queue.active >= queue.max_active:
            yield Reason(
                word="max_active",
                text=f"{queue.active} of its jobs run, and {queue.max_active} may at once "
                f"(max_active): {self._hands()}",
            )

    # --- its turn ---

    def line(self) -> Iterator[Reason]:
        """Say who stands before it, and what the workers do meanwhile."""
        queue = self._queue
        if queue.ahead:
            text = f"{queue.ahead} of the {queue.waiting} waiting jobs come before it"
            if queue.pace:
                text += f"; lately {_pace(queue.pace)} ended"
            yield Reason(word="line", text=text)
        to_come = self._job.state == DELAYED and (self._job.due_at or 0) > queue.now
        if self._alive() and not queue.idle and queue.busy and not to_come:
            slots = sum(until > queue.now for until in queue.leases.values()) * queue.slots
            all_of = "the only slot" if slots == 1 else f"all {slots} slots"
            verb = "is" if slots == 1 else "are"
            text = f"{all_of} of the queue's workers {verb} busy: {self._hands()}"
            yield Reason(word="busy", text=text)

    def _hands(self) -> str:
        queue = self._queue
        shown = [
            f"{each.task} {each.job}"
            + (f" for {words(max(0, queue.now - each.since) / 1000)}" if each.since else "")
            for each in queue.busy
        ]
        more = queue.active - len(queue.busy)
        return ", ".join(shown) + (f" and {more} more" if more > 0 else "")

    def start(self, reasons: list[Reason]) -> tuple[int | None, str]:
        """Say when it starts: not before all that holds it back has ended, and then its turn."""
        queue = self._queue
        if holding := [each for each in reasons if each.holds]:
            return None, f"not before that has changed: {', '.join(r.word for r in holding)}"
        earliest = max((each.until for each in reasons if each.until), default=queue.now)
        if not queue.ahead:
            if earliest > queue.now:
                return earliest, self._instant(earliest)
            if queue.idle:
                return queue.now, "now: it is the next, and a slot is free"
            return None, "as soon as a slot is free: it is the next"
        if not queue.pace:
            return None, "unknown: nothing has ended in this queue lately, so there is no pace"
        at = earliest + round(queue.ahead / queue.pace * 1000)
        return at, f"about {self._instant(at)}, at that pace"

    def deadline(self, starts_at: int | None) -> Iterator[Reason]:
        """Say that it has to start in time."""
        expires, now = self._job.expires_at, self._queue.now
        if expires is None:
            return
        if expires < now:
            text = f"it had to start until {self._instant(expires)}: it will be dead, cause expired"
            yield Reason(word="expired", text=text)
            return
        late = starts_at is not None and starts_at > expires
        text = f"it has to start until {self._instant(expires)}, or it is dead"
        yield Reason(
            word="expires", text=text + (", and that is too late" if late else ""), until=expires
        )

    # --- a job that runs, or has ended ---

    def active(self) -> Iterator[Reason]:
        """Say who runs it, and whether that one lives."""
        job, queue = self._job, self._queue
        mine = next((each for each in queue.busy if each.job == job.id), None)
        where = f"worker {job.worker}" if job.worker else "a worker"
        text = f"{where} has it"
        if mine is not None and mine.since is not None:
            text += f" since {self._instant(mine.since)}, by claim {mine.claim}"
        yield Reason(word="active", text=text)
        lease = queue.leases.get(job.worker or "")
        if lease == 0:
            text = "that worker has ended: its jobs are being given back"
            yield Reason(word="released", text=text)
        elif lease is not None and lease < queue.now:
            yield Reason(
                word="lease_ended",
                text=f"nobody has renewed that worker's lease, which ended {self._instant(lease)}: "
                "any daemon takes the job back",
                do="see that one runs: `jobd status`",
            )
        if job.cancel_asked_at is not None:
            text = (
                f"it was cancelled {self._instant(job.cancel_asked_at)}, while it ran, and told so"
            )
            do = f"`jobd jobs cancel --force {job.id}` ends its process"
            yield Reason(word="cancel_asked", text=text, do=do)

    def ended(self) -> Iterator[Reason]:
        """Say how it ended, and what may be done about it."""
        job = self._job
        at = "" if job.finished_at is None else f" {self._instant(job.finished_at)}"
        retry = f"`jobd jobs retry {job.id}` runs it again"
        if job.state == COMPLETED:
            yield Reason(word="completed", text=f"it has run, and ended well{at}")
        elif job.state == CANCELLED:
            yield Reason(word="cancelled", text=f"it was cancelled{at}", do=retry)
        else:
            cause = job.cause or "?"
            meaning = DEAD_CAUSES.get(cause, "of another version of jobd")
            text = f"it died{at} of {cause}: {meaning}"
            if job.error:
                text += f"; {_short(job.error)}"
            see = f"`jobd jobs show {job.id}` tells its history; "
            yield Reason(word="dead", text=text, do=see + retry)


def _short(error: str | None) -> str:
    line = " ".join((error or "").split())
    return line if len(line) <= 200 else line[:199] + "…"


def _times(n: int) -> str:
    return "once" if n == 1 else f"{n} times"


def _pace(a_second: float) -> str:
    return f"{a_second:.3g} a second" if a_second >= 1 else f"{a_second * 60:.3g} a minute"
