"""`jobd dev APP`: the real daemon for one developer, with nothing to set up.

The supervisor is a child here, since a private server and a temporary directory have to be cleaned
up behind it. All of them end with this process, however it ends. So is the socket that health is served
on: who asks while the daemon starts again waits.
"""

from __future__ import annotations

import os
import select
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec

from jobd.broker.private import private_server
from jobd.cli import runtime, settings
from jobd.cli.changes import Changes
from jobd.cli.mistakes import missing
from jobd.cli.options import url_option
from jobd.core.config import Config, DaemonConfig, LogConfig, WebConfig
from jobd.core.config_values import target
from jobd.core.config_web import DashboardConfig, is_local
from jobd.core.errors import EX_CONFIG, EX_SOFTWARE, NotHere, OptionError
from jobd.core.redis_place import safe_url
from jobd.seams import host, listening
from jobd.seams.exits import Exit
from jobd.seams.program import python_module

_DRAIN = 5.0
_WEB = "127.0.0.1:9180"
_SIGNALLED = 128


@click.command("dev")
@click.argument("app", required=False)
@click.option(
    "-c",
    "--config",
    "config_file",
    metavar="FILE",
    help="Take the queues, the schedules and, without APP, the app of this configuration. Default: none.",
)
@url_option
@click.option(
    "--reload/--no-reload",
    default=True,
    help="Start again when a Python file below this directory changes. Default: reload.",
)
def command(app: str | None, config_file: str | None, redis_url: str | None, reload: bool) -> int:
    """Run APP (module:attribute) with readable logs until ^C.

    Redis is the one of --redis-url or JOBD_REDIS_URL, else a private one that ends with this
    command and forgets everything. Jobs that run when a file changes may finish first, for 5 s. The
    dashboard, health and metrics are served at 127.0.0.1:9180, or at another port where that is taken.
    """
    said = _said(Path(config_file)) if config_file else Config()
    app = _app(app or said.app)
    # Before anything is started: a signal in between must not leave it behind.
    signals = host.Signals([signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP])
    with tempfile.TemporaryDirectory(prefix="jobd-dev-") as top, _server(redis_url, top) as config:
        directory = Path(top) / "run"
        directory.mkdir(mode=0o700)
        sock = listening.listen_about(_WEB)
        address = "{}:{}".format(*sock.getsockname())
        _greet(app, config, directory, address)
        effective = directory / runtime.EFFECTIVE
        told = _config(config, app, directory, address)
        told = msgspec.structs.replace(told, queues=said.queues, schedules=said.schedules)
        runtime.write_effective(told, effective)
        changes = Changes(Path.cwd()) if reload else None
        return _Session(effective, listening.hand_over([sock]), signals, changes).run()


def _said(file: Path) -> Config:
    """Read a configuration, whose secrets may be absent here. Raises ConfigError."""
    try:
        return settings.whole(file, url=None).config
    except NotHere as without:
        rest: Config = without.rest.config
        return rest


def _app(named: str | None) -> str:
    """Check what is to be run. Raises UsageError."""
    if named is None:
        raise click.UsageError(missing("APP"))
    try:
        return target(named)
    except OptionError as error:
        raise click.UsageError(f"APP: {error}") from error


@contextmanager
def _server(url: str | None, top: str) -> Iterator[Config]:
    named = settings.with_url(Config(), url)
    if url or os.environ.get(settings.URL_VARIABLE):
        yield named
        return
    with private_server(Path(top)) as private:
        config = settings.with_url(Config(), private)
        redis = msgspec.structs.replace(config.redis, keeps_nothing=True)
        yield msgspec.structs.replace(config, redis=redis)


def _greet(app: str, config: Config, directory: Path, address: str) -> None:
    """Say where it can be looked at, what runs, and what another terminal needs for adding jobs."""
    lines = [f"dashboard, health and metrics: http://{address}/"]
    if config.redis.keeps_nothing:
        lines += [
            f"{app}, with a Redis of its own that forgets everything; ^C stops",
            f"in another terminal: export {settings.URL_VARIABLE}={config.redis.url}",
        ]
    else:
        lines += [f"{app}, with Redis at {safe_url(config.redis.url)}; ^C stops"]
    lines.append(f"to look at it: jobd status --runtime-dir {directory}")
    for line in lines:
        click.echo(f"jobd: {line}", err=True)


def _config(config: Config, app: str, directory: Path, address: str) -> Config:
    return Config(
        app=app,
        redis=config.redis,
        daemon=DaemonConfig(
            drain_timeout=_DRAIN, runtime_dir=str(directory), log=LogConfig(format="console")
        ),
        web=WebConfig(
            bind=address, dashboard=DashboardConfig(open=True) if is_local(address) else None
        ),
    )


class _Session:
    """One daemon after another, until somebody stops it or the first one does not start."""

    def __init__(
        self,
        effective: Path,
        sockets: list[int],
        signals: host.Signals,
        changes: Changes | None,
    ) -> None:
        """`sockets` are those that each daemon serves on, one after another."""
        self._effective = effective
        self._sockets = sockets
        self._signals = signals
        self._changes = changes
        self._asked = False
        self._reloaded = False

    def run(self) -> int:
        """Run daemons; give the exit code of the last."""
        code, changed = self._daemon()
        while changed or (code == EX_CONFIG and self._reloaded and self._wait()):
            self._reloaded = True
            code, changed = self._daemon()
        return code

    def _daemon(self) -> tuple[int, bool]:
        """Run one; give its exit code, and whether it ended for the sake of changed files."""
        pid = host.spawn(
            [*python_module("jobd.wiring.supervisor"), str(self._effective)],
            keep=self._sockets,
        )
        pidfd = host.open_pid(pid)
        assert pidfd is not None  # a child that nobody has waited for is at least a zombie
        changed = False
        try:
            while (end := host.reap(pidfd)) is None:
                for number in self._signalled(pidfd):
                    host.send(pidfd, number)
                if not changed and not self._asked and self._has_changed():
                    changed = True
                    host.send(pidfd, signal.SIGTERM)
        finally:
            os.close(pidfd)
        return _code(end), changed and not self._asked

    def _wait(self) -> bool:
        """Wait for a change that may mend the code; False when asked to stop instead."""
        click.echo("jobd: waits for the next change; ^C stops", err=True)
        while not self._asked:
            self._signalled()
            if not self._asked and self._has_changed():
                return True
        return False

    def _signalled(self, *also: int) -> list[int]:
        """Wait for a signal, for another descriptor or for the next look; give what to pass on."""
        every = None if self._changes is None else self._changes.every
        select.select([self._signals.fileno(), *also], [], [], every)
        numbers = self._signals.take()
        self._asked = self._asked or bool(numbers)
        return [signal.SIGQUIT if n == signal.SIGQUIT else signal.SIGTERM for n in numbers]

    def _has_changed(self) -> bool:
        name = None if self._changes is None else self._changes.look()
        if name is not None:
            click.echo(f"jobd: {name} changed; starting again", err=True)
        return name is not None


def _code(end: Exit) -> int:
    if end.signal is not None:
        click.echo(f"jobd: the supervisor was ended by {end.words()}", err=True)
        return _SIGNALLED + end.signal
    return EX_SOFTWARE if end.code is None else end.code
