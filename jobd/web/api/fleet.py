"""Hosts and their workers; replacing a worker, and a look at its stacks, on any live host."""

from __future__ import annotations

from typing import Any

import msgspec

from jobd.core.portrait import Host
from jobd.core.server_facts import ServerFacts, Unfit, judge
from jobd.seams.requests import Dump, Recycle, Stack
from jobd.web.api.endpoint import Call, Endpoint
from jobd.web.api.house import House
from jobd.web.api.orders import ask


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
    """What the daemon was asked for and does. `slot` None: all of its processes.

    `stacks` are of a dump, 256 KiB at the most; those of `left_out` more processes are in its log alone.
    """

    host: str
    slot: str | None
    outcome: str
    stacks: list[Stack] = []
    left_out: int = 0


def _list(house: House, _call: Call) -> Hosts:
    return Hosts(here=house.here, hosts=house.browser.hosts())


def _redis(house: House, _call: Call) -> RedisShown:
    facts = house.browser.server()
    return RedisShown(server=facts, unfit=judge(facts))


def _recycle(house: House, call: Call) -> Asked:
    slot = call.path["slot"]
    host, _ = ask(house, call.path["host"], Recycle(slot), by=call.person)
    return Asked(host=host, slot=slot, outcome="its worker is replaced")


def _dump(house: House, call: Call) -> Asked:
    slot = call.path["slot"]
    host, told = ask(house, call.path["host"], Dump(slot, tell=True), by=call.person)
    return _dumped(host, slot, told, "its stacks are here and in the daemon's log")


def _dump_all(house: House, call: Call) -> Asked:
    host, told = ask(house, call.path["host"], Dump(tell=True), by=call.person)
    outcome = "the stacks of all processes are here and in the daemon's log"
    return _dumped(host, None, told, outcome)


def _dumped(host: str, slot: str | None, told: dict[str, Any], outcome: str) -> Asked:
    """Read the stacks; a daemon of an older version tells none."""
    left_out = told.get("left_out", 0)
    try:
        stacks = msgspec.convert(told.get("stacks", []), list[Stack])
    except msgspec.ValidationError:
        stacks = []
    if not stacks:
        outcome = "the stacks are in the daemon's log"
    return Asked(
        host=host, slot=slot, outcome=outcome, stacks=stacks,
        left_out=left_out if isinstance(left_out, int) else 0,
    )  # fmt: skip


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
        "Replace a worker; the old one finishes its jobs. `here` is the host that serves this, others are named by their key.",
        _recycle, Asked,
    ),
    Endpoint(
        "POST", "/hosts/{host}/workers/{slot}/dump", "dump_worker", "hosts",
        "Give the stacks of a worker's threads, and write them to the daemon's log. What runs goes on.",
        _dump, Asked,
    ),
    Endpoint(
        "POST", "/hosts/{host}/dump", "dump_host", "hosts",
        "Give the stacks of all processes of a daemon, and write them to its log. What runs goes on.",
        _dump_all, Asked,
    ),
]  # fmt: skip
