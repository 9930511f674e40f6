"""Many jobs at once, by a filter or by their ids: retry, cancel, delete, run now, purge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from jobd.broker.finding import Finder, Wanted
from jobd.broker.store import Store
from jobd.client.operate import VERBS, bites, carry_out
from jobd.core.names import check_name
from jobd.core.states import ACTIVE, DELAYED, STATES, WAITING
from jobd.core.suggest import nearest, one_of
from jobd.web.api.endpoint import Body, Call, Endpoint
from jobd.web.api.house import House
from jobd.web.api.kinds import Name, Span, State
from jobd.web.api.operations import Operation, Progress, Work
from jobd.web.api.problems import RequestError
from jobd.web.api.reading import read_age

PURGE = "purge"
_STATES = {**VERBS, PURGE: tuple(state for state in STATES if state != ACTIVE)}
# The states that a filter means when it names none.
_USUAL = {
    **VERBS,
    "retry": VERBS["retry"][:1],
    "delete": VERBS["delete"][:1],
    PURGE: (WAITING, DELAYED),
}
MOST_IDS = 500


class Start(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be done to which jobs: either to `ids`, or to all that the filter finds.

    A filter has a queue (none: all), states (none: the usual ones of the verb), and what a job must be
    like: `error` is a part of its error's text, in any case, and `like` the whole shape of it, as groups of the
    dead have it; `older_than` and `newer_than` count from the end of a job that
    has ended and from its adding otherwise. `purge` removes jobs for good, of one whole queue, whose name
    `confirm` repeats. `force` lets cancel end the process of what runs. `dry_run` changes nothing, and
    counts.
    """

    verb: Literal["retry", "cancel", "delete", "run-now", "purge"]
    queue: Name | None = None
    states: Annotated[tuple[State, ...], msgspec.Meta(max_length=6)] = ()
    task: Name | None = None
    error: str | None = None
    like: str | None = None
    group: Name | None = None
    older_than: Span | None = None
    newer_than: Span | None = None
    ids: Annotated[tuple[Name, ...], msgspec.Meta(max_length=MOST_IDS)] = ()
    force: bool = False
    dry_run: bool = False
    confirm: str | None = None


def _start(house: House, call: Call) -> Operation:
    body: Start = call.body
    wanted = _wanted(body)
    _refuse_unclear(body, wanted)
    if body.queue is not None:
        house.known(check_name(body.queue, what="queue"))
    work = _by_ids(house, body) if body.ids else _by_filter(house, body, wanted)
    return house.operations.start(
        work, verb=body.verb, queue=body.queue, by=call.person, dry_run=body.dry_run
    )


def _wanted(body: Start) -> Wanted:
    for what, name in (("task", body.task), ("group", body.group)):
        if name is not None:
            check_name(name, what=what)
    return Wanted(
        task=body.task, error=body.error, like=body.like, group=body.group,
        older_than_ms=read_age(body.older_than, what="older_than"),
        newer_than_ms=read_age(body.newer_than, what="newer_than"),
    )  # fmt: skip


def _refuse_unclear(body: Start, wanted: Wanted) -> None:
    """Refuse what may mean more than was meant. Raises RequestError."""
    verb, may = body.verb, _STATES[body.verb]
    for state in body.states:
        if state not in may:
            raise RequestError(
                f"states: {state!r:.40}; expected for {verb}: {one_of(may)}{nearest(state, may)}"
            )
    for job in body.ids:
        check_name(job, what="ids")
    if body.force and verb != "cancel":
        raise RequestError(f"force: with {verb}; expected it with cancel alone; drop it")
    if verb == PURGE:
        if body.ids or wanted or body.queue is None or body.confirm != body.queue:
            raise RequestError(
                "purge: expected a queue, its name again as `confirm`, perhaps states, and nothing "
                "else; to remove some jobs use delete"
            )
    elif body.confirm is not None:
        raise RequestError(f"confirm: with {verb}; expected it with purge alone; drop it")
    if body.ids and (wanted or body.states):
        raise RequestError(
            "ids and a filter; expected one of the two; drop either (queue may stay)"
        )
    if not (body.ids or wanted or body.states or body.queue):
        raise RequestError(
            f"{verb}: no job named; expected ids, or a filter such as queue or task; "
            f"states: [{may[0]!r}] alone means every such job of every queue"
        )


def _by_ids(house: House, body: Start) -> Work:
    def work(progress: Progress) -> None:
        ids = list(dict.fromkeys(body.ids))
        progress.expect(len(ids))
        views = house.views()
        for job in ids:
            if progress.is_stopped():
                return
            queue = body.queue or views.find(job)
            word = "gone" if queue is None else _done_to(house, body, queue, [job])
            progress.tell(1, Counter([word] if isinstance(word, str) else word))

    return work


def _by_filter(house: House, body: Start, wanted: Wanted) -> Work:
    def work(progress: Progress) -> None:
        states = tuple(dict.fromkeys(body.states)) or _USUAL[body.verb]
        queues = [body.queue] if body.queue else house.views().queues()
        finders = {name: Finder(house.client, house.namespace, name) for name in queues}
        progress.expect(sum(finder.size(states) for finder in finders.values()))
        for name, finder in finders.items():
            for state in states:
                for looked, page in finder.pages((state,), wanted):
                    if progress.is_stopped():
                        return
                    ids = [job.id for job in page]
                    for bite in bites(ids):
                        if progress.is_stopped():
                            return
                        progress.tell(0, Counter(_done_to(house, body, name, bite, state)))
                    progress.tell(looked, Counter())

    return work


def _done_to(
    house: House, body: Start, queue: str, ids: list[str], state: str | None = None
) -> Iterable[str]:
    """Do it to some jobs of one queue; give a word for each, in a dry run the state that it is in."""
    if body.dry_run:
        views = house.views()
        return [state or views.state(queue, job) or "gone" for job in ids]
    store = Store(house.client, house.namespace, queue)
    if body.verb == PURGE:
        # One that was removed by somebody else, or is met twice by the walk, is removed all the same.
        return [word for word in store.purge(state or "", ids) if word != "gone"]
    return [word for _, word in carry_out(body.verb, store, ids, force=body.force)]


def _list(house: House, _call: Call) -> list[Operation]:
    return house.operations.all()


def _show(house: House, call: Call) -> Operation:
    return house.operations.get(call.path["operation"])


def _stop(house: House, call: Call) -> Operation:
    return house.operations.stop(call.path["operation"])


ENDPOINTS = [
    Endpoint(
        "POST", "/operations", "start_operation", "operations",
        "Do something to many jobs. It goes on by itself; ask for it by its id, or stop it.",
        _start, Operation, body=Start, status=202,
    ),
    Endpoint(
        "GET", "/operations", "list_operations", "operations",
        "List the operations of this web process, the newest first.",
        _list, list[Operation],
    ),
    Endpoint(
        "GET", "/operations/{operation}", "show_operation", "operations",
        "Show how far an operation is.",
        _show, Operation,
    ),
    Endpoint(
        "DELETE", "/operations/{operation}", "stop_operation", "operations",
        "Stop an operation after the bite that is under way. What it did is done.",
        _stop, Operation,
    ),
]  # fmt: skip
