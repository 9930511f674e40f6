"""Steps of a job that succeed at most once: `job.once` and `job.aonce`.

    first run        the function runs ──► its value is recorded ──► the value
    any later run                     what was recorded is read ──► the value

What is recorded is fenced by the run's claim, so a run that lost its job records nothing and is told
so. Between the effect and its record a crash may fall, and then the step runs again: whoever cannot
have that passes `job.token`, or a key of his own, on to the other system.

Values travel as JSON, also the first time: what a step gives does not depend on which run asks.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Collection
from concurrent.futures import Future
from typing import Any

import msgspec

from jobd.broker.notes import NO_VALUE
from jobd.client.loops import refuse_in_a_loop
from jobd.client.payload import encode_payload
from jobd.core.errors import BrokerUnavailable, OptionError, StaleRun, TaskError, ValueNotKept
from jobd.core.names import check_name

# Records a step's value, or is asked for it with b"": the words of step.lua. Raises BrokerError.
Record = Callable[[str, bytes], list[bytes]]


class _Turn:
    """Somebody is at a step; others wait for the future, then look again."""

    __slots__ = ("future", "owner")

    def __init__(self, owner: object) -> None:
        self.owner = owner
        self.future: Future[None] = Future()


class Steps:
    """The steps of one run. Any thread may take one, and any task of an event loop."""

    def __init__(self, job_id: str, record: Record, known: Collection[str] = ()) -> None:
        """`known` names the steps that earlier runs have recorded."""
        self._job_id = job_id
        self._record = record
        self._known = known
        self._values: dict[str, bytes] = {}
        self._turns: dict[str, _Turn] = {}
        self._lock = threading.Lock()

    def once(
        self, name: str, function: Callable[..., Any], args: Any, kwargs: dict[str, Any]
    ) -> Any:
        """Run a step, or give its recorded value."""
        check_name(name, what="step")
        refuse_in_a_loop("once()", "job.aonce(...)")
        if inspect.iscoroutinefunction(function):
            raise OptionError(
                f"step {name!r}: {function!r} is async; expected a plain function; "
                "write `await job.aonce(...)`"
            )
        while (turn := self._enter(name, threading.get_ident())) is not None:
            turn.future.result()
        try:
            raw = self._recorded(name)
            if raw is None:
                raw = self._keep(name, function(*args, **kwargs))
            return self._read(name, raw)
        finally:
            self._leave(name)

    async def aonce(
        self, name: str, function: Callable[..., Any], args: Any, kwargs: dict[str, Any]
    ) -> Any:
        """The same without blocking the event loop; a plain function runs in a thread."""
        check_name(name, what="step")
        while (turn := self._enter(name, asyncio.current_task())) is not None:
            await asyncio.shield(asyncio.wrap_future(turn.future))
        try:
            raw = await asyncio.to_thread(self._recorded, name)
            if raw is None:
                raw = await self._surely_keep(name, await _called(function, args, kwargs))
            return self._read(name, raw)
        finally:
            self._leave(name)

    async def _surely_keep(self, name: str, value: object) -> bytes:
        """Record what a step gave, and be told only then that we were cancelled."""
        keeping = asyncio.create_task(asyncio.to_thread(self._keep, name, value))
        try:
            return await asyncio.shield(keeping)
        except asyncio.CancelledError:
            await asyncio.wait([keeping])
            raise

    def _enter(self, name: str, owner: object) -> _Turn | None:
        """Take the turn at a step, or give the one that is taken."""
        with self._lock:
            turn = self._turns.get(name)
            if turn is None:
                self._turns[name] = _Turn(owner)
            elif turn.owner == owner:
                raise OptionError(
                    f"step {name!r}: taken within itself; expected another name; give each step its own"
                )
            return turn

    def _leave(self, name: str) -> None:
        with self._lock:
            turn = self._turns.pop(name)
        turn.future.set_result(None)

    def _recorded(self, name: str) -> bytes | None:
        """Give what is recorded, if anything is. What nobody recorded before us is not asked for:
        while we hold the job, nobody else can."""
        if name in self._values or name not in self._known:
            return self._values.get(name)
        match self._record(name, b""):
            case [b"known", raw]:
                self._values[name] = raw
                return raw
            case [b"stale"]:
                raise self._stale(name, "it was not begun")
        return None

    def _keep(self, name: str, value: object) -> bytes:
        """Record what the step gave; give what is recorded now."""
        refusal = ""
        try:
            raw = encode_payload(value, what=f"value of step {name!r}")
        except TaskError as error:
            refusal, raw = f"{error}", b""
        if not refusal and self._put(name, raw):
            return self._values[name]
        refusal = refusal or f"value of step {name!r}: the job's steps take 1 MiB already"
        # That it succeeded is worth more than what it gave: it must not run again.
        if not self._put(name, NO_VALUE + msgspec.json.encode(refusal)):
            raise ValueNotKept(
                f"step {name!r} of job {self._job_id}: it succeeded and could not be recorded, since "
                "1,000 steps are; expected fewer; it would run again: give them fewer names"
            )
        return self._values[name]

    def _put(self, name: str, raw: bytes) -> bool:
        try:
            answer = self._record(name, raw)
        except BrokerUnavailable as error:
            raise BrokerUnavailable(
                f"step {name!r} of job {self._job_id}: it succeeded and "
                f"{'may not be' if error.outcome_unknown else 'is not'} recorded, so a later run may "
                f"do it again: {error}",
                job_ids=[self._job_id],
                outcome_unknown=error.outcome_unknown,
            ) from error
        match answer:
            case [b"stale"]:
                raise self._stale(name, "it succeeded, and that was not recorded")
            case [b"full"]:
                return False
            case [b"known", found]:
                raw = found
        self._values[name] = raw
        return True

    def _read(self, name: str, raw: bytes) -> Any:
        if raw.startswith(NO_VALUE):
            why = msgspec.json.decode(raw.removeprefix(NO_VALUE))
            raise ValueNotKept(
                f"step {name!r} of job {self._job_id}: it succeeded and does not run again, but its "
                f"value is not kept: {why}"
            )
        return msgspec.json.decode(raw)

    def _stale(self, name: str, what: str) -> StaleRun:
        return StaleRun(
            f"step {name!r} of job {self._job_id}: {what}, for this run does not hold the job any more; "
            "expected to stop here; let this exception end the task"
        )


async def _called(function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """Call a function from an event loop: one that may block does so in a thread."""
    if inspect.iscoroutinefunction(function):
        return await function(*args, **kwargs)
    value = await asyncio.to_thread(function, *args, **kwargs)
    return await value if inspect.isawaitable(value) else value
