"""What `jobd status` and `jobd top` show: the daemon of this host, the other hosts, the queues.

Each is read without the others: the daemon from its files, so while Redis is away and while the daemon
hangs; hosts and queues from Redis, so while no daemon runs here. What could not be read says why.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec

from jobd.broker.connection import connect
from jobd.broker.flow import Flow
from jobd.broker.hosts import hosts
from jobd.broker.layout import refuse_other_format
from jobd.broker.overview import overview
from jobd.broker.server import read_facts
from jobd.cli import runtime
from jobd.cli.in_force import InForce
from jobd.cli.same_redis import works_there
from jobd.core.errors import (
    BrokerError,
    DaemonForbids,
    DaemonRefused,
    DaemonSilent,
    HostError,
    NotPermitted,
)
from jobd.core.portrait import Answers, Daemon, Host
from jobd.core.redis_place import safe_url
from jobd.core.server_facts import ServerFacts, Unfit, judge
from jobd.seams import asking, host, portrait
from jobd.seams.requests import Ping


class Store(msgspec.Struct, kw_only=True):
    """What Redis says, or in `trouble` why it does not. `exit_code` is that of the trouble."""

    server: ServerFacts | None = None
    unfit: list[Unfit] = []
    counts: dict[str, dict[str, int]] = {}
    flows: dict[str, Flow] = {}
    hosts: list[Host] = []
    trouble: str | None = None
    exit_code: int = 0


class Picture(msgspec.Struct, kw_only=True):
    """One look at everything. `unreadable`: why the daemon of this host could not be looked at.

    `problems`: what is wrong with the configuration's file; the daemon runs with an earlier one. `web`:
    where the daemon of this host is served; "systemd" for sockets that were opened there. `works_here`:
    whether its Redis is the one looked at; None: not known, or none runs.
    """

    runtime_dir: str
    url: str
    namespace: str = ""
    daemon: Daemon | None
    store: Store
    unreadable: str | None = None
    problems: list[str] = []
    web: str | None = None
    works_here: bool | None = None

    @property
    def ours(self) -> Daemon | None:
        """The daemon of this host, if it runs, and what is in Redis is its work."""
        found = self.daemon
        return None if found is None or not found.running or self.works_here is False else found


class Looker:
    """Looks, again and again if need be, over one connection."""

    def __init__(self, found: InForce, *, timeout: float = 2.0) -> None:
        config = found.config
        self._client = connect(config.redis.url, timeout=timeout)
        self._namespace = config.redis.namespace
        self._keeps_nothing = config.redis.keeps_nothing
        self._directory = found.directory
        self._url = safe_url(config.redis.url)
        self._problems = found.problems

    def look(self, *, patience: float = 1.0) -> Picture:
        """Look at all. A daemon that does not answer within `patience` seconds hangs."""
        daemon, unreadable = self.daemon(patience=patience)
        return self.picture(daemon, unreadable, self.store())

    def picture(self, daemon: Daemon | None, unreadable: str | None, store: Store) -> Picture:
        """Put what was seen together."""
        return Picture(
            runtime_dir=str(self._directory),
            url=self._url,
            namespace=self._namespace,
            daemon=daemon,
            unreadable=unreadable,
            store=store,
            problems=self._problems,
            web=None if daemon is None else _web(daemon, self._directory),
            works_here=None if daemon is None else self._works_here(daemon, store),
        )

    def _works_here(self, daemon: Daemon, store: Store) -> bool | None:
        said = None if store.trouble else store.hosts
        return works_there(daemon, self._url, self._namespace, said)

    def daemon(self, *, patience: float) -> tuple[Daemon | None, str | None]:
        """Look at the daemon of this host; else say why that cannot be."""
        try:
            daemon = portrait.look(self._directory)
        except portrait.StateUnreadable as why:
            return None, str(why)
        if daemon is not None and daemon.running:
            answers = _answers(self._directory, daemon.pid, patience)
            daemon = msgspec.structs.replace(daemon, answers=answers)
        return daemon, None

    def store(self) -> Store:
        """Look at Redis."""
        found = Store()
        try:
            refuse_other_format(self._client, self._namespace)
            with suppress(NotPermitted):  # of all that is asked here, INFO alone is refused to some
                found.server = read_facts(self._client)
                found.unfit = judge(found.server, keeps_nothing=self._keeps_nothing)
            found.counts, found.flows = overview(self._client, self._namespace)
            found.hosts = hosts(self._client, self._namespace)
        except BrokerError as error:
            found.trouble, found.exit_code = str(error), error.exit_code
        return found


def _web(daemon: Daemon, directory: Path) -> str | None:
    if not daemon.running or "web" not in daemon.helpers:
        return None
    # What it runs with: the file may say something else by now.
    config = runtime.read_effective(directory)
    if config is None:
        return None  # not ours to read
    return "systemd" if config.web.bind is None else config.web.bind


def _answers(directory: Path, pid: int, patience: float) -> Answers:
    """Ask whether the loop of a daemon turns."""
    found = host.stat(pid)
    if found is not None and found.state in ("T", "t"):
        return "stopped"
    try:
        with asking.Daemon.reach(directory, within=patience) as daemon:
            daemon.ask(Ping(), within=patience)
    except DaemonSilent:
        return "no"
    except (DaemonForbids, DaemonRefused, HostError):
        return "unknown"  # not ours to ask, of another version, or just ended
    return "yes"
