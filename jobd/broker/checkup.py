"""Measuring a Redis server for the doctor: what it says of itself, how fast it answers, its clock.

Every question but the first may be refused (hosted servers have no CONFIG): then nothing is known of
it. Read only; the one thing that costs the server a moment is INFO.
"""

from __future__ import annotations

from typing import Any

from redis.exceptions import NoPermissionError, ResponseError

from jobd.broker.connection import Client, place_of, translated
from jobd.broker.keys import SharedKeys
from jobd.broker.server import read_facts, setting
from jobd.core.doctor.store import StoreFacts
from jobd.core.errors import NotPermitted
from jobd.core.server_facts import ServerFacts
from jobd.seams import clock

TRIPS = 20


def store_facts(client: Client, namespace: str) -> StoreFacts:
    """Ask and measure. Raises BrokerError when it does not answer."""
    trips, skew = _measure(client)
    info = _info(client)
    aof = bool(info.get("aof_enabled"))
    return StoreFacts(
        place=place_of(client),
        server=_server(client),
        trips=trips,
        skew=skew,
        fsync=setting(client, "appendfsync") if aof else None,
        clients=_count(info.get("connected_clients")),
        most_clients=_count(info.get("maxclients")) or _count(setting(client, "maxclients")),
        memory_of_host=_count(info.get("total_system_memory")),
        last_fork=_seconds(info.get("latest_fork_usec")),
        replicas=_count(info.get("connected_slaves")),
        replicas_wanted=_count(setting(client, "min-replicas-to-write")),
        cluster=bool(info.get("cluster_enabled")),
        up_for=_count(info.get("uptime_in_seconds")),
        format=_format(client, namespace),
    )


def _measure(client: Client) -> tuple[tuple[float, ...], float]:
    """Time some round trips; of the quickest one the clock is known best."""
    place = place_of(client)
    trips: list[float] = []
    best, skew = float("inf"), 0.0
    with translated(place):
        client.ping()  # connecting is not part of it
        for _ in range(TRIPS):
            began, here = clock.mono(), clock.wall()
            seconds, micros = client.execute_command("TIME")  # type: ignore[no-untyped-call]
            took = clock.mono() - began
            trips.append(took)
            if took < best:
                best, skew = took, here + took / 2 - (int(seconds) + int(micros) / 1e6)
    return tuple(trips), skew


def _server(client: Client) -> ServerFacts | None:
    try:
        return read_facts(client)
    except NotPermitted:
        return None


def _info(client: Client) -> dict[str, Any]:
    try:
        with translated(place_of(client)):
            found: Any = client.info()
    except NotPermitted:
        return {}
    return dict(found)


def _format(client: Client, namespace: str) -> int | str | None:
    with translated(place_of(client)):
        try:
            found: Any = client.get(SharedKeys(namespace).format)
        except NoPermissionError:
            return None
        except ResponseError as error:
            return "another type" if "WRONGTYPE" in str(error) else None
    if not isinstance(found, bytes):
        return None
    text = found[:40].decode("utf-8", "backslashreplace")
    count = _count(text)
    return repr(text) if count is None else count


def _count(value: object) -> int | None:
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return None


def _seconds(micros: object) -> float | None:
    count = _count(micros)
    return None if count is None else count / 1e6
