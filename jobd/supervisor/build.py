"""The first fleet, from the configuration. Called by jobd.wiring.supervisor."""

from __future__ import annotations

from collections.abc import Iterable

from jobd.core.config import Config, QueueConfig
from jobd.core.errors import ConfigError
from jobd.supervisor.fleet import Dead, Fleet, Helper, Policy, Slot

KEEPER = "keeper"
# Pages for the dead the keeper has not released yet, beside two for each slot: while Redis is away
# a crashing worker is replaced this many times before its slot has to wait.
_SPARE_PAGES = 64


def policy_of(config: Config) -> Policy:
    """Take the spans a supervisor goes by."""
    return Policy(lease=config.daemon.lease, drain_timeout=config.daemon.drain_timeout)


def preloader_name(app: str, preload: bool) -> str:
    """Name the helper that forks workers of this app."""
    return f"preloader {app}" if preload else f"forker {app}"


def build(config: Config, *, nonce: str, board: str, inherited: Iterable[Dead]) -> Fleet:
    """Lay out slots and helpers. Raises ConfigError when a queue has no app."""
    slots: dict[str, Slot] = {}
    helpers = {KEEPER: Helper(name=KEEPER)}
    for queue, said in _served(config).items():
        helper = _helper(helpers, said.app or config.app, said.preload, queue)
        for number in range(1, said.processes.min + 1):
            name = f"{queue}.{number}"
            slots[name] = Slot(name=name, queue=queue, helper=helper, cells=said.concurrency)
    adopt = None
    if config.daemon.queues is None and config.app is not None:
        adopt = _helper(helpers, config.app, True, "")
    return Fleet(
        policy=policy_of(config),
        nonce=nonce,
        board=board,
        slots=slots,
        helpers=helpers,
        dead={dead.incarnation: dead for dead in inherited},
        free=tuple(range(page_count(len(slots)))),
        adopt_queues_of=adopt,
    )


def page_count(slots: int) -> int:
    """Tell how many pages a scoreboard for so many slots has."""
    return 2 * slots + _SPARE_PAGES


def cell_count(fleet: Fleet) -> int:
    """Tell how many jobs one process of this fleet runs at once, at the most."""
    return max((slot.cells for slot in fleet.slots.values()), default=1)


def _served(config: Config) -> dict[str, QueueConfig]:
    named = config.daemon.queues
    return {
        queue: config.queues.get(queue, QueueConfig())
        for queue in (config.queues if named is None else named)
    }


def _helper(helpers: dict[str, Helper], app: str | None, preload: bool, queue: str) -> str:
    if app is None:
        raise ConfigError(
            f"app: not set; expected 'module:attribute' for queue {queue!r}; "
            f"set app, or queues.{queue}.app"
        )
    name = preloader_name(app, preload)
    helpers.setdefault(name, Helper(name=name, app=app, preload=preload))
    return name
