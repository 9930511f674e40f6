"""What was added, and asserts about it that say what was added instead.

A task is named by its name, or given itself, which also says the queue. Arguments are compared as
they travel: `user_id=UUID(...)` is the string it becomes, and what an assert does not name may be
anything. Options are attributes of the job that an assert gives back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias, overload

import msgspec

from jobd.broker.new_job import NewJob
from jobd.client.adding import outcome_of
from jobd.client.app import Jobd
from jobd.client.task import Task
from jobd.core.durations import words
from jobd.core.errors import UnknownTask
from jobd.core.suggest import nearest
from jobd.seams.clock import utc
from jobd.testing.entries import terms_of

AnyTask: TypeAlias = "str | Task[Any, Any]"

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class AddedJob:
    """One add, as the producer said it. `delay` in seconds; `args` as JSON values.

    `expires` is seconds from its adding, or an instant. `unique` is until when its lock holds: finished,
    started or ttl; None without one. `options` are the others that travel with it: group, meta, attempts,
    timeout and so on.
    """

    id: str
    queue: str
    task: str
    args: dict[str, Any]
    outcome: str = "enqueued"
    priority: int = 5
    delay: float | None = None
    run_after: datetime | None = None
    expires: float | datetime | None = None
    unique: str | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        said = {
            "priority": None if self.priority == 5 else self.priority,
            "delay": None if self.delay is None else words(self.delay),
            "run_after": self.run_after,
            "expires": words(self.expires) if isinstance(self.expires, float) else self.expires,
            "unique": self.unique,
            **self.options,
        }
        options = "".join(f"  {name}={value}" for name, value in said.items() if value is not None)
        outcome = "" if self.outcome == "enqueued" else f"  ({self.outcome})"
        return f"{self.queue}: {_call(self.task, self.args)}{options}{outcome}"


def read_added(queue: str, job: NewJob, word: bytes) -> AddedJob:
    """Read an add as the producer spelled it, and the word it was answered with."""
    due, _, until = job.due.partition("x")
    delay, run_after = _time(due)
    span, instant = _time(until)
    outcome, job_id = outcome_of(job, word)
    return AddedJob(
        id=job_id,
        queue=queue,
        task=job.task,
        args=msgspec.json.decode(job.args),
        outcome=outcome,
        priority=job.priority,
        delay=delay,
        run_after=run_after,
        expires=instant if span is None else span,
        unique=terms_of(job).lock.partition(" ")[0] or None,
        options=msgspec.json.decode(job.options) if job.options else {},
    )


def _time(said: str) -> tuple[float | None, datetime | None]:
    if not said:
        return None, None
    if said.startswith("+"):
        return int(said) / 1000, None
    return None, utc(int(said) / 1000)


class Added(Sequence[AddedJob]):
    """What was added since the block began, in order. Duplicates are there, and say that they are."""

    def __init__(self, app: Jobd) -> None:
        self._app = app
        self._jobs: list[AddedJob] = []

    def note(self, job: AddedJob) -> None:
        """Write one more down."""
        self._jobs.append(job)

    def clear(self) -> None:
        """Forget what was added so far."""
        self._jobs.clear()

    @overload
    def __getitem__(self, index: int) -> AddedJob: ...
    @overload
    def __getitem__(self, index: slice) -> list[AddedJob]: ...
    def __getitem__(self, index: int | slice) -> AddedJob | list[AddedJob]:
        return self._jobs[index]

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[AddedJob]:
        return iter(self._jobs)

    def __repr__(self) -> str:
        return f"<Added: {len(self)} jobs>\n{self._listed()}"

    def of(self, task: AnyTask, /, **args: Any) -> list[AddedJob]:
        """Give the jobs of a task whose arguments are these, whatever their others are.

        Duplicates are left out. Raises UnknownTask and TypeError for a name that is a slip.
        """
        name, queue = (task.name, task.queue) if isinstance(task, Task) else (task, None)
        self._refuse_slips(task, name, args)
        return [
            job
            for job in self._jobs
            if job.task == name and queue in (None, job.queue) and job.outcome != "duplicate"
            and not _differences(job.args, args)
        ]  # fmt: skip

    def assert_one(self, task: AnyTask, /, **args: Any) -> AddedJob:
        """Give the one job of a task with these arguments. Raises AssertionError."""
        __tracebackhide__ = True
        return self.assert_count(1, task, **args)[0]

    def assert_some(self, task: AnyTask, /, **args: Any) -> list[AddedJob]:
        """Give the jobs of a task with these arguments, one at least. Raises AssertionError."""
        __tracebackhide__ = True
        if found := self.of(task, **args):
            return found
        raise AssertionError(self._why(task, args, "none was added; expected one at least"))

    def assert_count(self, count: int, task: AnyTask, /, **args: Any) -> list[AddedJob]:
        """Give the jobs of a task with these arguments, exactly so many. Raises AssertionError."""
        __tracebackhide__ = True
        found = self.of(task, **args)
        if len(found) == count:
            return found
        said = f"{len(found) or 'none'} {'was' if len(found) < 2 else 'were'} added"
        raise AssertionError(self._why(task, args, f"{said}; expected {count or 'none'}"))

    def assert_none(self, task: AnyTask | None = None, /, **args: Any) -> None:
        """See that no such job was added; without a task: none at all. Raises AssertionError."""
        __tracebackhide__ = True
        if task is not None:
            self.assert_count(0, task, **args)
        elif self._jobs:
            raise AssertionError(f"{len(self)} added; expected none\n{self._listed()}")

    def _refuse_slips(self, task: AnyTask, name: str, args: dict[str, Any]) -> None:
        """A misspelled name would make `assert_none` true for ever."""
        tasks = [each for queue in self._app.queues.values() for each in queue.tasks.values()]
        known = {*(each.name for each in tasks), *(job.task for job in self._jobs)}
        if isinstance(task, str) and name not in known and (hint := nearest(name, known)):
            raise UnknownTask(
                f"task {name!r}: neither declared nor added; expected one that is{hint}"
            )
        namesakes = [task] if isinstance(task, Task) else [t for t in tasks if t.name == name]
        if not any(each.signature.takes(args) for each in namesakes):
            for each in namesakes:
                each.signature.refuse_unknown(args)

    def _why(self, task: AnyTask, args: dict[str, Any], what: str) -> str:
        name = task.name if isinstance(task, Task) else task
        return f"{_call(name, args)}: {what}\n{self._listed(name, args)}"

    def _listed(self, task: str = "", args: dict[str, Any] | None = None) -> str:
        """List what was added; of the task that was asked for, with what is different."""
        if not self._jobs:
            return "nothing was added"
        # What is most like what was asked for comes first.
        lines = sorted(self._jobs, key=lambda job: job.task != task)
        shown = ["added were:", *(_line(job, task, args or {}) for job in lines[:_SHOWN])]
        if len(lines) > _SHOWN:
            shown.append(f"  ... and {len(lines) - _SHOWN} more")
        return "\n".join(shown)


def _line(job: AddedJob, task: str, args: dict[str, Any]) -> str:
    wrong = _differences(job.args, args) if job.task == task else []
    return f"  {job}" + (f"  <- {'; '.join(wrong)}" if wrong else "")


def _differences(given: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    return [
        f"{name} is {given[name]!r}" if name in given else f"no {name}"
        for name, value in wanted.items()
        if name not in given or not _same(given[name], value)
    ]


def _same(given: Any, wanted: Any) -> bool:
    if wanted == given:  # also what compares itself: unittest.mock.ANY, pytest.approx
        return True
    try:
        return bool(msgspec.json.decode(msgspec.json.encode(wanted)) == given)
    except (TypeError, ValueError, OverflowError):
        return False


def _call(task: str, args: dict[str, Any]) -> str:
    return f"{task}({', '.join(f'{name}={value!r}' for name, value in args.items())})"
