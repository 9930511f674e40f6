"""The options that many commands share, spelled once."""

from __future__ import annotations

import click

config_option = click.option(
    "-c",
    "--config",
    "config_file",
    metavar="FILE",
    help="The configuration. Default: ./jobd.toml, else /etc/jobd/jobd.toml.",
)
url_option = click.option(
    "--redis-url",
    metavar="URL",
    help="Where Redis is; goes before JOBD_REDIS_URL and the configuration.",
)
runtime_option = click.option(
    "--runtime-dir",
    metavar="DIR",
    help="Where the daemon keeps its state; goes before the configuration.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
