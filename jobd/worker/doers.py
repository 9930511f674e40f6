"""Whose code has run in this process since somebody last looked at what it has left there.

Of many jobs only their tasks: hundreds of quick ones run between two looks, and to keep them all until
then would cost each more than the look, for its memory could not be used again by the next. Made by
the loops, read by jobd.worker.pristine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from jobd.broker.commands import Claimed
from jobd.worker.tell import text


class Doers(NamedTuple):
    """The tasks; and the job, where it was only one."""

    tasks: frozenset[bytes]
    job: Claimed | None = None

    def names(self) -> tuple[str, str, int | None]:
        """Give task, job and its claim that are to blame, where there is only one."""
        if self.job is not None:
            return text(self.job.task), text(self.job.id), self.job.claim
        return (text(next(iter(self.tasks))) if len(self.tasks) == 1 else "", "", None)


NOBODY = Doers(frozenset())


def doers_of(jobs: Sequence[Claimed]) -> Doers:
    """Name the doers of jobs that are at hand."""
    return Doers(frozenset(job.task for job in jobs), jobs[0] if len(jobs) == 1 else None)
