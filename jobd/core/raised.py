"""What a task raises to say how its run is to end: Retry, Discard, Snooze, Throttle.

They are exceptions like any other on their way out of a task, so an `except Exception` in between
catches them. A duration that makes no sense is refused where it is written. jobd.core.verdict
says what becomes of the job.
"""

from __future__ import annotations

from jobd.core.durations import Duration, seconds, words

# A task that snoozes costs nothing but Redis' and a worker's time: it may not spin.
SHORTEST_SNOOZE = 1.0
# No answer of a remote service stops a queue for longer without somebody having looked.
SHORTEST_THROTTLE, LONGEST_THROTTLE = 0.1, 86_400.0


class Asked(Exception):
    """Something that a task asks for by raising it. `why` is for people."""

    why = ""

    def __str__(self) -> str:
        text = self.why or self._otherwise()
        # What it was raised for is what people look for in a list of jobs.
        cause = self.__cause__ or (None if self.__suppress_context__ else self.__context__)
        return text if cause is None else f"{text} ({type(cause).__name__}: {cause})"

    def _otherwise(self) -> str:
        return "asked for by the task"


class Retry(Asked):
    """Run the job again: `raise Retry(after="5m")`, or by its back-off without `after`.

    It is a failed attempt and uses one up; with none left the job is dead, cause `failed`. It goes
    before `retry_on` and `give_up_on`.
    """

    after: float | None = None

    def __init__(self, after: Duration | None = None, *, why: str = "") -> None:
        super().__init__(after)
        self.after = None if after is None else seconds(after, what="Retry: after")
        self.why = why

    def _otherwise(self) -> str:
        return "asked to run again" + ("" if self.after is None else f" after {words(self.after)}")


class Discard(Asked):
    """The job is of no use any more: dead at once with cause `discarded`, and no failed attempt."""

    def __init__(self, why: str = "") -> None:
        super().__init__(why)
        self.why = why

    def _otherwise(self) -> str:
        return "discarded by the task"


class Snooze(Asked):
    """Not now: run the job later, at no cost: `raise Snooze("1h")`.

    It uses up no attempt and has a counter of its own. A delay under a second is a second.
    """

    delay: float = SHORTEST_SNOOZE

    def __init__(self, delay: Duration, *, why: str = "") -> None:
        super().__init__(delay)
        self.delay = max(SHORTEST_SNOOZE, seconds(delay, what="Snooze"))
        self.why = why

    def _otherwise(self) -> str:
        return f"snoozed for {words(self.delay)}"


class Throttle(Asked):
    """Somebody asks us to slow down (HTTP 429, Retry-After): `raise Throttle("30s")`.

    Nothing of the queue is claimed by anybody before then. The job itself goes back to its place in
    line and uses up no attempt. Who asks for longer goes before; nobody makes it shorter, but
    `Queue.resume`. From 100 ms to 24 hours: less is 100 ms, more is 24 hours.
    """

    delay: float = SHORTEST_THROTTLE

    def __init__(self, delay: Duration, *, why: str = "") -> None:
        super().__init__(delay)
        asked_for = seconds(delay, what="Throttle")
        self.delay = min(LONGEST_THROTTLE, max(SHORTEST_THROTTLE, asked_for))
        self.why = why

    def _otherwise(self) -> str:
        return f"asked the whole queue to wait for {words(self.delay)}"


def asked(error: BaseException | None) -> Asked | None:
    """Give what the task asked for, if it did: also as the only member of an exception group,
    which is how it comes out of an asyncio.TaskGroup."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error if isinstance(error, Asked) else None
