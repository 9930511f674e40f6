"""What a configuration asks for, as a plan, and the first fleet. Called by jobd.wiring.supervisor."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from jobd.core.config import Config, QueueConfig
from jobd.core.errors import ConfigError
from jobd.core.processes import Processes
from jobd.core.redis_place import safe_url
from jobd.supervisor.demand import Bounds
from jobd.supervisor.fleet import Dead, Fleet, Helper, Plan, Policy, Queue, Role
from jobd.supervisor.layout import MOST_LEAVERS, lay_out
from jobd.supervisor.memory import Limits

KEEPER = "keeper"
# Pages for the dead the keeper has not released yet: while Redis is away a crashing worker is replaced
# this many times before its slot has to wait. And for what reloads and scaling may yet add.
_SPARE_PAGES = 256


def policy_of(config: Config) -> Policy:
    """Take the spans a supervisor goes by."""
    daemon = config.daemon
    return Policy(
        lease=daemon.lease,
        drain_timeout=daemon.drain_timeout,
        load_timeout=daemon.boot_timeout,
        max_processes=daemon.max_processes,
        hang_after=daemon.hang_after,
    )


def preloader_name(app: str, preload: bool, attempt: int = 1) -> str:
    """Name the helper that forks workers of this app. Those of a reload are told by its number."""
    kind = "preloader" if preload else "forker"
    return f"{kind} {app}" if attempt == 1 else f"{kind} {app} #{attempt}"


def plan(config: Config, attempt: int = 1, *, sockets: bool = False) -> Plan:
    """Lay out queues and preloaders. Raises ConfigError when a queue has no app."""
    preloaders: dict[str, Helper] = {}
    queues = {}
    for name, said in _served(config).items():
        helper = _preloader(preloaders, said.app or config.app, said.preload, name, attempt)
        queues[name] = Queue(
            name=name,
            helper=helper,
            target=said.processes.min,
            cells=said.concurrency,
            spec=_spec(config, said),
            boot_timeout=said.boot_timeout,
            limits=_limits(said),
            bounds=Bounds(
                least=said.processes.min,
                most=said.processes.max,
                within=said.processes.drain_within,
                weight=said.weight,
            ),
        )
    adopt = None
    if config.daemon.queues is None and config.app is not None:
        adopt = _preloader(preloaders, config.app, True, "", attempt)
    return Plan(
        policy=policy_of(config),
        settings=_digest(config),
        queues=queues,
        preloaders=preloaders,
        services=services(config, sockets=sockets),
        adopt_queues_of=adopt,
        redis=safe_url(config.redis.url),
        namespace=config.redis.namespace,
    )


def build(
    config: Config,
    *,
    nonce: str,
    board: str,
    inherited: Iterable[Dead],
    exits: dict[str, dict[str, int]] | None = None,
    sockets: bool = False,
) -> Fleet:
    """Make the first fleet. Raises ConfigError when a queue has no app."""
    first = plan(config, sockets=sockets)
    fleet = Fleet(
        policy=first.policy,
        nonce=nonce,
        board=board,
        settings=first.settings,
        redis=first.redis,
        namespace=first.namespace,
        queues=dict(first.queues),
        helpers={
            KEEPER: Helper(name=KEEPER, role=Role.KEEPER),
            **first.preloaders,
            **first.services,
        },
        dead={dead.incarnation: dead for dead in inherited},
        free=tuple(range(page_count(sum(queue.bounds.most for queue in first.queues.values())))),
        adopt_queues_of=first.adopt_queues_of,
        exits=exits or {},
    )
    lay_out(fleet, 0.0)
    return fleet


def services(config: Config, *, sockets: bool) -> dict[str, Helper]:
    """Name the services that have something to do; `sockets`: there are some to serve on."""
    roles = []
    if sockets:
        roles.append(Role.WEB)
    if config.alerts.wanted:
        roles.append(Role.ALERTER)
    return {role.value: Helper(name=role.value, role=role) for role in roles}


def page_count(slots: int) -> int:
    """Tell how many pages a scoreboard for so many slots has: the file is as large as what is used."""
    return (1 + MOST_LEAVERS) * slots + _SPARE_PAGES


def _served(config: Config) -> dict[str, QueueConfig]:
    named = config.daemon.queues
    return {
        queue: config.queues.get(queue, QueueConfig())
        for queue in (config.queues if named is None else named)
    }


def _limits(said: QueueConfig) -> Limits:
    return Limits(
        memory=said.memory_limit,
        memory_hard=said.memory_limit_hard,
        jobs=said.max_jobs,
        age=said.max_age,
    )


def _spec(config: Config, said: QueueConfig) -> str:
    """Stand for all that a worker of this queue reads of the configuration."""
    settings = msgspec.structs.replace(said, processes=Processes(), weight=1)
    return _digest([settings, config.redis, config.daemon.lease, config.daemon.log])


def _digest(said: object) -> str:
    return hashlib.blake2b(msgspec.json.encode(said), digest_size=8).hexdigest()


def _preloader(
    preloaders: dict[str, Helper], app: str | None, preload: bool, queue: str, attempt: int
) -> str:
    if app is None:
        raise ConfigError(
            f"app: not set; expected 'module:attribute' for queue {queue!r}; "
            f"set app, or queues.{queue}.app"
        )
    name = preloader_name(app, preload, attempt)
    preloaders.setdefault(name, Helper(name=name, app=app, preload=preload))
    return name
