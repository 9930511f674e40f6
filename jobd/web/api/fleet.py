"""Hosts and their workers; replacing a worker, and a look at its stacks, on the host that serves this."""

from __future__ import annotations

import msgspec

from jobd.core.portrait import Host
from jobd.core.server_facts import ServerFacts, Unfit, judge
from jobd.seams.asking import Daemon
from jobd.seams.place import key_of
from jobd.seams.requests import Dump, Recycle, Request
from jobd.web.api.endpoint import Call, Endpoint
from jobd.web.api.house import House
from jobd.web.api.problems import Conflict

# Another name of the host that serves the request.
HERE = "here"
# The loop of a daemon turns many times a second: one that is silent for so long hangs.
_WITHIN = 5.0


class ElsewhereError(Conflict):
    """A daemon can be asked only on its own host."""

    code = "jobd.other_host"


class Hosts(msgspec.Struct, frozen=True, kw_only=True):
    """What the daemons of all hosts said of themselves last.

    `here` names the one that serves this; None where an application does, and no daemon.
    """

    here: str | None
    hosts: list[Host]


class RedisShown(msgspec.Struct, frozen=True, kw_only=True):
    """What the server says of itself, sizes in bytes (`max_memory` 0: no limit), and what is wrong with it."""

    server: ServerFacts
    unfit: list[Unfit]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the daemon was asked for and does. `slot` None: all of its processes."""

    host: str
    slot: str | None
    outcome: str


def _list(house: House, _call: Call) -> Hosts:
    here = None if house.runtime_dir is None else key_of(house.runtime_dir)
    return Hosts(here=here, hosts=house.browser.hosts())


def _redis(house: House, _call: Call) -> RedisShown:
    facts = house.browser.server()
    return RedisShown(server=facts, unfit=judge(facts))


def _recycle(house: House, call: Call) -> Asked:
    return _ask(house, call, Recycle(call.path["slot"]), "its worker is replaced")


def _dump(house: House, call: Call) -> Asked:
    return _ask(house, call, Dump(call.path["slot"]), "its stacks are in the daemon's log")


def _dump_all(house: House, call: Call) -> Asked:
    return _ask(house, call, Dump(), "the stacks of all processes are in the daemon's log")


def _ask(house: House, call: Call, request: Request, outcome: str) -> Asked:
    if house.runtime_dir is None:
        raise ElsewhereError(
            f"host {call.path['host']!r}: no daemon serves this, an application does; expected to be asked "
            "at the address of that host's daemon, or `jobd recycle` there"
        )
    own = key_of(house.runtime_dir)
    if call.path["host"] not in (HERE, own):
        raise ElsewhereError(
            f"host {call.path['host']!r}: not the one that serves this; expected {HERE!r} or {own!r}; "
            "ask the other host's own address, or `jobd recycle` there"
        )
    with Daemon.reach(house.runtime_dir, within=_WITHIN) as daemon:
        daemon.ask(request, within=_WITHIN)
    return Asked(host=own, slot=call.path.get("slot"), outcome=outcome)


ENDPOINTS = [
    Endpoint(
        "GET", "/hosts", "list_hosts", "hosts",
        "List the daemons of all hosts and their workers, as they said last, every few seconds.",
        _list, Hosts,
    ),
    Endpoint(
        "GET", "/redis", "show_redis", "hosts",
        "Show what the Redis server says of itself, its memory, and what is wrong with it.",
        _redis, RedisShown,
    ),
    Endpoint(
        "POST", "/hosts/{host}/workers/{slot}/recycle", "recycle_worker", "hosts",
        "Replace a worker; the old one finishes its jobs. `here` is the host that serves this.",
        _recycle, Asked,
    ),
    Endpoint(
        "POST", "/hosts/{host}/workers/{slot}/dump", "dump_worker", "hosts",
        "Write the stacks of a worker's threads to the daemon's log. What runs goes on.",
        _dump, Asked,
    ),
    Endpoint(
        "POST", "/hosts/{host}/dump", "dump_host", "hosts",
        "Write the stacks of all processes of a daemon to its log. What runs goes on.",
        _dump_all, Asked,
    ),
]  # fmt: skip
