"""The views of the Redis a command speaks to, and the walks through its queues."""

from __future__ import annotations

from jobd.broker.connection import connect
from jobd.broker.finding import Finder
from jobd.broker.views import Views
from jobd.core.config import Config


def views_of(config: Config) -> Views:
    """Make the views of a configuration's Redis and namespace. Raises ConfigError."""
    return Views(connect(config.redis.url, timeout=2.0), config.redis.namespace)


def finder_of(config: Config, queue: str) -> Finder:
    """Make the walks through one queue. Raises ConfigError."""
    return Finder(connect(config.redis.url, timeout=2.0), config.redis.namespace, queue)
