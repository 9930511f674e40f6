"""The overview: every queue, what fires, the hosts, the server."""

from __future__ import annotations

from jobd.core.errors import NotPermitted
from jobd.core.server_facts import judge
from jobd.web.api.house import House
from jobd.web.api.rules import read_rules
from jobd.web.pages.page import Ask, Model, Page, watched


def read(house: House, _ask: Ask) -> Model:
    """Read all of it."""
    rows = house.browser.queues()
    rules = read_rules(house).rules
    try:
        server = house.browser.server()
    except NotPermitted:
        server = None
    totals: dict[str, int] = {}
    for row in rows:
        for state, count in row.counts.items():
            totals[state] = totals.get(state, 0) + count
    return {
        "queues": rows,
        "totals": totals,
        "throughput": sum(row.throughput for row in rows),
        "firing": [rule for rule in rules if rule.state == "firing"],
        "hosts": house.browser.hosts(),
        "server": server,
        "unfit": [] if server is None else judge(server),
    }


PAGE = watched(Page("/", "overview", "Overview", "overview.html", read, "overview"))
