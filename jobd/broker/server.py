"""What a server says about itself, as facts."""

from __future__ import annotations

from typing import Any

from redis.exceptions import ResponseError

from jobd.broker.connection import Client, place_of, translated
from jobd.core.server_facts import ServerFacts

_SAVES = ("rdb_last_bgsave_status", "aof_last_write_status", "aof_last_bgrewrite_status")


def read_facts(client: Client) -> ServerFacts:
    """Ask the server. Raises BrokerError; NotPermitted where our user may not ask."""
    with translated(place_of(client)):
        info: Any = client.info()
    valkey = info.get("valkey_version")
    failing = (name for name in _SAVES if info.get(name, "ok") != "ok")
    near = info.get("min_slaves_good_slaves")  # said only where some are wanted
    return ServerFacts(
        name=f"Valkey {valkey}, as Redis" if valkey else "Redis",
        version=str(info.get("redis_version", "0")),
        role=str(info.get("role", "master")),
        eviction=str(info.get("maxmemory_policy", "noeviction")),
        persistent=_persistent(client, info),
        failing_save=next(failing, None),
        used_memory=int(info.get("used_memory", 0)),
        max_memory=int(info.get("maxmemory", 0)),
        is_loading=bool(info.get("loading")),
        is_clustered=bool(info.get("cluster_enabled")),
        replicas=near,
        replicas_wanted=0 if near is None else _wanted(client),
    )


def setting(client: Client, name: str) -> str | None:
    """Read one setting; None where the server or our user has no CONFIG. Raises BrokerError."""
    with translated(place_of(client)):
        try:
            found: Any = client.config_get(name)
        except ResponseError:
            return None
    value = found.get(name)
    return None if value is None else str(value)


def _persistent(client: Client, info: Any) -> bool:
    """Tell whether anything is written to disk. In doubt (no CONFIG, as with hosted ones) it is."""
    if info.get("aof_enabled"):
        return True
    return setting(client, "save") != ""


def _wanted(client: Client) -> int:
    """Tell how many replicas a write needs: one at least, or the server would not count them."""
    return int(setting(client, "min-replicas-to-write") or "1")
