"""A registered function, and the ways to add a job for it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar

from jobd.broker.new_job import NewJob
from jobd.client.adding import SAYS_NOTHING, CallOptions, Defaults, handle_of, is_fresh
from jobd.client.handle import JobHandle
from jobd.client.producer import Producer
from jobd.client.signature import Signature
from jobd.core.errors import DeclarationError
from jobd.core.options import Policy, RunOptions, check_timeouts, read_run_options
from jobd.core.unique import Unique, check_by

P = ParamSpec("P")
R = TypeVar("R")


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
        unique: Unique | None = None,
    ) -> None:
        """`policy` is what these and the queue's options in code make together."""
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise DeclarationError(
                f"task {name!r}: a generator function; expected a plain one, for nobody would run "
                "what it yields; return a list"
            )
        # To help(), inspect and what makes documentation it is the function.
        update_wrapper(self, function, updated=())
        self.queue = queue
        self.name = name
        self.function = function
        self.is_async = inspect.iscoroutinefunction(function)
        """Whether it is an `async def`: then workers run it on an event loop."""
        self.options = options
        self.policy = policy
        self.priority = priority
        self.signature = Signature(function, name=name)
        self.unique = unique
        check_by(unique, self.signature.names, what=f"task {name!r}")
        self.defaults = Defaults(priority, unique, self.signature.names)
        self._producer = producer

    def __repr__(self) -> str:
        return f"<Task {self.name} in {self.queue}>"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself, without any job."""
        return self.function(*args, **kwargs)

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]:
        """Add a job; give its handle. Raises TypeError, NotSerializable, PayloadTooLarge,
        BrokerUnavailable, StoreFull."""
        return self._add(SAYS_NOTHING, args, kwargs)

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]:
        """Add a job without blocking the event loop."""
        return await self._add_async(SAYS_NOTHING, args, kwargs)

    def using(self, **options: Any) -> Call[P, R]:
        """Give the same task with options for this call: `using(delay="5m").enqueue(...)`.

        Raises OptionError for an unknown option or a value that makes no sense.
        """
        what = f"task {self.name!r}"
        call = CallOptions(options, what=what)
        check_by(call.unique, self.signature.names, what=what)
        if "timeout" in options or "soft_timeout" in options:
            said = read_run_options(options, what=what, counts_allowed=False)
            soft, hard = said.soft_timeout, said.timeout
            check_timeouts(
                self.policy.soft_timeout if soft is None else soft,
                self.policy.timeout if hard is None else hard,
                what=what,
            )
        return Call(self, call, options)

    def _new(self, options: CallOptions, args: tuple[Any, ...], kwargs: dict[str, Any]) -> NewJob:
        job = NewJob(
            options.job_id or self._producer.new_id(),
            self.name,
            self.signature.encode(args, kwargs),
            self.priority if options.priority is None else options.priority,
            options.due,
            options.encoded,
        )
        return options.applied(job, self.unique)

    def _add(
        self, options: CallOptions, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> JobHandle[R]:
        job = self._new(options, args, kwargs)
        [word] = self._producer.add(self.queue, [job], fresh=is_fresh(job, options))
        return handle_of(self._producer, self.queue, job, word)

    async def _add_async(
        self, options: CallOptions, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> JobHandle[R]:
        job = self._new(options, args, kwargs)
        fresh = is_fresh(job, options)
        [word] = await self._producer.add_async(self.queue, [job], fresh=fresh)
        return handle_of(self._producer, self.queue, job, word)


class AsyncTask(Task[P, R]):
    """A task that is an `async def`: its jobs have the awaited result, calling it gives a coroutine."""

    def __call__(  # type: ignore[override]  # R is what its jobs give; a call here is to be awaited
        self, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, R]:
        """Call the function itself, without any job. Await what it gives."""
        return self.function(*args, **kwargs)  # type: ignore[return-value]


class Call(Generic[P, R]):
    """A task with the options of one call."""

    __slots__ = ("_given", "_options", "_task")

    def __init__(self, task: Task[P, R], options: CallOptions, given: dict[str, Any]) -> None:
        self._task = task
        self._options = options
        self._given = given

    def using(self, **options: Any) -> Call[P, R]:
        """Give the task with these options too; what is said here goes before. Raises OptionError."""
        return self._task.using(**(self._given | options))

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]:
        """Add a job; give its handle."""
        return self._task._add(self._options, args, kwargs)

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]:
        """Add a job without blocking the event loop."""
        return await self._task._add_async(self._options, args, kwargs)
