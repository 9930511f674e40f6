"""What people do to all jobs that a filter finds, step by step: so that it can be watched and stopped.

What is done is done to the jobs that are there when it begins, or were when somebody counted them: one
that is added, or that dies again, after that is left alone. Memory does not grow with the number of jobs. Called by the commands
`jobd jobs retry|cancel|delete|run-now`, `jobd queues purge` and the dashboard's API.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from jobd.broker.browse_cursor import Place
from jobd.broker.browse_rows import Seen, number
from jobd.broker.browse_walk import Walk
from jobd.broker.connection import Client
from jobd.broker.finding import LOOKED_AT, Finder, Wanted, is_wanted
from jobd.broker.store import Store, store_ms
from jobd.broker.views import Views
from jobd.client.operate import DONE, VERBS, How, carry_out
from jobd.core.durations import words
from jobd.core.errors import OptionError
from jobd.core.names import check_name
from jobd.core.states import ACTIVE, DELAYED, STATES, TERMINAL, WAITING

AS_OF_WITHIN_MS = 3_600_000
"""How old an instant may be for which an order is to hold: long enough to think about what was counted."""
# The way that jobs go: one that moves on while a state is gone through is met in the next.
_ALONG = (DELAYED, WAITING, ACTIVE, *(state for state in STATES if state in TERMINAL))


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done: to all jobs of these queues and states that are as `wanted`.

    `force` and `due` are as in jobd.client.operate.How. What was added, or has ended, after `as_of` (ms since
    1970 by Redis' clock; None: when it begins) is left alone. Raises OptionError for what makes no sense.
    """

    verb: str
    queues: tuple[str, ...]
    states: tuple[str, ...]
    wanted: Wanted = Wanted()
    dry_run: bool = False
    force: bool = False
    due: str = ""
    as_of: int | None = None

    def __post_init__(self) -> None:
        if self.verb not in VERBS:
            raise OptionError(f"verb: {self.verb!r:.40}; expected one of {', '.join(VERBS)}")
        for queue in self.queues:
            check_name(queue, what="queue")
        for state in self.states:
            if state not in VERBS[self.verb]:
                raise OptionError(
                    f"{self.verb}: state {state!r:.40}; expected one of {', '.join(VERBS[self.verb])}"
                )


class Outcome(msgspec.Struct, frozen=True):
    """What became of one job, or in a dry run: the state it is in."""

    id: str
    queue: str
    word: str


class Step(msgspec.Struct, frozen=True):
    """A few jobs further: so many were looked at, and this was done."""

    looked: int
    outcomes: list[Outcome]


class Progress(msgspec.Struct, kw_only=True):
    """How far it is. `total`: how many there were to look at, about. `counts`: jobs by the word that says
    what became of them; `done`: those of them to which it was done."""

    verb: str
    total: int
    looked: int = 0
    done: int = 0
    counts: dict[str, int] = {}
    stopped: bool = False
    finished: bool = False


def as_of_now(client: Client, asked: int | None) -> int:
    """Give the instant for which an order is to hold, ms by Redis' clock: what was asked for, or now.

    Raises OptionError for one that is to come or too long ago, BrokerError.
    """
    now = store_ms(client)
    if asked is None or now - AS_OF_WITHIN_MS <= asked <= now:
        return now if asked is None else asked
    off = words(abs(now - asked) / 1000)
    raise OptionError(
        f"as_of: {asked}, {off} {'ago' if asked < now else 'ahead'} by Redis' clock; expected at most "
        f"{words(AS_OF_WITHIN_MS / 1000)} ago, as a dry run gives it; count again"
    )


class Sweep:
    """Carries out one order, once. `now` injects a store time in ms for tests."""

    def __init__(
        self, client: Client, namespace: str, order: Order, *, now: int | None = None
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._order = order
        self._now = now
        self._began = 0
        self._met: set[str] = set()

    def size(self) -> int:
        """Count what will be looked at, about. Raises BrokerError."""
        finders = (Finder(self._client, self._namespace, queue) for queue in self._order.queues)
        return sum(finder.size(self._order.states) for finder in finders)

    def run(
        self,
        told: Callable[[Progress], None],
        *,
        stop: Callable[[], bool] = lambda: False,
    ) -> Progress:
        """Do it all; tell how far it is after each step of up to 200 jobs, and look whether to stop.

        Raises BrokerError; what was told until then is done.
        """
        progress = Progress(verb=self._order.verb, total=self.size())
        good = self._order.states if self._order.dry_run else DONE[self._order.verb]
        for step in self.steps():
            progress.looked += step.looked
            for outcome in step.outcomes:
                progress.counts[outcome.word] = progress.counts.get(outcome.word, 0) + 1
                progress.done += outcome.word in good
            told(progress)
            if stop():
                progress.stopped = True
                return progress
        progress.finished = True
        told(progress)
        return progress

    def steps(self) -> Iterator[Step]:
        """Do it, a step each time the next is asked for. Raises BrokerError."""
        self._began = self._instant()
        for queue in self._order.queues:
            for state in sorted(set(self._order.states), key=_ALONG.index):
                self._met = set()
                yield from self._through(queue, state)

    def _instant(self) -> int:
        if self._order.as_of is not None:
            return self._order.as_of
        return store_ms(self._client) if self._now is None else self._now

    def _through(self, queue: str, state: str) -> Iterator[Step]:
        walk = Walk(self._client, self._namespace, queue, state, fields=LOOKED_AT)
        end = None if state in TERMINAL or state == ACTIVE else _order_of(walk.last())
        # Behind all that ends from now on.
        after = Place(b"%d" % (self._began + 1), b"") if state in TERMINAL else None
        for stretch in walk.stretches(after):
            jobs = [seen for seen in stretch.jobs if end is None or _order_of(seen.place) <= end]
            ids = [seen.id for seen in jobs if self._is_meant(state, seen)]
            yield Step(len(jobs), self._do(queue, state, ids))
            if len(jobs) < len(stretch.jobs):
                return

    def _is_meant(self, state: str, seen: Seen) -> bool:
        added = number(seen.record[2])
        if state not in TERMINAL and added is not None and added > self._began:
            return False
        if state == ACTIVE or self._order.verb == "reschedule":
            # What goes to another worker, or to another time, may be met there again.
            if seen.id in self._met:
                return False
            self._met.add(seen.id)
        ended_at = seen.score if state in TERMINAL else None
        wanted = self._order.wanted
        return not wanted or is_wanted(wanted, seen.record, ended_at, self._began)

    def _do(self, queue: str, state: str, ids: list[str]) -> list[Outcome]:
        if self._order.dry_run:
            return [Outcome(job_id, queue, state) for job_id in ids]
        store = Store(self._client, self._namespace, queue, now=self._now)
        how = How(force=self._order.force, due=self._order.due, state=state)
        words = carry_out(self._order.verb, store, ids, how)
        return [Outcome(job_id, queue, word) for job_id, word in words]


def _order_of(place: Place | None) -> tuple[float, bytes]:
    if place is None:
        return float("-inf"), b""
    return number(place.score) or 0.0, place.id


def by_id(
    client: Client,
    namespace: str,
    verb: str,
    ids: tuple[str, ...],
    *,
    queue: str | None = None,
    how: How = How(),  # noqa: B008  a value: it cannot be changed
    dry_run: bool = False,
) -> Iterator[Outcome]:
    """Do it to jobs by their ids, each in the queue that records it, or `gone`. Raises BrokerError."""
    views = Views(client, namespace)
    for job_id in dict.fromkeys(ids):
        where = queue or views.find(job_id)
        if where is None:
            yield Outcome(job_id, "", "gone")
        elif dry_run:
            yield Outcome(job_id, where, views.state(where, job_id) or "gone")
        else:
            store = Store(client, namespace, where)
            yield from (
                Outcome(i, where, word) for i, word in carry_out(verb, store, [job_id], how)
            )
