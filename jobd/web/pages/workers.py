"""Workers: the fleet, host by host; one host; one slot.

What hosts say of themselves are spans, which differ with each look: here they are made instants, to the
second, so that two looks at the same fact give the same text.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import NamedTuple

from jobd.broker.hosts import host as read_one
from jobd.core.portrait import MOST_WORKERS, SILENT, Daemon, Growth, Host, QueueView, Worker
from jobd.web.api.house import House
from jobd.web.api.orders import NoSuchHost
from jobd.web.api.problems import NotThere
from jobd.web.pages.filters import dom_id
from jobd.web.pages.page import Ask, Model, Page, watched

MOST_SHOWN = 256
"""Slots on one page; of the hosts after these there is a page each."""
_WORTH_TELLING = 20 * 1000**2
_SECOND = 1000
_SAID_EVERY = 5.0  # seconds from one word of a host to the next


class NoSuchSlot(NotThere):
    """The host has no such slot."""

    code = "jobd.no_such_slot"


class Seat(NamedTuple):
    """A slot and what runs in it. Instants are ms since 1970, by Redis' clock.

    `began_at` is that of the job, None where it had just begun: it may well have ended by now.
    `memory_past` in bytes, the most of each minute.
    """

    id: str
    worker: Worker
    began_at: int | None
    up_since: int | None
    memory_past: list[int]


class Pool(NamedTuple):
    """The workers of one queue on one host: so many are there; which tasks make them grow much."""

    id: str
    name: str
    view: QueueView
    there: int
    growth: list[Growth]


class Shown(NamedTuple):
    """One host. `seats` are the slots that are shown, of `in_all`."""

    id: str
    key: str
    name: str
    is_here: bool
    is_silent: bool
    said_at: int | None
    ahead: int
    why_unread: str | None
    daemon: Daemon | None
    up_since: int | None
    reload_at: int | None
    pools: list[Pool]
    seats: list[Seat]
    in_all: int
    busy: int
    memory: int


def read(house: House, ask: Ask) -> Model:
    """Read the fleet; of one queue, if one is asked for."""
    queue = ask.query.get("queue")
    known = house.browser.hosts(within=ask.within)
    hosts = _all_shown(house, known, queue)
    if queue is not None:
        hosts = [host for host in hosts if host.pools or host.seats]
    heard = [host for host in hosts if not host.is_silent]
    return {
        "hosts": hosts,
        "queue": queue,
        "queues": sorted({name for host in known for name in _queues_of(host)}),
        "known": len(known),
        "workers": sum(host.in_all for host in heard),
        "busy": sum(host.busy for host in heard),
        "memory": sum(host.memory for host in heard),
        "silent": sum(host.is_silent for host in hosts),
    }


def read_host(house: House, ask: Ask) -> Model:
    """Read one host, by its key. Raises NoSuchHost."""
    return {"host": _one(house, ask.path["host"], ask.query.get("queue"))}


def read_slot(house: House, ask: Ask) -> Model:
    """Read one slot, and who has left one behind it. Raises NoSuchHost, NoSuchSlot."""
    host = _one(house, ask.path["host"], None)
    slot = ask.path["slot"]
    seats = [seat for seat in host.seats if seat.worker.slot == slot]
    if not seats:
        raise NoSuchSlot(
            f"slot {slot!r}: not on host {host.name!r}; expected one that it runs now; see its workers"
        )
    commands = [shlex.join(["jobd", verb, slot]) for verb in ("recycle", "dump")]
    return {"host": host, "slot": slot, "seats": seats, "commands": commands}


def _one(house: House, key: str, queue: str | None) -> Shown:
    found = read_one(house.client, house.namespace, key)
    if found is None:
        raise NoSuchHost(
            f"host {key!r}: its daemon has said nothing for an hour, or has ended; "
            "expected one of those that are listed under workers"
        )
    return _shown(found, house.here, queue, MOST_WORKERS)


def _all_shown(house: House, known: Iterable[Host], queue: str | None) -> list[Shown]:
    here, room, found = house.here, MOST_SHOWN, []
    for host in sorted(known, key=_is_well):  # what stands out stands first
        found.append(_shown(host, here, queue, min(room, MOST_WORKERS)))
        room -= len(found[-1].seats)
    return found


def _is_well(host: Host) -> bool:
    daemon = host.daemon
    if daemon is None or host.silent_for > SILENT or not daemon.running:
        return False
    refused = daemon.reload is not None and daemon.reload.error
    return not refused and not any(view.gave_up for view in daemon.queues.values())


def _shown(host: Host, here: str | None, queue: str | None, most: int) -> Shown:
    daemon = host.daemon
    workers = [] if daemon is None else [w for w in daemon.workers if queue in (None, w.queue)]
    base = _base(host)
    reload = None if daemon is None else daemon.reload
    return Shown(
        id=dom_id("host", host.key),
        key=host.key,
        name=(daemon.host if daemon else "") or host.key,
        is_here=host.key == here,
        is_silent=host.silent_for > SILENT,
        said_at=host.said_at,
        ahead=round(host.ahead or 0.0),
        why_unread=host.why_unread,
        daemon=daemon,
        up_since=None if daemon is None else _since(base, daemon.up_for),
        reload_at=None if reload is None else _since(base, reload.ago),
        pools=_pools(host.key, daemon, queue),
        seats=_seats(host.key, workers[:most], base),
        in_all=_in_all(daemon, workers, queue),
        busy=sum(worker.running > 0 for worker in workers),
        memory=sum(worker.memory or 0 for worker in workers),
    )


def _in_all(daemon: Daemon | None, workers: list[Worker], queue: str | None) -> int:
    """Count: a large fleet names only some of its workers, and of one queue no more is known."""
    if daemon is None or queue is not None:
        return len(workers)
    return max(daemon.workers_in_all, len(workers))


def _queues_of(host: Host) -> set[str]:
    if host.daemon is None:
        return set()
    return {*host.daemon.queues, *(worker.queue for worker in host.daemon.workers)}


def _pools(key: str, daemon: Daemon | None, queue: str | None) -> list[Pool]:
    if daemon is None:
        return []
    return [
        Pool(
            id=dom_id("pool", key, name),
            name=name,
            view=view,
            there=sum(
                w.queue == name and w.pid is not None and w.leaving is None for w in daemon.workers
            ),
            growth=[grown for grown in view.growth if grown.bytes >= _WORTH_TELLING],
        )
        for name, view in daemon.queues.items()
        if queue in (None, name)
    ]


def _seats(key: str, workers: list[Worker], base: float | None) -> list[Seat]:
    found: dict[str, Seat] = {}
    for worker in workers:
        name = dom_id("worker", key, worker.slot, worker.incarnation or worker.leaving or "")
        while name in found:  # only a stranger's word has two of them
            name += "_"
        found[name] = Seat(
            id=name,
            worker=worker,
            began_at=_began(base, worker.running_for),
            up_since=_since(base, worker.up_for),
            memory_past=[kib << 10 for kib in worker.memory_past],
        )
    return list(found.values())


def _base(host: Host) -> float | None:
    """Give the instant at which a host looked at itself, by Redis' clock.

    By its own clock it is known to the ms, by Redis' only as well as the way there is even: so it is
    taken by its own, and that set by whole seconds.
    """
    if host.said_at is None:
        return None
    ahead = (host.ahead or 0.0) * _SECOND
    return host.said_at + ahead - round(ahead / _SECOND) * _SECOND


def _began(base: float | None, span: float | None) -> int | None:
    return None if span is None or span < _SAID_EVERY else _since(base, span)


def _since(base: float | None, span: float | None) -> int | None:
    """Give the instant so many seconds before, to the second."""
    if base is None or span is None:
        return None
    try:
        return round(base / _SECOND - span) * _SECOND
    except (ValueError, OverflowError):
        return None  # a stranger's number


PAGES = (
    watched(Page("/workers", "workers", "Workers", "workers.html", read, "workers"), "queue"),
    watched(Page("/workers/{host}", "host", "{host}", "host.html", read_host, "workers"), "queue"),
    watched(
        Page(
            "/workers/{host}/{slot}", "slot", "{slot} on {host}", "slot.html", read_slot, "workers"
        )
    ),
)
