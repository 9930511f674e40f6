"""A job to add, as the scripts of adding read it; and on which terms, where it has any."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Self


class NewJob(NamedTuple):
    """A job to add. `due` is '' for now, '+N' for N ms from now, 'N' for ms since 1970; then, if it
    may not start after some time, 'x' and that time, written in the same way.

    `options` are the call's own run options as JSON, or b''.
    """

    id: str
    task: str
    args: bytes
    priority: int = 5
    due: str = ""
    options: bytes = b""


class Terms(NamedTuple):
    """On which terms a job is added, where it asks for more than to be added.

    `nonce` names the call which may begin an ended job of the same id anew; '' does not. `lock` is
    "finished|started <digest>", then perhaps " replace", or "ttl <digest> <ms>"; '' is none.
    """

    nonce: str = ""
    lock: str = ""


NO_TERMS = Terms()


class JobOnTerms(NewJob):
    """A job that asks for more than to be added; where it goes, the others of its call may go too."""

    terms = NO_TERMS

    @classmethod
    def of(cls, job: NewJob, terms: Terms) -> JobOnTerms:
        """Put a job on terms."""
        made = cls(*job)
        made.terms = terms
        return made

    def _replace(self, **changes: Any) -> Self:
        """Change fields; the terms stay."""
        made = super()._replace(**changes)
        made.terms = self.terms
        return made


def any_on_terms(jobs: Iterable[NewJob]) -> bool:
    """Whether one of these asks for more than to be added."""
    return any(isinstance(job, JobOnTerms) for job in jobs)
