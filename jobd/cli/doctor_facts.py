"""Collecting what the doctor judges: configuration, machine, Redis, daemons. Nothing is changed.

Each part goes without the others; what cannot be had is said to be so by a finding of its own.
"""

from __future__ import annotations

import os
from pathlib import Path

from jobd import __version__
from jobd.broker import checkup, leftovers
from jobd.broker.access_facts import access_facts
from jobd.broker.alert_loads import LoadStore
from jobd.broker.connection import Client, connect
from jobd.broker.hosts import hosts
from jobd.broker.keys import FORMAT
from jobd.broker.sentinel_facts import sentinel_facts
from jobd.cli.exposed import exposed
from jobd.cli.in_force import InForce
from jobd.cli.picture import Looker
from jobd.cli.settings import URL_VARIABLE, Settings
from jobd.core import config as configs
from jobd.core.config import Config
from jobd.core.config_advice import warnings
from jobd.core.doctor import access, limits, place, sentinel, store
from jobd.core.doctor import daemon as daemons
from jobd.core.doctor.finding import Finding, error, note, ok, warning
from jobd.core.doctor.limits import Load, QueueLoad, UnitFacts
from jobd.core.errors import BrokerError, NotPermitted
from jobd.core.options import read_run_options, resolve
from jobd.core.portrait import Daemon
from jobd.core.redis_place import safe_url
from jobd.seams import machine, statefile, units, workdir
from jobd.seams.strays import strays

_CORRECT = "correct it, then `jobd check`"
_MEANT = "correct it, or leave it if that is what was meant"

Section = tuple[str, list[Finding]]


def examine(found: InForce, file: Path | None) -> list[Section]:
    """Look at everything there is to look at, and judge it."""
    config = found.config
    daemon, unreadable = Looker(found).daemon(patience=1.0)
    running = daemon if daemon is not None and daemon.running else None
    pid = None if running is None else running.pid
    facts = machine.machine_facts(pid)
    mine = daemons.examine(daemon, directory=str(found.directory), version=__version__)
    if unreadable is not None:
        mine = [error("daemon.state", unreadable, "see what is said there")]
    elif running is not None:
        mine += _working_directory(found.directory)
    redis, others, left = _redis(config, running)
    return [
        ("configuration", _configuration(found, file)),
        ("limits", limits.examine(load_of(config, running), _unit(pid), facts)),
        ("place", place.examine(machine.place_facts(found.directory))),
        ("daemon", mine),
        ("redis", redis),
        ("hosts", others),
        ("leftovers", left),
    ]


def _working_directory(directory: Path) -> list[Finding]:
    """Judge where the daemon loads its application from: with that gone, nothing more can be started."""
    state = statefile.read(directory)
    gone = workdir.why_unusable(Path(state.where)) if state is not None and state.where else None
    if gone is None:
        return []
    what, _, do = gone.partition("; expected the application there; ")
    return [error("daemon.working_directory", f"the daemon's {what}", f"{do}; then `jobd reload`")]


def broken(problems: list[str]) -> list[Finding]:
    """Say what is wrong with a configuration file."""
    return [error("config.file", problem, _CORRECT) for problem in problems]


def load_of(config: Config, running: Daemon | None) -> Load:
    """Say what a configuration asks of a machine; queues of the code alone, a daemon must tell."""
    daemon = config.daemon
    queues = {name: configs.QueueConfig() for name in (running.queues if running else ())}
    served = [
        (name, queue)
        for name, queue in (queues | config.queues).items()
        if daemon.queues is None or name in daemon.queues
    ]
    return Load(
        lease=daemon.lease,
        drain_timeout=daemon.drain_timeout,
        max_processes=daemon.max_processes,
        queues=tuple(_queue_load(name, queue) for name, queue in served),
    )


def _queue_load(name: str, queue: configs.QueueConfig) -> QueueLoad:
    policy = resolve(read_run_options(queue.options, what=name))
    return QueueLoad(
        name=name,
        least=queue.processes.min,
        most=queue.processes.max,
        concurrency=queue.concurrency,
        timeout=policy.timeout,
        soft_timeout=policy.soft_timeout,
        memory_limit=queue.memory_limit,
        memory_limit_hard=queue.memory_limit_hard,
    )


def _configuration(found: InForce, file: Path | None) -> list[Finding]:
    if found.problems:
        said = broken(found.problems)
        why = "the daemon runs with what it read before"
        return [*said, note("config.in_force", why, "what follows is about that")]
    if file is None:
        return [note("config.file", "no file: defaults", "name one with -c, or `jobd init`")]
    said = [] if found.settings is None else _advice(found.settings)
    if os.environ.get(URL_VARIABLE):
        what = f"{URL_VARIABLE} goes before the file's redis.url"
        said.append(note("config.environment", what, "see that the daemon has it, too"))
    if not said:
        said.append(ok("config.file", f"{file} can be used"))
    return said


def _advice(settings: Settings) -> list[Finding]:
    said = [*warnings(settings.config, settings.places), *exposed(settings)]
    return [warning("config.warnings", text, _MEANT) for text in said]


def _unit(pid: int | None) -> UnitFacts | None:
    """Read the service that runs the daemon; where none runs, the one of the usual name."""
    name = units.USUAL if pid is None else machine.unit_of(pid)
    return None if name is None else units.unit_facts(name)


def _redis(
    config: Config, running: Daemon | None
) -> tuple[list[Finding], list[Finding], list[Finding]]:
    """Judge the server, the hosts that speak through it, and what lies about in it and here."""
    client = connect(config.redis.url, timeout=2.0)
    ours = "" if running is None else running.nonce
    try:
        facts = checkup.store_facts(client, config.redis.namespace)
        judged = store.examine(
            facts,
            lease=config.daemon.lease,
            format_known=FORMAT,
            keeps_nothing=config.redis.keeps_nothing,
        )
        judged += access.examine_access(access_facts(client))
        watched = sentinel_facts(client, replicas_wanted=facts.replicas_wanted)
        judged += [] if watched is None else sentinel.examine_sentinels(watched)
    except BrokerError as trouble:
        what, _, do = str(trouble).removeprefix("redis: ").rpartition("; ")
        where = safe_url(config.redis.url)
        here = daemons.Leftovers(strays=strays())
        left = daemons.examine_leftovers(here, known={ours}, lease=config.daemon.lease)
        name = "redis.permitted" if isinstance(trouble, NotPermitted) else "redis.reachable"
        return [error(name, f"{where}: {what}", do)], [], left
    try:
        return judged, *_others(client, config, ours)
    except BrokerError as trouble:
        refused = isinstance(trouble, NotPermitted)
        do = "allow it to this user" if refused else "look again"
        return [*judged, warning("redis.keys", str(trouble), do)], [], []


def _others(client: Client, config: Config, ours: str) -> tuple[list[Finding], list[Finding]]:
    space = config.redis.namespace
    there = hosts(client, space)
    known = {host.daemon.nonce for host in there if host.daemon is not None} | {ours}
    sample = leftovers.ownerless(client, space)
    left = daemons.Leftovers(
        strays=strays(),
        leases=tuple(leftovers.leases(client, space)),
        ownerless=sample.ownerless,
        looked_at=sample.looked_at,
        whole=sample.whole,
    )
    judged = daemons.examine_hosts(there, ours)
    judged += daemons.examine_rules(LoadStore(client, space).read())
    return judged, daemons.examine_leftovers(left, known=known, lease=config.daemon.lease)
