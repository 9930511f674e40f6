"""A registered function, and the ways to add a job for it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Generic, ParamSpec, TypeVar

import msgspec

from jobd.broker.commands import NewJob
from jobd.client.handle import JobHandle
from jobd.client.producer import Producer
from jobd.client.signature import Signature
from jobd.core.errors import DeclarationError
from jobd.core.options import (
    ADD_OPTIONS,
    CODE_OPTIONS,
    RUN_OPTIONS,
    Policy,
    RunOptions,
    check_known,
    check_timeouts,
    read_job_id,
    read_priority,
    read_run_options,
    read_times,
    write_run_options,
)

P = ParamSpec("P")
R = TypeVar("R")

CALL_OPTIONS = (*ADD_OPTIONS, *RUN_OPTIONS, *CODE_OPTIONS)


class CallOptions:
    """What one call says: read once, applied to a job."""

    __slots__ = ("due", "encoded", "job_id", "priority")

    def __init__(self, given: Mapping[str, object], *, what: str) -> None:
        check_known(given, CALL_OPTIONS, what=what)
        self.job_id = (
            None if given.get("job_id") is None else read_job_id(given["job_id"], what=what)
        )
        self.due = read_times(given, what=what)
        self.priority = (
            None if given.get("priority") is None else read_priority(given["priority"], what=what)
        )
        run = read_run_options(given, what=what, counts_allowed=False)
        said = write_run_options(run, what=what)
        self.encoded = msgspec.json.encode(said) if said else b""


_NONE = CallOptions({}, what="call")


class Task(Generic[P, R]):
    """A function that jobs can run. Made by `Queue.task`; calling it runs the function here and now."""

    def __init__(
        self,
        producer: Producer,
        queue: str,
        name: str,
        function: Callable[..., R],
        *,
        priority: int,
        options: RunOptions,
        policy: Policy,
    ) -> None:
        """`policy` is what these and the queue's options in code make together."""
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise DeclarationError(
                f"task {name!r}: a generator function; expected a plain one, for nobody would run "
                "what it yields; return a list"
            )
        self.queue = queue
        self.name = name
        self.function = function
        self.is_async = inspect.iscoroutinefunction(function)
        """Whether it is an `async def`: then workers run it on an event loop."""
        self.options = options
        self.policy = policy
        self.priority = priority
        self.signature = Signature(function, name=name)
        self._producer = producer
        self.__doc__ = function.__doc__

    def __repr__(self) -> str:
        return f"<Task {self.name} in {self.queue}>"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself, without any job."""
        return self.function(*args, **kwargs)

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]:
        """Add a job; give its handle. Raises TypeError, NotSerializable, PayloadTooLarge,
        BrokerUnavailable, StoreFull."""
        return self._add(_NONE, args, kwargs)

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]:
        """Add a job without blocking the event loop."""
        return await self._add_async(_NONE, args, kwargs)

    def using(self, **options: Any) -> Call[P, R]:
        """Give the same task with options for this call: `using(delay="5m").enqueue(...)`.

        Raises OptionError for an unknown option or a value that makes no sense.
        """
        what = f"task {self.name!r}"
        call = CallOptions(options, what=what)
        if "timeout" in options or "soft_timeout" in options:
            said = read_run_options(options, what=what, counts_allowed=False)
            soft, hard = said.soft_timeout, said.timeout
            check_timeouts(
                self.policy.soft_timeout if soft is None else soft,
                self.policy.timeout if hard is None else hard,
                what=what,
            )
        return Call(self, call)

    def _new(self, options: CallOptions, args: tuple[Any, ...], kwargs: dict[str, Any]) -> NewJob:
        return NewJob(
            options.job_id or self._producer.new_id(),
            self.name,
            self.signature.encode(args, kwargs),
            self.priority if options.priority is None else options.priority,
            options.due,
            options.encoded,
        )

    def _add(
        self, options: CallOptions, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> JobHandle[R]:
        job = self._new(options, args, kwargs)
        [added] = self._producer.add(self.queue, [job], fresh=options.job_id is None)
        return JobHandle(self._producer, self.queue, job.id, "enqueued" if added else "duplicate")

    async def _add_async(
        self, options: CallOptions, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> JobHandle[R]:
        job = self._new(options, args, kwargs)
        [added] = await self._producer.add_async(self.queue, [job], fresh=options.job_id is None)
        return JobHandle(self._producer, self.queue, job.id, "enqueued" if added else "duplicate")


class AsyncTask(Task[P, R]):
    """A task that is an `async def`: its jobs have the awaited result, calling it gives a coroutine."""

    def __call__(  # type: ignore[override]  # R is what its jobs give; a call here is to be awaited
        self, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, R]:
        """Call the function itself, without any job. Await what it gives."""
        return self.function(*args, **kwargs)  # type: ignore[return-value]


class Call(Generic[P, R]):
    """A task with the options of one call."""

    __slots__ = ("_options", "_task")

    def __init__(self, task: Task[P, R], options: CallOptions) -> None:
        self._task = task
        self._options = options

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]:
        """Add a job; give its handle."""
        return self._task._add(self._options, args, kwargs)

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]:
        """Add a job without blocking the event loop."""
        return await self._task._add_async(self._options, args, kwargs)
