"""The views of the Redis a command speaks to."""

from __future__ import annotations

from jobd.broker.connection import connect
from jobd.broker.views import Views
from jobd.core.config import Config


def views_of(config: Config) -> Views:
    """Make the views of a configuration's Redis and namespace. Raises ConfigError."""
    return Views(connect(config.redis.url, timeout=2.0), config.redis.namespace)
