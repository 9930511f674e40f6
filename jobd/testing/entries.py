"""What is kept of each job in memory, and who holds which lock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jobd.broker.new_job import NO_TERMS, JobOnTerms, NewJob, Terms
from jobd.core.states import ACTIVE, CANCELLED, DEAD, DELAYED, WAITING


@dataclass(slots=True)
class Entry:
    """One job. `score` is when it is due, or when it ended; ms since 1970."""

    job: NewJob
    record: dict[str, bytes]
    state: str
    score: int


def terms_of(job: NewJob) -> Terms:
    """Give what a job asks for beyond being added."""
    return job.terms if isinstance(job, JobOnTerms) else NO_TERMS


class Locks:
    """The locks of jobs in memory: as in Redis the truth about the holder decides, not the lock."""

    def __init__(self) -> None:
        self._named: dict[tuple[str, str], tuple[str, int]] = {}  # job id, until when (ms) or 0

    def take(self, queue: str, job: NewJob, now: int) -> None:
        """Let a job hold its lock, if it has one."""
        if lock := terms_of(job).lock:
            until, digest, *rest = lock.split()
            self._named[queue, digest] = (job.id, now + int(rest[0]) if until == "ttl" else 0)

    def holder(
        self, queue: str, job: NewJob, entries: Mapping[tuple[str, str], Entry], now: int
    ) -> Entry | None:
        """Give the job that holds the lock which this one asks for, if one does."""
        if not (lock := terms_of(job).lock):
            return None
        digest = lock.split()[1]
        job_id, ends = self._named.get((queue, digest), ("", 0))
        held = entries.get((queue, job_id))
        if held is None:
            return None
        if ends:
            return held if now < ends and held.state not in (DEAD, CANCELLED) else None
        until, of, *_ = (*terms_of(held.job).lock.split(), "", "")
        holds = (WAITING, DELAYED, ACTIVE) if until == "finished" else (WAITING, DELAYED)
        return held if of == digest and held.state in holds else None
