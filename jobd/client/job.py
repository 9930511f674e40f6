"""What a task may know about the job it runs for, and what it may say of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from jobd.client.once import Steps
from jobd.core.errors import OptionError

P = ParamSpec("P")
R = TypeVar("R")


class Notes(Protocol):
    """Where a run's words go. Any thread may write, and none of this waits for Redis."""

    def progress(self, fraction: float, text: str) -> None:
        """Note how far the run is."""

    def log(self, text: str) -> None:
        """Note a line."""

    @property
    def steps(self) -> Steps:
        """The run's steps."""


class _Unheard:
    """Of a context that a test has made by itself: nobody listens, and steps are remembered here."""

    __slots__ = ("steps",)

    def __init__(self) -> None:
        self.steps = Steps("?", lambda name, value: [b"recorded"])  # noqa: ARG005

    def progress(self, fraction: float, text: str) -> None:
        pass

    def log(self, text: str) -> None:
        pass


def _read_fraction(value: object) -> float:
    try:
        # NaN is in no range.
        if not isinstance(value, bool | str) and 0 <= value <= 1:  # type: ignore[operator]
            return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        pass  # no number at all
    raise OptionError(f"progress {value!r}; expected a number from 0 to 1, as in done / total")


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Job:
    """The context of a running job: a task's first parameter, when it is annotated `Job`.

    `token` grows with every claim of a queue, also over data loss. Pass it along with writes to
    other systems and let them refuse a lower number than the last: then a worker that was thought
    dead cannot overwrite what its successor wrote (Kleppmann's fencing token).
    """

    id: str
    queue: str
    task: str
    token: int
    attempt: int
    """1 for the first run. Runs that ended in a crash, a loss or a shutdown do not count, nor do
    those that snoozed."""
    max_attempts: int
    enqueued_at: datetime
    deadline: datetime | None
    """When the hard timeout ends the process; None without one."""
    snoozed: int = 0
    """How often the job has asked to run later, with Snooze."""
    group: str | None = None
    """What the call that added it said as `group`."""
    meta: dict[str, Any] = field(default_factory=dict)
    """What the call that added it said as `meta`, as plain JSON values."""
    asks_cancelled: Callable[[], bool] = field(default=_never, repr=False, compare=False)
    notes: Notes = field(default_factory=_Unheard, repr=False, compare=False)

    @property
    def cancelled(self) -> bool:
        """Whether somebody cancelled this job while it runs. True within a second, and from then on.

        Look now and then, it costs a microsecond; clean up and return or raise. A run that has seen
        it ends as cancelled; one that never looks ends as it would have.
        """
        return self.asks_cancelled()

    def progress(self, fraction: float, text: object = "") -> None:
        """Say how far the job is: a number from 0 to 1, and a word about it.

        Returns at once, also on an event loop and from any thread: what is said goes to Redis a few
        times a second, the last word at the latest with the job's end. Said by a run that does not
        hold its job any more, it is dropped. Raises OptionError for what is no such number.
        """
        self.notes.progress(_read_fraction(fraction), str(text))

    def log(self, text: object) -> None:
        """Add a line to the job's log, which is kept with its record; its last 1,000 lines, in 64 KiB.

        Returns at once, as `progress` does. A text of more than 2,000 characters is cut.
        """
        self.notes.log(str(text))

    def once(self, name: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a step of the job unless it succeeded before, in any run; give its value.

        The value is recorded with the job, as JSON, and is what all later runs get instead of
        another call, also after the job died and somebody retried it; so it is plain JSON from the
        first time on. What the function raises is not recorded. A crash between the function's
        effect and the record makes it run again.

        Raises StaleRun when this run does not hold the job any more, BrokerUnavailable when the value
        could not be recorded, ValueNotKept when it cannot be kept: then the step counts as done.
        """
        value: R = self.notes.steps.once(name, function, args, kwargs)
        return value

    @overload
    async def aonce(
        self, name: str, function: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    @overload
    async def aonce(
        self, name: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    async def aonce(
        self, name: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Any:
        """The same for async tasks: the function may be async; a plain one runs in a thread."""
        return await self.notes.steps.aonce(name, function, args, kwargs)
