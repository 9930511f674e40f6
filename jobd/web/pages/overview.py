"""The overview: every queue, what needs somebody, the hosts, the server.

Called by the table of pages; costs a handful of round trips, whatever the number of jobs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from jobd.broker.browse_queues import MINUTES, QueueRow
from jobd.core.errors import NotPermitted
from jobd.core.portrait import SILENT, Host
from jobd.core.server_facts import ServerFacts, judge
from jobd.core.states import STATES
from jobd.seams.clock import wall_ms
from jobd.web.api.house import House
from jobd.web.api.rules import read_rules
from jobd.web.pages.hosts import called
from jobd.web.pages.page import Ask, Model, Page, watched

RESET_SHOWN_MS = 3_600_000
"""For so long it is said that Redis has lost what it held: zeros alone look as if all were well."""


class Summed(NamedTuple):
    """All queues together; `throughput`: completed a second."""

    counts: dict[str, int]
    completed: list[int]
    failed: list[int]
    throughput: float
    workers: int


class Line(NamedTuple):
    """A host. `place`: where its daemon runs, of one whose name another has as well; what a silent one said
    of its workers is of the past, and not shown."""

    of: Host
    name: str
    place: str
    is_silent: bool


def read(house: House, ask: Ask) -> Model:
    """Read all of it. Raises BrokerError."""
    rows = house.browser.queues(within=ask.within)
    rules = read_rules(house).rules
    server = _server(house)
    hosts = _lines(house.browser.hosts(within=ask.within))
    return {
        "queues": rows,
        "all": summed(rows),
        "unserved": [row.name for row in rows if is_unserved(row)],
        "unknown": [row.name for row in rows if has_unknown(row)],
        "firing": [rule for rule in rules if rule.state == "firing"],
        "watched": len(rules),
        "hosts": hosts,
        "silent": [each for each in hosts if each.is_silent],
        "server": server,
        "unfit": [] if server is None else judge(server),
        "reset_at": _reset_at(house),
        "now": wall_ms(),
    }


def _reset_at(house: House) -> int | None:
    """Give when Redis was flushed, replaced or set back, where that is not long ago."""
    at = house.alerts().reset_at()
    return at if at is not None and wall_ms() - at < RESET_SHOWN_MS else None


def is_unserved(row: QueueRow) -> bool:
    """Whether jobs could run, and no worker is there to take them."""
    return row.workers == 0 and row.due > 0


def has_unknown(row: QueueRow) -> bool:
    """Whether workers have just set jobs aside because none of them knows their task."""
    return row.parked > 0 and bool(row.counts["delayed"] or row.counts["waiting"])


def summed(rows: Iterable[QueueRow]) -> Summed:
    """Add the figures of queues."""
    rows = list(rows)
    return Summed(
        counts={state: sum(row.counts[state] for row in rows) for state in STATES},
        completed=_by_minute(row.completed for row in rows),
        failed=_by_minute(row.failed for row in rows),
        throughput=sum(row.throughput for row in rows),
        workers=sum(row.workers for row in rows),
    )


def _by_minute(lists: Iterable[list[int]]) -> list[int]:
    return [sum(minute) for minute in zip(*lists, strict=True)] or [0] * MINUTES


def _server(house: House) -> ServerFacts | None:
    try:
        return house.browser.server()
    except NotPermitted:
        return None


def _lines(hosts: Iterable[Host]) -> list[Line]:
    known = list(hosts)
    names = called(known)
    return [
        Line(host, *names[host.key], host.silent_for > SILENT)
        for host in sorted(known, key=lambda host: (names[host.key].name, host.key))
    ]


PAGE = watched(Page("/", "overview", "Overview", "overview.html", read, "overview"))
