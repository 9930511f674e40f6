"""Everything that a dashboard, its API or a script lists of a namespace. Blocking; reads only.

What a call costs is bounded: by the rows it gives and the number of queues, tasks and workers, never by
the number of jobs. Payloads are in nothing but the JobInfo of one job. A Browser may be used by several
threads at once. Called by jobd.web and commands.
"""

from __future__ import annotations

import msgspec

from jobd.broker.alerts import AlertStore
from jobd.broker.browse_groups import MOST_SAMPLED, DeadGroups, Grouper
from jobd.broker.browse_pages import MOST_SCANNED, Page, Pager
from jobd.broker.browse_queues import QueueBrowser, QueueRow, TaskRow
from jobd.broker.connection import Client, place_of, translated
from jobd.broker.finding import Wanted
from jobd.broker.hosts import hosts
from jobd.broker.keys import QueueKeys
from jobd.broker.lately import Lately
from jobd.broker.schedule_records import ScheduleInfo
from jobd.broker.schedules import ScheduleStore
from jobd.broker.server import read_facts
from jobd.broker.views import JobInfo, Views
from jobd.core.alerts.machine import RuleState
from jobd.core.names import check_name
from jobd.core.portrait import Host
from jobd.core.server_facts import ServerFacts


class AlertRow(msgspec.Struct, frozen=True, kw_only=True):
    """One alert rule that somebody looks at: how it stands, and until when it is muted, ms."""

    rule: str
    state: RuleState
    muted_until: int | None


class Browser:
    """Reads one namespace. `now` injects a store time in ms for tests."""

    def __init__(self, client: Client, namespace: str, *, now: int | None = None) -> None:
        self._client = client
        self._namespace = namespace
        self._now = now
        self._views = Views(client, namespace, now=now)
        self._grouper = Grouper(client, namespace)
        self._queues = QueueBrowser(client, namespace, now=now)
        self._all_queues = Lately(self._queues.rows)
        self._all_hosts = Lately(lambda: hosts(client, namespace))

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
        cause: str | None = None,
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
            cause=cause,
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
        return self._grouper.read(queues, most)

    def queues(self, *, within: float = 0.0) -> list[QueueRow]:
        """List the queues with their figures, by name; as they were within so many seconds. Raises
        BrokerError."""
        return list(self._all_queues.get(within=within))

    def queue(self, queue: str) -> QueueRow:
        """Give one queue with its figures, which are none where there is no such queue. Costs the same,
        however many queues there are. Raises OptionError, BrokerError."""
        return self._queues.rows([check_name(queue, what="queue")])[0]

    def tasks(self, queue: str) -> list[TaskRow]:
        """List the tasks of a queue with their figures. Raises OptionError, BrokerError."""
        return self._queues.tasks(check_name(queue, what="queue"))

    def schedules(self, queue: str | None = None) -> list[ScheduleInfo]:
        """List schedules by queue and name; `args` and `options` are left out. Raises OptionError,
        BrokerError."""
        queues = [check_name(queue, what="queue")] if queue else self._views.queues()
        found = [
            info
            for each in queues
            for info in ScheduleStore(self._client, self._namespace, each, now=self._now).all()
        ]
        return [msgspec.structs.replace(info, args=None, options={}) for info in found]

    def schedule(self, queue: str, name: str) -> ScheduleInfo | None:
        """Read all of one schedule, or None. Raises OptionError, BrokerError."""
        check_name(queue, what="queue")
        return ScheduleStore(self._client, self._namespace, queue, now=self._now).get(name)

    def alerts(self) -> list[AlertRow]:
        """List the rules that are looked at, by name. Raises BrokerError."""
        states = AlertStore(self._client, self._namespace, now=self._now).states()
        return [
            AlertRow(rule=rule, state=held.state, muted_until=held.muted_until or None)
            for rule, held in sorted(states.items())
        ]

    def hosts(self, *, within: float = 0.0) -> list[Host]:
        """List the daemons of the namespace, as each last said of itself; as it was within so many seconds.
        Raises BrokerError."""
        return list(self._all_hosts.get(within=within))

    def server(self) -> ServerFacts:
        """Read what the server says of itself. Raises NotPermitted where our user may not ask,
        BrokerError."""
        return read_facts(self._client)
