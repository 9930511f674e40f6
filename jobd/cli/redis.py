"""The Redis a command speaks to: its connection, its views, the walks through its queues."""

from __future__ import annotations

from jobd.broker.connection import Client, connect
from jobd.broker.finding import Finder
from jobd.broker.layout import refuse_other_format
from jobd.broker.views import Views
from jobd.core.config import Config

TIMEOUT = 2.0


def client_of(config: Config) -> Client:
    """Connect to a configuration's Redis. Raises ConfigError, BrokerError; OtherFormat where what is
    there is not ours to read."""
    client = connect(config.redis.url, timeout=TIMEOUT)
    refuse_other_format(client, config.redis.namespace)
    return client


def views_of(config: Config) -> Views:
    """Make the views of a configuration's Redis and namespace. Raises as `client_of`."""
    return Views(client_of(config), config.redis.namespace)


def finder_of(config: Config, queue: str) -> Finder:
    """Make the walks through one queue. Raises ConfigError."""
    return Finder(connect(config.redis.url, timeout=TIMEOUT), config.redis.namespace, queue)
