"""A queue's schedules: put, looked at, paused and run by any program, at any time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jobd.broker.schedule_records import ScheduleInfo
from jobd.broker.schedules import ScheduleStore
from jobd.client.adding import Defaults, handle_of
from jobd.client.handle import JobHandle
from jobd.client.payload import encode_payload
from jobd.client.producer import Producer
from jobd.client.task import Task
from jobd.core.durations import Duration
from jobd.core.errors import DeclarationError, NotSerializable, OptionError
from jobd.core.schedule import Schedule, read_name, read_schedule
from jobd.core.suggest import nearest, one_of


class Schedules:
    """What is scheduled on one queue. Made by `Queue.schedules`; every call is one or two to Redis."""

    def __init__(
        self, producer: Producer, queue: str, defaults_of: Callable[[str], Defaults]
    ) -> None:
        """`defaults_of` gives what holds for a task by its name."""
        self._producer = producer
        self._queue = queue
        self._defaults_of = defaults_of

    @property
    def _store(self) -> ScheduleStore:
        return self._producer.schedules(self._queue)

    def put(
        self,
        name: str,
        task: str | Task[Any, Any],
        args: Mapping[str, Any] | None = None,
        *,
        cron: str | None = None,
        every: Duration | None = None,
        tz: str | None = None,
        missed: str = "latest",
        **options: Any,
    ) -> str:
        """Make a schedule, or change the one of that name; the same again changes nothing.

        It adds a job for `task` at each slot of `cron` (five fields, in the zone `tz`; default UTC)
        or of `every` (counted from 1970). `options`: priority, expires, and those of a job's run.
        Answers `created`, `changed` or `same`. It stays until it is removed.

        Raises OptionError, NotSerializable, PayloadTooLarge, BrokerUnavailable.
        """
        read_name(name)
        chosen = task.name if isinstance(task, Task) else task
        priority, unique, names = self._defaults_of(chosen)
        schedule = read_schedule(
            name, chosen, args=encode_args(task, args, what=f"schedule {name!r}"),
            cron=cron, every=every, tz=tz, missed=missed,
            priority=priority, unique=unique, names=names, options=options,
        )  # fmt: skip
        store = self._store
        store.register()
        return store.put(schedule)

    def get(self, name: str) -> ScheduleInfo | None:
        """Read one; None when there is none of that name. Raises BrokerError."""
        return self._store.get(read_name(name))

    def list(self) -> list[ScheduleInfo]:
        """Read all of this queue, by name. Raises BrokerError."""
        return self._store.all()

    def remove(self, name: str) -> str:
        """Take one away; its jobs stay. Answers `removed` or `gone`. Raises BrokerError.

        One that code or jobd.toml declares comes back within a minute: pause it, or take it out there.
        """
        return self._store.remove(read_name(name))

    def pause(self, name: str) -> str:
        """Fire it no more for now; what would have fired until `resume` is not made up for.

        Answers `paused` or `gone`. Raises BrokerError.
        """
        return self._store.pause(read_name(name))

    def resume(self, name: str) -> str:
        """Fire it again. Answers `resumed`, `running` or `gone`. Raises BrokerError."""
        return self._store.resume(read_name(name))

    def run(self, name: str) -> JobHandle[Any]:
        """Add its job now, beside its slots, paused or not; give the job's handle.

        Raises OptionError when there is no such schedule, BrokerUnavailable, StoreFull.
        """
        store = self._store
        added = store.add_now(read_name(name), self._producer.new_id())
        if added is None:
            known = [each.name for each in store.all()]
            expected = f"expected {one_of(known)}{nearest(name, known)}" if known else "it has none"
            raise OptionError(f"schedule {name!r}: not on queue {self._queue!r}; {expected}")
        return handle_of(self._producer, self._queue, *added)


def encode_args(task: str | Task[Any, Any], args: Mapping[str, Any] | None, *, what: str) -> bytes:
    """Write a schedule's arguments; checked, where the task is known.

    Raises NotSerializable, PayloadTooLarge, and DeclarationError for what the task does not take.
    """
    if args is not None and not isinstance(args, Mapping):
        raise NotSerializable(
            f"{what}: args {args!r:.80}; expected a dict by parameter name, as in {{'user_id': 7}}"
        )
    if not isinstance(task, Task):
        return encode_payload(args or {}, what=f"{what}: args")
    try:
        return task.signature.encode((), dict(args or {}))
    except NotSerializable:
        raise
    except TypeError as error:
        raise DeclarationError(f"{what}: args: {error}") from error


class Declaring:
    """The schedules that a queue's code declares, each read when it is declared."""

    def __init__(self, queue: str) -> None:
        self._queue = queue
        self.found: dict[str, Schedule] = {}

    def declare(
        self,
        task: Task[Any, Any],
        name: str | None,
        args: Mapping[str, Any] | None,
        options: Mapping[str, object],
        **timing: object,
    ) -> None:
        """Note one. Raises OptionError, DeclarationError."""
        chosen = read_name(task.name if name is None else name)
        what = f"schedule {chosen!r}"
        if chosen in self.found:
            raise DeclarationError(
                f"{what}: declared twice on queue {self._queue!r}; expected one a name; give the "
                "second a name of its own, as in name='digest-on-monday'"
            )
        if task.queue != self._queue:
            raise DeclarationError(
                f"{what}: task {task.name!r} belongs to queue {task.queue!r}; expected one of queue "
                f"{self._queue!r}; declare the schedule with that queue"
            )
        self.found[chosen] = read_schedule(
            chosen, task.name, args=encode_args(task, args, what=what),
            priority=task.priority, unique=task.unique, names=task.signature.names, options=options, **timing,
        )  # fmt: skip
