"""Asking the daemon of any live host: this one over its control socket, others through Redis.

Invariant: what was answered as not done is not done later: an order that its host has not taken is
withdrawn, or over. So few wait at once that there are threads left for others. Called by fleet.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jobd.broker.host_orders import KEPT_MS, HostOrders
from jobd.broker.hosts import host as read_host
from jobd.core.errors import DaemonRefused, DaemonSilent, NoDaemon
from jobd.seams.asking import Daemon
from jobd.seams.requests import Answer, Refusal, Request, name_of
from jobd.web.api.house import House
from jobd.web.api.problems import Busy, NotThere, RequestError

# Another name of the host that serves the request.
HERE = "here"
# The loop of a daemon turns many times a second: one that is silent for so long hangs.
_WITHIN_HERE = 5.0
# Until another host has answered: it looks every second, and has five to begin.
WITHIN = 8.0
# Hosts say every five seconds how they are.
_SILENT = KEPT_MS / 1000
_MOST_WAITING = 2
_places = threading.Semaphore(_MOST_WAITING)


class NoSuchHost(NotThere):
    """No daemon of that name has said how it is in the last hour."""

    code = "jobd.no_such_host"


class HostSilent(RequestError):
    """The host does not answer."""

    code = "jobd.host_silent"
    status = 504


def ask(house: House, host: str, request: Request, *, by: str) -> tuple[str, dict[str, Any]]:
    """Ask a host's daemon; give its key and what it answers.

    Raises NoSuchHost, HostSilent, Busy, NoDaemon, DaemonSilent, DaemonRefused, BrokerError.
    """
    own = house.here
    if house.runtime_dir is None or own is None or host not in (HERE, own):
        return host, _elsewhere(house, host, request, by)
    with Daemon.reach(house.runtime_dir, within=_WITHIN_HERE) as daemon:
        return own, daemon.ask(request, within=_WITHIN_HERE)


def _elsewhere(house: House, host: str, request: Request, by: str) -> dict[str, Any]:
    _check_live(house, host)
    orders = HostOrders(house.client, house.namespace)
    with _place():
        order = orders.ask(host, request, by=by)
        answer, nothing_done = None, False
        try:
            answer = orders.answer_to(order, within=WITHIN)
        finally:
            # However the wait ended, who is told of no answer must not have it done behind their back.
            if answer is None:
                nothing_done = orders.withdraw(host, order)
        if answer is None:
            came = "it was not taken and nothing is done" if nothing_done else "it may be done yet"
            raise HostSilent(
                f"{name_of(request)}: host {host!r} has not answered within {WITHIN:g} s; {came}; "
                "expected an answer in a few seconds; see its log, and whether it is of this version"
            )
    return _told(answer)


def _check_live(house: House, host: str) -> None:
    found = read_host(house.client, house.namespace, host)
    if found is None:
        raise NoSuchHost(
            f"host {host!r}: not known; expected the key of one that GET /hosts lists, or {HERE!r} "
            "where a daemon serves this"
        )
    if found.silent_for > _SILENT:
        raise HostSilent(
            f"host {host!r}: has said nothing for {found.silent_for:.0f} s; expected a word every few "
            "seconds; nothing was asked; see whether it runs"
        )


@contextmanager
def _place() -> Iterator[None]:
    if not _places.acquire(blocking=False):
        raise Busy(
            f"hosts: {_MOST_WAITING} requests wait for other hosts already; try again in some seconds"
        )
    try:
        yield
    finally:
        _places.release()


def _told(answer: Answer) -> dict[str, Any]:
    if answer.ok is not None:
        return answer.ok
    why = answer.error or Refusal("bad_answer", "the host's answer is empty")
    for kind in (NoDaemon, DaemonSilent):
        if why.code == kind.code:
            raise kind(why.message)
    raise DaemonRefused(why.message, reason=why.code)
