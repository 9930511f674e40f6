"""`jobd dev APP`: the real daemon for one developer, with nothing to set up.

The supervisor is a child here, since a private server and a temporary directory have to be cleaned
up behind it. All of them end with this process, however it ends.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from jobd.broker.connection import safe_url
from jobd.cli import runtime, settings
from jobd.cli.options import url_option
from jobd.core.config import Config, DaemonConfig, LogConfig
from jobd.core.config_values import target
from jobd.core.errors import EX_SOFTWARE, OptionError
from jobd.seams import host
from jobd.wiring.server import private_server

_DRAIN = 5.0
_SIGNALLED = 128


@click.command("dev")
@click.argument("app")
@url_option
def command(app: str, redis_url: str | None) -> int:
    """Run APP (module:attribute) with readable logs until ^C.

    Redis is the one of --redis-url or JOBD_REDIS_URL, else a private one that ends with this
    command and forgets everything. Start again to run changed code.
    """
    try:
        target(app)
    except OptionError as error:
        raise click.UsageError(f"APP: {error}") from error
    # Before anything is started: a signal in between must not leave it behind.
    signals = host.Signals([signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP])
    with tempfile.TemporaryDirectory(prefix="jobd-dev-") as top, _server(redis_url, top) as config:
        directory = Path(top) / "run"
        directory.mkdir(mode=0o700)
        click.echo(f"jobd: {app} with Redis at {safe_url(config.redis.url)}; ^C stops", err=True)
        if settings.with_url(Config(), redis_url) == Config():
            url = config.redis.url
            click.echo(
                f"jobd: for programs that add jobs: export {settings.URL_VARIABLE}={url}", err=True
            )
        return _supervise(_config(config, app, directory), directory, signals)


@contextmanager
def _server(url: str | None, top: str) -> Iterator[Config]:
    named = settings.with_url(Config(), url)
    if url or os.environ.get(settings.URL_VARIABLE):
        yield named
        return
    with private_server(Path(top)) as private:
        yield settings.with_url(Config(), private)


def _config(config: Config, app: str, directory: Path) -> Config:
    return Config(
        app=app,
        redis=config.redis,
        daemon=DaemonConfig(
            drain_timeout=_DRAIN, runtime_dir=str(directory), log=LogConfig(format="console")
        ),
    )


def _supervise(config: Config, directory: Path, signals: host.Signals) -> int:
    effective = runtime.write_effective(config, directory)
    pid = host.spawn([sys.executable, "-m", "jobd.wiring.supervisor", str(effective)])
    pidfd = host.open_pid(pid)
    assert pidfd is not None  # a child that nobody has waited for is at least a zombie
    try:
        while (end := host.reap(pidfd)) is None:
            select.select([signals.fileno(), pidfd], [], [])
            for number in signals.take():
                wish = signal.SIGQUIT if number == signal.SIGQUIT else signal.SIGTERM
                host.send(pidfd, wish)
    finally:
        os.close(pidfd)
    if end.signal is not None:
        click.echo(f"jobd: the supervisor was ended by {end.words()}", err=True)
        return _SIGNALLED + end.signal
    return EX_SOFTWARE if end.code is None else end.code
