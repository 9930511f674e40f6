"""Everything that a dashboard, its API or a script lists of a namespace. Blocking; reads only.

What a call costs is bounded: by the rows it gives and the number of queues, tasks and workers, never by
the number of jobs. Payloads are in nothing but the JobInfo of one job. A Browser may be used by several
threads at once. Called by jobd.web and commands.
"""

from __future__ import annotations

from jobd.broker.browse_groups import MOST_SAMPLED, DeadGroups, Grouping
from jobd.broker.browse_pages import MOST_SCANNED, Page, Pager
from jobd.broker.connection import Client, place_of, translated
from jobd.broker.finding import Wanted
from jobd.broker.keys import QueueKeys
from jobd.broker.views import JobInfo, Views
from jobd.core.names import check_name


class Browser:
    """Reads one namespace. `now` injects a store time in ms for tests."""

    def __init__(self, client: Client, namespace: str, *, now: int | None = None) -> None:
        self._client = client
        self._namespace = namespace
        self._now = now
        self._views = Views(client, namespace, now=now)

    def page(
        self,
        queue: str,
        state: str,
        *,
        cursor: str | None = None,
        limit: int = 50,
        task: str | None = None,
        error: str | None = None,
        group: str | None = None,
        like: str | None = None,
        older_than_ms: int | None = None,
        newer_than_ms: int | None = None,
        most: int = MOST_SCANNED,
    ) -> Page:
        """List jobs of one state: what runs next first, what ended last first, up to 200 at once.

        The filters are those of `Wanted`. Looks at `most` jobs and then gives a cursor to go on. Raises
        OptionError for what makes no sense, BrokerError.
        """
        wanted = Wanted(
            task=task,
            error=error,
            group=group,
            like=like,
            older_than_ms=older_than_ms,
            newer_than_ms=newer_than_ms,
        )
        pager = Pager(self._client, self._namespace, queue, state, now=self._now)
        return pager.page(wanted, cursor=cursor, limit=limit, most=most)

    def find(self, job_id: str, queue: str | None = None) -> JobInfo | None:
        """Read all that is recorded of a job, in whichever queue, or None. Raises BrokerError."""
        queues = [check_name(queue, what="queue")] if queue else self._views.queues()
        with translated(place_of(self._client)):
            pipe = self._client.pipeline(transaction=False)
            for each in queues:
                pipe.exists(QueueKeys(self._namespace, each).job(job_id))
            there = pipe.execute() if queues else []
        found = [each for each, is_there in zip(queues, there, strict=True) if is_there]
        # One that is gone by now may have a namesake elsewhere.
        infos = (self._views.info(each, job_id) for each in found)
        return next((info for info in infos if info is not None), None)

    def dead_groups(self, queue: str | None = None, *, most: int = MOST_SAMPLED) -> DeadGroups:
        """Group the dead by task, cause and the shape of their error: of the `most` newest ones.

        Raises OptionError for a queue's name that is none, BrokerError.
        """
        queues = [check_name(queue, what="queue")] if queue else self._views.queues()
        return Grouping(self._client, self._namespace, queues).read(most)
