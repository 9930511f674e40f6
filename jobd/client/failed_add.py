"""An add that failed: which of its jobs were answered before, and how to go on with the others.

Pure. Called by client/producer.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, takewhile

from jobd.broker.bites import ADD_BITE, ADD_ONCE_BITE
from jobd.broker.connection import Reply
from jobd.broker.new_job import JobOnTerms, NewJob, any_on_terms
from jobd.core.errors import BrokerError, BrokerUnavailable


def answered(replies: Sequence[Reply]) -> list[bytes]:
    """Give the words of the calls of a round trip, up to the first that failed."""
    good = takewhile(lambda reply: not isinstance(reply, Exception), replies)
    return list(chain.from_iterable(good))


def about(error: BrokerError, jobs: Sequence[NewJob]) -> BrokerError:
    """Say which jobs an add was about that failed, and how to go on."""
    nonces = [job.terms.nonce if isinstance(job, JobOnTerms) else "" for job in jobs]
    if len(jobs) == 1:
        same = f" and nonce={nonces[0]!r}" if nonces[0] else ""
        again = f"adding again with job_id={jobs[0].id!r}{same} is safe"
    else:
        same = " and `nonces`" if any(nonces) else ""
        again = f"adding these {len(jobs)} again, each with its own of `job_ids`{same}, is safe"
    if isinstance(error, BrokerUnavailable):
        outcome = (
            "whether it was added is unknown" if error.outcome_unknown else "nothing was added"
        )
        return BrokerUnavailable(
            f"{error}; {outcome}; {again}",
            job_ids=[job.id for job in jobs],
            nonces=nonces,
            outcome_unknown=error.outcome_unknown,
        )
    error.job_ids = tuple(job.id for job in jobs)
    bite = ADD_ONCE_BITE if any_on_terms(jobs) else ADD_BITE
    if len(jobs) > bite:  # some of the calls that were sent together may have been carried out
        error.add_note(f"some of them may be in; {again}")
    return error
