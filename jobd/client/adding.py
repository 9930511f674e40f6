"""How a job is added: what one call says, the terms that follow from it, and what became of it.

The one reader of the options that a call may have, whoever makes it: a task, a queue by name, many
at once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from secrets import token_hex
from typing import Any, NamedTuple

import msgspec

from jobd.broker.new_job import JobOnTerms, NewJob, Terms
from jobd.client.handle import JobHandle
from jobd.client.producer import Producer
from jobd.core.labels import read_labels
from jobd.core.options import (
    ADD_OPTIONS,
    CODE_OPTIONS,
    RUN_OPTIONS,
    check_known,
    read_job_id,
    read_priority,
    read_reruns,
    read_run_options,
    read_times,
    write_run_options,
)
from jobd.core.unique import Unique, read_unique, spell_lock

CALL_OPTIONS = (*ADD_OPTIONS, *RUN_OPTIONS, *CODE_OPTIONS)

_OUTCOMES = {b"added": "enqueued", b"duplicate": "duplicate", b"replaced": "replaced"}


class Defaults(NamedTuple):
    """What holds for a task where the call says nothing. `names` are its arguments, where known."""

    priority: int
    unique: Unique | None = None
    names: Collection[str] | None = None


class CallOptions:
    """What one call says: read once, applied to a job."""

    __slots__ = (
        "due", "encoded", "job_id", "nonce", "priority", "reruns", "says_unique", "unique",
    )  # fmt: skip

    def __init__(self, given: Mapping[str, object], *, what: str) -> None:
        check_known(given, CALL_OPTIONS, what=what)
        self.job_id = (
            None if given.get("job_id") is None else read_job_id(given["job_id"], what=what)
        )
        self.due = read_times(given, what=what)
        self.priority = (
            None if given.get("priority") is None else read_priority(given["priority"], what=what)
        )
        self.reruns = read_reruns(given, what=what)
        self.nonce = given.get("nonce")
        self.unique = read_unique(given.get("unique"), what=what)
        self.says_unique = given.get("unique") is not None
        run = read_run_options(given, what=what, counts_allowed=False)
        said = write_run_options(run, what=what) | read_labels(given, what=what)
        self.encoded = msgspec.json.encode(said) if said else b""

    def applied(self, job: NewJob, unique: Unique | None) -> NewJob:
        """Put a job on the terms of this call, if it has any.

        `unique` is what holds where this call says nothing.
        """
        if self.says_unique:
            unique = self.unique
        if unique is None and not self.reruns:
            return job
        nonce = (self.nonce or token_hex(8)) if self.reruns else ""
        lock = "" if unique is None else spell_lock(unique, job.task, job.args)
        return JobOnTerms.of(job, Terms(str(nonce), lock))


SAYS_NOTHING = CallOptions({}, what="call")


def is_fresh(job: NewJob, call: CallOptions) -> bool:
    """Whether nothing has to be looked up to add this job: its id is new, and it has no terms."""
    return call.job_id is None and not isinstance(job, JobOnTerms)


def outcome_of(job: NewJob, word: bytes) -> tuple[str, str]:
    """Read what an add was answered with: the outcome, and the id of the job it is about."""
    if (outcome := _OUTCOMES.get(word)) is not None:
        return outcome, job.id
    return "duplicate", _holder(word)  # its lock is held by another job


def handle_of(producer: Producer, queue: str, job: NewJob, word: bytes) -> JobHandle[Any]:
    """Give the handle of what an add found or made, by the word it was answered with."""
    if (outcome := _OUTCOMES.get(word)) is not None:
        return JobHandle(producer, queue, job.id, outcome)
    return JobHandle(producer, queue, _holder(word), "duplicate")


def _holder(word: bytes) -> str:
    return word.decode().removeprefix("held ")
