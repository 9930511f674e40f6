"""`jobd run`: the foreground daemon, for systemd and containers."""

from __future__ import annotations

import os
import sys

import click
import msgspec

from jobd.cli.options import read_config, runtime_dir, write_private
from jobd.core.errors import ConfigError


@click.command()
@click.option(
    "-c", "--config", "file", help="The configuration file; jobd.toml where there is one."
)
@click.option("--app", help="module:attribute; goes before the file's.")
@click.option("--redis-url", help="Goes before JOBD_REDIS_URL and the file's redis.url.")
def run(file: str | None, app: str | None, redis_url: str | None) -> None:
    """Run the daemon until it is told to stop.

    TERM or INT drains and stops, a second one stops at once; QUIT stops at once. Jobs that were
    running then are handed back.
    """
    config = read_config(file, redis_url=redis_url, app=app)
    if config.app is None:
        raise ConfigError(
            "app: not set; expected module:attribute, as in 'shop.jobs:app'; "
            "write it into the file or give --app"
        )
    directory = runtime_dir(config)
    daemon = msgspec.structs.replace(config.daemon, runtime_dir=str(directory))
    effective = directory / "effective.json"
    write_private(effective, msgspec.structs.replace(config, daemon=daemon))
    if config.web.bind:
        click.echo(
            f"jobd: web.bind {config.web.bind}: health and metrics are coming in a later release, "
            "nothing is served there yet",
            err=True,
        )
    # The supervisor begins as a fresh process of this same pid: small, and free of all this.
    os.execv(  # noqa: S606  our own interpreter, no shell
        sys.executable, [sys.executable, "-m", "jobd.wiring.supervisor", str(effective)]
    )
