"""Many jobs at once, by a filter or by their ids: retry, cancel, delete, run now, purge."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from jobd.broker.finding import Wanted
from jobd.client.operate import VERBS, How
from jobd.client.operate_many import Order, Sweep, as_of_now, by_id
from jobd.core.names import check_name
from jobd.core.options import read_new_due
from jobd.core.states import DELAYED, WAITING
from jobd.core.suggest import nearest, one_of
from jobd.web.api.endpoint import Body, Call, Endpoint
from jobd.web.api.house import House
from jobd.web.api.kinds import Name, Span, State
from jobd.web.api.operation import Operation, Progress, Work
from jobd.web.api.problems import RequestError
from jobd.web.api.reading import bare, read_age

PURGE = "purge"
RESCHEDULE = "reschedule"
# The states that a filter means when it names none.
_USUAL = {
    **VERBS,
    "retry": VERBS["retry"][:1],
    "delete": VERBS["delete"][:1],
    PURGE: (WAITING, DELAYED),
}
MOST_IDS = 500
LONGEST_SAID = 300  # characters


class Start(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be done to which jobs: either to `ids`, or to all that the filter finds.

    A filter has a queue (none: all), states (none: the usual ones of the verb), and what a job must be
    like: `error` is a part of its error's text, in any case, and `like` the whole shape of it, as groups of the
    dead have it; `cause` is what a job is dead of, `?` where that is not recorded; `older_than` and `newer_than`
    count from the end of a job that has ended and from its adding otherwise. `purge` removes jobs for good, of one whole queue, whose name
    `confirm` repeats. `reschedule` wants a `delay` from now or an instant with its zone. `force` lets cancel end the process of what runs. `dry_run` changes nothing, and
    counts. What was added, or has ended, after `as_of` (ms since 1970 by Redis' clock, of the last hour; none:
    now) is left alone: with that of a dry run, what is done is done to what was counted.
    """

    verb: Literal["retry", "cancel", "delete", "run-now", "reschedule", "purge"]
    queue: Name | None = None
    states: Annotated[tuple[State, ...], msgspec.Meta(max_length=6)] = ()
    task: Name | None = None
    error: str | None = None
    like: str | None = None
    cause: str | None = None
    group: Name | None = None
    older_than: Span | None = None
    newer_than: Span | None = None
    ids: Annotated[tuple[Name, ...], msgspec.Meta(max_length=MOST_IDS)] = ()
    force: bool = False
    dry_run: bool = False
    confirm: str | None = None
    delay: Span | None = None
    run_after: datetime | None = None
    as_of: Annotated[int, msgspec.Meta(ge=0)] | None = None


def _start(house: House, call: Call) -> Operation:
    body: Start = call.body
    wanted = _wanted(body)
    _refuse_unclear(body, wanted)
    if body.queue is not None:
        house.known(check_name(body.queue, what="queue"))
    due = _due(body)
    as_of = None if body.ids else as_of_now(house.client, body.as_of)
    work = _by_filter(house, body, wanted, due, as_of) if as_of else _by_ids(house, body, due)
    return house.operations.start(
        work, verb=body.verb, queue=body.queue, by=call.person, dry_run=body.dry_run,
        which=_which(body), as_of=as_of,
    )  # fmt: skip


def _which(body: Start) -> dict[str, str]:
    """Say for people which jobs were asked for."""
    said = {
        "states": ", ".join(body.states), "task": body.task, "error": body.error, "like": body.like,
        "cause": body.cause,
        "group": body.group, "older_than": body.older_than, "newer_than": body.newer_than,
        "ids": len(set(body.ids)) or None,
    }  # fmt: skip
    return {
        name: str(value)[:LONGEST_SAID]
        for name, value in said.items()
        if value is not None and (value != "" or name == "like")
    }


def _wanted(body: Start) -> Wanted:
    for what, name in (("task", body.task), ("group", body.group)):
        if name is not None:
            check_name(name, what=what)
    return Wanted(
        task=body.task, error=body.error, like=body.like, cause=body.cause, group=body.group,
        older_than_ms=read_age(body.older_than, what="older_than"),
        newer_than_ms=read_age(body.newer_than, what="newer_than"),
    )  # fmt: skip


def _due(body: Start) -> str:
    """Read the time that jobs are moved to. Raises OptionError, RequestError."""
    if body.verb == RESCHEDULE:
        delay = None if body.delay is None else bare(body.delay)
        return read_new_due(delay, body.run_after, what=RESCHEDULE)
    if body.delay is not None or body.run_after is not None:
        raise RequestError(f"delay, run_after: with {body.verb}; expected with reschedule alone")
    return ""


def _refuse_unclear(body: Start, wanted: Wanted) -> None:
    """Refuse what may mean more than was meant. Raises RequestError."""
    verb, may = body.verb, VERBS[body.verb]
    for state in body.states:
        if state not in may:
            raise RequestError(
                f"states: {state!r:.40}; expected for {verb}: {one_of(may)}{nearest(state, may)}"
            )
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
    if body.ids:
        _refuse_filtered(body, wanted)
    elif not (wanted or body.states or body.queue):
        raise RequestError(
            f"{verb}: no job named; expected ids, or a filter such as queue or task; "
            f"states: [{may[0]!r}] alone means every such job of every queue"
        )


def _refuse_filtered(body: Start, wanted: Wanted) -> None:
    """Refuse ids that are none, or a filter beside them. Raises OptionError, RequestError."""
    for job in body.ids:
        check_name(job, what="ids")
    if wanted or body.states:
        raise RequestError(
            "ids and a filter; expected one of the two; drop either (queue may stay)"
        )
    if body.as_of is not None:
        raise RequestError("as_of: with ids; expected it with a filter alone; drop it")


def _by_ids(house: House, body: Start, due: str) -> Work:
    def work(progress: Progress) -> bool:
        counts: Counter[str] = Counter()
        total = len(set(body.ids))
        outcomes = by_id(
            house.client, house.namespace, body.verb, body.ids,
            queue=body.queue, how=How(force=body.force, due=due), dry_run=body.dry_run,
        )  # fmt: skip
        for looked, outcome in enumerate(outcomes, 1):
            counts[outcome.word] += 1
            progress.tell(looked, total, counts)
            if progress.is_stopped():
                return looked == total
        return True

    return work


def _by_filter(house: House, body: Start, wanted: Wanted, due: str, as_of: int) -> Work:
    def work(progress: Progress) -> bool:
        order = Order(
            verb=body.verb,
            queues=(body.queue,) if body.queue else tuple(house.views().queues()),
            states=tuple(dict.fromkeys(body.states)) or _USUAL[body.verb],
            wanted=wanted, dry_run=body.dry_run, force=body.force, due=due,
            as_of=as_of,
        )  # fmt: skip
        return (
            Sweep(house.client, house.namespace, order)
            .run(lambda it: progress.tell(it.looked, it.total, it.counts), stop=progress.is_stopped)
            .finished
        )

    return work


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
        "List the operations of all web processes of the namespace, the newest first.",
        _list, list[Operation],
    ),
    Endpoint(
        "GET", "/operations/{operation}", "show_operation", "operations",
        "Show how far an operation is, whichever process carries it out. One is lost when that is gone.",
        _show, Operation,
    ),
    Endpoint(
        "DELETE", "/operations/{operation}", "stop_operation", "operations",
        "Stop an operation within a second, whichever process carries it out. What it did is done.",
        _stop, Operation,
    ),
]  # fmt: skip
