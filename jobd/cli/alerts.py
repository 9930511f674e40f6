"""What `jobd alerts list|test|mute|unmute` have in common: rules of the file, and what is known of them.

Rules that all hosts share are in Redis; those that a host looks at for itself are in its runtime directory,
so what this host says of Redis is seen while Redis is away. Called by jobd.cli.alerts_*.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, NoReturn

import click

from jobd.broker.alert_loads import LoadStore
from jobd.broker.alerts import AlertStore
from jobd.broker.connection import connect
from jobd.cli import settings
from jobd.cli.runtime import locate
from jobd.core.alerts.kinds import KINDS
from jobd.core.alerts.loads import Load
from jobd.core.alerts.machine import RuleState
from jobd.core.config import Config
from jobd.core.config_alerts import RuleConfig
from jobd.core.errors import EX_NOINPUT, BrokerError
from jobd.core.suggest import nearest, one_of
from jobd.seams import alertfile

TIMEOUT = 2.0


class Known(NamedTuple):
    """All that is known of alerts: rules by name (None: in no file here), states, mutes until (ms), how
    hosts define them, and why Redis cannot be asked, or None."""

    rules: dict[str, RuleConfig | None]
    states: dict[str, RuleState]
    mutes: dict[str, int]
    loads: dict[str, list[Load]]
    unreachable: BrokerError | None


class Place(NamedTuple):
    """Where alerts are: the file's settings, the shared ones, and this host's own."""

    config: Config
    store: AlertStore
    loads: LoadStore
    runtime_dir: Path


def place(config_file: str | None, redis_url: str | None, runtime_dir: str | None) -> Place:
    """Find them. Raises ConfigError."""
    config = settings.read(settings.find_file(config_file), url=redis_url)
    client = connect(config.redis.url, timeout=TIMEOUT)
    space = config.redis.namespace
    stores = AlertStore(client, space), LoadStore(client, space)
    return Place(config, *stores, locate(config, runtime_dir))


def look(at: Place) -> Known:
    """Read what is known; of a Redis that is away, what this host has."""
    rules: dict[str, RuleConfig | None] = {rule.name: rule for rule in at.config.alerts.rules}
    own = alertfile.read(at.runtime_dir)
    states, mutes, unreachable = dict(own.rules), dict(own.mutes), None
    loads: dict[str, list[Load]] = {}
    try:
        held = at.store.states()
        mutes = at.store.mutes()
        loads = at.loads.read()
        states |= {name: each.state for name, each in held.items()}
    except BrokerError as error:
        unreachable = error
    here = alertfile.read_mutes(at.runtime_dir)
    for name in {*mutes, *here}:
        mutes[name] = max(mutes.get(name, 0), here.get(name, 0))
    rules |= dict.fromkeys(states.keys() - rules.keys())
    return Known(rules, states, mutes, loads, unreachable)


def is_local(rule: RuleConfig | None) -> bool:
    """Whether each host looks at it for itself."""
    return rule is not None and KINDS[rule.kind].local


def known_rule(name: str, known: Known) -> None:
    """End the command where there is no rule of this name, naming the nearest."""
    if name not in known.rules:
        no_such("rule", name, known.rules)


def no_such(what: str, name: str, names: Iterable[str]) -> NoReturn:
    """Say that there is nothing of this name, and end."""
    there = list(names)
    expected = f"there are {one_of(there)}{nearest(name, there)}" if there else "there is none"
    click.echo(f"jobd: {what} {name!r}: not there; {expected}", err=True)
    raise click.exceptions.Exit(EX_NOINPUT)
