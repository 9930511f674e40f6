"""A named line of jobs, and the tasks declared on it."""

from __future__ import annotations

import inspect
from collections.abc import (
    AsyncIterable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from typing import Any, ParamSpec, TypeAlias, TypeVar, overload

from jobd.broker.finding import Wanted
from jobd.broker.flow import Flow
from jobd.broker.new_job import NewJob
from jobd.client.added import Added, Handles, Progress
from jobd.client.adding import SAYS_NOTHING, CallOptions, Defaults, handle_of, is_fresh
from jobd.client.chunks import check_all, one_by_one, read_chunks, read_chunks_async
from jobd.client.decorators import ScheduleDecorator, TaskDecorator
from jobd.client.handle import JobHandle
from jobd.client.hold import read_hold, was_paused
from jobd.client.many import add_chunks, add_chunks_async
from jobd.client.operate import How, carry_out
from jobd.client.payload import encode_payload
from jobd.client.producer import Producer
from jobd.client.schedules import Declaring, Schedules
from jobd.client.task import AsyncTask, Task
from jobd.core.durations import Duration, milliseconds
from jobd.core.errors import (
    DeclarationError,
    NotSerializable,
    OptionError,
)
from jobd.core.limits import read_limits
from jobd.core.names import RESERVED, check_name, check_task
from jobd.core.options import (
    QUEUE_OPTIONS,
    TASK_OPTIONS,
    check_known,
    check_timeouts,
    read_priority,
    read_run_options,
    resolve,
)
from jobd.core.schedule import Schedule
from jobd.core.states import DEAD, STATES
from jobd.core.suggest import nearest, one_of
from jobd.core.unique import check_by, read_unique

P = ParamSpec("P")
R = TypeVar("R")

# One job or many, by handle or by id.
Jobs: TypeAlias = "str | JobHandle[Any] | Iterable[str | JobHandle[Any]]"

Addition = tuple[str, Mapping[str, Any]] | tuple[str, Mapping[str, Any], Mapping[str, Any]]
_ADDITION = (tuple, list)  # a union would be made anew for each job


class Queue:
    """A queue of an application. Made by `Jobd.queue`.

    Options given here hold for every task of the queue: attempts, backoff, retry_on, give_up_on,
    timeout, soft_timeout, max_crashes, retain, priority. `rate_limit` (`{"max": 100, "per": "1m"}`: so
    many starts in any minute) and `max_active` (so many jobs at once) bound the whole queue, over all
    hosts.
    """

    def __init__(self, producer: Producer, name: str, options: Mapping[str, object]) -> None:
        what = f"queue {name!r}"
        check_known(options, QUEUE_OPTIONS, what=what)
        self.name = check_name(name, what="queue")
        self.options = read_run_options(options, what=what)
        own = resolve(self.options)
        check_timeouts(own.soft_timeout, own.timeout, what=what)
        self.limits = read_limits(options, what=what)
        self.priority = read_priority(options.get("priority", 5), what=what)
        self._defaults = Defaults(self.priority)
        self.tasks: dict[str, Task[Any, Any]] = {}
        self._declaring = Declaring(self.name)
        self._producer = producer

    def __repr__(self) -> str:
        return f"<Queue {self.name}: {len(self.tasks)} tasks>"

    def task(self, name: str | None = None, /, **options: Any) -> TaskDecorator:
        """Declare a task: `@queue.task("name", attempts=3)`, or `@queue.task()` for its own name.

        Raises OptionError and DeclarationError for what cannot work.
        """

        def declare(function: Callable[..., Any], /) -> Any:
            if isinstance(function, Task):
                raise DeclarationError(
                    f"task {function.name!r}: @task above @cron or @every; expected it below, next "
                    "to the function; swap the two lines"
                )
            chosen = check_name(function.__name__ if name is None else name, what="task name")
            what = f"task {chosen!r}"
            if chosen.startswith(RESERVED):
                raise DeclarationError(
                    f"{what}: names that begin with {RESERVED!r} are jobd's own; expected another; rename it"
                )
            check_known(options, TASK_OPTIONS, what=what)
            if chosen in self.tasks:
                raise DeclarationError(
                    f"{what}: declared twice on queue {self.name!r}; expected one function a name; "
                    "rename one of them"
                )
            run_options = read_run_options(options, what=what, counts_allowed=False)
            both = resolve(self.options, run_options)
            check_timeouts(both.soft_timeout, both.timeout, what=what)
            kind = AsyncTask if inspect.iscoroutinefunction(function) else Task
            task: Task[Any, Any] = kind(
                self._producer,
                self.name,
                chosen,
                function,
                priority=read_priority(options.get("priority", self.priority), what=what),
                options=run_options,
                policy=both,
                unique=read_unique(options.get("unique"), what=what),
            )
            self.tasks[chosen] = task
            return task

        if callable(name):
            raise DeclarationError("task: @queue.task without parentheses; write @queue.task()")
        return declare

    def cron(
        self,
        line: str,
        /,
        *,
        tz: str = "UTC",
        name: str | None = None,
        args: Mapping[str, Any] | None = None,
        missed: str = "latest",
        **options: Any,
    ) -> ScheduleDecorator:
        """Declare a schedule, above `@queue.task(...)` or on a function: `@queue.cron("0 9 * * *")`.

        `line` has five fields, read in the zone `tz`. `name` is the task's where none is given;
        `args` go to the task; `missed` is what becomes of slots that nobody could fire: skip, latest
        or all. `options` are those of a job: priority, expires, and those of its run.

        Raises OptionError and DeclarationError for what cannot work.
        """
        return self._scheduled(name, args, options, cron=line, tz=tz, missed=missed)

    def every(
        self,
        span: Duration,
        /,
        *,
        name: str | None = None,
        args: Mapping[str, Any] | None = None,
        missed: str = "latest",
        **options: Any,
    ) -> ScheduleDecorator:
        """Declare a schedule of fixed intervals, counted from 1970-01-01T00:00Z; else as `cron`."""
        return self._scheduled(name, args, options, every=span, missed=missed)

    @property
    def schedules(self) -> Schedules:
        """The schedules of this queue, in Redis: put, get, list, remove, pause, resume, run."""
        return Schedules(self._producer, self.name, self._defaults_of)

    @property
    def declared(self) -> Mapping[str, Schedule]:
        """The schedules that this program's code declares, by name. Daemons put them in force."""
        return self._declaring.found

    def _scheduled(
        self,
        name: str | None,
        args: Mapping[str, Any] | None,
        options: Mapping[str, object],
        **timing: object,
    ) -> ScheduleDecorator:
        def declare(function: Any, /) -> Any:
            task = function if isinstance(function, Task) else self.task()(function)
            self._declaring.declare(task, name, args, options, **timing)
            return task

        return declare

    def _defaults_of(self, task: str) -> Defaults:
        declared = self.tasks.get(task)
        return self._defaults if declared is None else declared.defaults

    def add(
        self, task: str, args: Mapping[str, Any] | None = None, **options: Any
    ) -> JobHandle[Any]:
        """Add a job by its task's name, also of a task this program does not know.

        Raises OptionError, NotSerializable, PayloadTooLarge, BrokerUnavailable, StoreFull.
        """
        call = CallOptions(options, what=f"task {task!r}") if options else SAYS_NOTHING
        job = self._new(task, args or {}, call)
        [word] = self._producer.add(self.name, [job], fresh=is_fresh(job, call))
        return handle_of(self._producer, self.name, job, word)

    async def aadd(
        self, task: str, args: Mapping[str, Any] | None = None, **options: Any
    ) -> JobHandle[Any]:
        """Add a job by its task's name without blocking the event loop."""
        call = CallOptions(options, what=f"task {task!r}") if options else SAYS_NOTHING
        job = self._new(task, args or {}, call)
        [word] = await self._producer.add_async(self.name, [job], fresh=is_fresh(job, call))
        return handle_of(self._producer, self.name, job, word)

    @overload
    def add_many(self, jobs: Sequence[Addition], *, progress: Progress = None) -> Handles: ...
    @overload
    def add_many(self, jobs: Iterable[Addition], *, progress: Progress = None) -> Added: ...
    def add_many(self, jobs: Iterable[Addition], *, progress: Progress = None) -> Added:
        """Add many jobs, each (task, args) or (task, args, options); a round trip per 1,000, or per
        256 KiB of arguments.

        Of a list (any sequence) all are checked before the first is added, and a list of handles is
        given back. Any other iterable may be of any length: its jobs are checked and added as they
        come, in constant memory, and only their numbers are given back; where it raises, or a job is
        bad, those before it are in, and a note of the error says how many.

        `progress` is called after each round trip with what is given back at the end: its length is
        how many are in by then. Raises as `add` does;
        a BrokerError says what is in (`added`), and the ids with which what failed may safely be
        added again (`job_ids`).
        """
        producer, name = self._producer, self.name
        if isinstance(jobs, Sequence):
            handles = Handles(producer, name)
            return add_chunks(producer, name, check_all(jobs, self._read), handles, progress)
        return add_chunks(producer, name, read_chunks(jobs, self._read), Added(), progress)

    @overload
    async def aadd_many(
        self, jobs: Sequence[Addition], *, progress: Progress = None
    ) -> Handles: ...
    @overload
    async def aadd_many(
        self, jobs: Iterable[Addition] | AsyncIterable[Addition], *, progress: Progress = None
    ) -> Added: ...
    async def aadd_many(
        self, jobs: Iterable[Addition] | AsyncIterable[Addition], *, progress: Progress = None
    ) -> Added:
        """Add many jobs without blocking the event loop for longer than it takes to encode 1,000.

        As `add_many`; they may also come from an asynchronous iterator.
        """
        producer, name = self._producer, self.name
        if isinstance(jobs, Sequence):
            checked = one_by_one(check_all(jobs, self._read))
            handles = Handles(producer, name)
            return await add_chunks_async(producer, name, checked, handles, progress)
        coming = jobs if isinstance(jobs, AsyncIterable) else one_by_one(jobs)
        chunks = read_chunks_async(coming, self._read)
        return await add_chunks_async(producer, name, chunks, Added(), progress)

    def check(self, job: Addition) -> None:
        """Raise what adding this job would raise before anything is sent, and do nothing else."""
        self._read(job)

    def job(self, job_id: str) -> JobHandle[Any]:
        """Give the handle of a job by its id, to look at it, cancel it, retry it. Asks nobody."""
        return JobHandle(self._producer, self.name, check_name(job_id, what="job id"), "known")

    def find(
        self,
        state: str = DEAD,
        *,
        task: str | None = None,
        error: str | None = None,
        group: str | None = None,
        older_than: Duration | None = None,
    ) -> Iterator[JobHandle[Any]]:
        """Give the jobs in one state, by task, by a part of their error, by group, and by age.

        The age of an ended job counts from its end, of others from their adding. Jobs may be changed
        while they are found. Raises OptionError, BrokerError.
        """
        if state not in STATES:
            raise OptionError(f"state {state!r}; expected {one_of(STATES)}{nearest(state, STATES)}")
        age = None if older_than is None else milliseconds(older_than, what="older_than")
        wanted = Wanted(task=task, error=error, group=group, older_than_ms=age)
        for _, page in self._producer.finder(self.name).pages((state,), wanted):
            for found in page:
                yield JobHandle(self._producer, self.name, found.id, "known")

    def cancel(self, jobs: Jobs, *, force: bool = False) -> dict[str, str]:
        """Cancel one job or many, by handle or id; a word for each, as `JobHandle.cancel` gives."""
        return self._each("cancel", jobs, force=force)

    def retry(self, jobs: Jobs) -> dict[str, str]:
        """Put dead or cancelled jobs back in line; a word for each."""
        return self._each("retry", jobs)

    def delete(self, jobs: Jobs) -> dict[str, str]:
        """Remove the records of jobs that have ended; a word for each."""
        return self._each("delete", jobs)

    def run_now(self, jobs: Jobs) -> dict[str, str]:
        """Let delayed jobs run as soon as workers are free; a word for each."""
        return self._each("run-now", jobs)

    def pause(self, *, task: str | None = None, why: str = "") -> bool:
        """Let nothing more of the queue begin, or of one of its tasks; False when it was so already.

        Once this has returned nothing is claimed; what was claimed before has started within 100 ms
        or is back in line. It holds for all hosts until `resume`, also over restarts. Any name is a
        task, whether somebody declares it or not. Raises OptionError, BrokerError.
        """
        word = self._producer.store(self.name).pause(*read_hold(self.name, task, why))
        return was_paused(word, self.name)

    async def apause(self, *, task: str | None = None, why: str = "") -> bool:
        """Pause without blocking the event loop."""
        word = await self._producer.pause_async(self.name, *read_hold(self.name, task, why))
        return was_paused(word, self.name)

    def resume(self, *, task: str | None = None) -> bool:
        """Let it go on: the queue (also when a task has asked it to wait by Throttle), or a task,
        whose jobs are all back at their places in line then. False when nothing held it back.

        Raises OptionError, BrokerError.
        """
        name, _ = read_hold(self.name, task, "")
        return self._producer.store(self.name).resume(name) == "resumed"

    async def aresume(self, *, task: str | None = None) -> bool:
        """Resume without blocking the event loop."""
        name, _ = read_hold(self.name, task, "")
        return await self._producer.resume_async(self.name, name) == "resumed"

    def flow(self) -> Flow:
        """Read what holds the queue back: pauses, a wait, its limits. Raises BrokerError."""
        return self._producer.views().flow(self.name)

    def _each(self, verb: str, jobs: Jobs, *, force: bool = False) -> dict[str, str]:
        given = (jobs,) if isinstance(jobs, str | JobHandle) else jobs
        ids = (job if isinstance(job, str) else job.id for job in given)
        return dict(carry_out(verb, self._producer.store(self.name), ids, How(force=force)))

    def _read(self, addition: Addition) -> tuple[NewJob, bool]:
        call = SAYS_NOTHING
        if not isinstance(addition, _ADDITION) or not 2 <= len(addition) <= 3:
            raise TypeError(
                f"job {addition!r:.80}; expected (task, args) or (task, args, options), "
                "as in ('welcome', {'user_id': 7}, {'priority': 1})"
            )
        if len(addition) == 3:
            if not isinstance(addition[2], Mapping):
                raise OptionError(
                    f"options of task {addition[0]!r:.80}: {addition[2]!r:.80}; expected a dict, as in "
                    "{'priority': 1}; leave it out where there is none"
                )
            call = CallOptions(addition[2], what=f"task {addition[0]!r}")
        job = self._new(addition[0], addition[1], call)
        return job, is_fresh(job, call)

    def _new(self, task: str, args: Mapping[str, Any], call: CallOptions) -> NewJob:
        priority, unique, names = self._defaults_of(task)
        if names is None:
            check_task(task, what="task name")
        if not isinstance(args, Mapping):
            raise NotSerializable(
                f"arguments of task {task!r}: {type(args).__name__}; expected a dict by parameter "
                "name, as in {'user_id': 7}"
            )
        if call.unique is not None:
            check_by(call.unique, args if names is None else names, what=f"task {task!r}")
        job = NewJob(
            call.job_id or self._producer.new_id(),
            task,
            encode_payload(args, what=f"arguments of task {task!r}"),
            priority if call.priority is None else call.priority,
            call.due,
            call.encoded,
        )
        return call.applied(job, unique)
