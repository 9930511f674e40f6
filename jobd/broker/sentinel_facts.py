"""Asking every sentinel of an address what it knows, for the doctor. Nothing is changed."""

from __future__ import annotations

from typing import Any

from redis.exceptions import RedisError, ResponseError

from jobd.broker.connection import Client
from jobd.broker.prompt import TcpConnection
from jobd.broker.sentinel import Sentinels
from jobd.broker.tls import TlsConnection
from jobd.core.doctor.sentinel import SentinelFacts
from jobd.core.errors import BrokerError

_PATIENCE = 1.0


def sentinel_facts(client: Client, *, replicas_wanted: int | None) -> SentinelFacts | None:
    """Ask them all; None for a client that does without. Never fails: who is silent is listed."""
    sentinels: Sentinels | None = client.connection_pool.connection_kwargs.get("sentinels")
    if sentinels is None:
        return None
    silent, said, may_elect = [], [], None
    for host, port in sentinels.places:
        kind = TlsConnection if sentinels.is_encrypted else TcpConnection
        connection = kind(
            host=host, port=port, socket_timeout=_PATIENCE, socket_connect_timeout=_PATIENCE,
            **sentinels.settings,
        )  # fmt: skip
        try:
            connection.connect()  # type: ignore[no-untyped-call]
            said.append(_pairs(_ask(connection, "SENTINEL", "MASTER", sentinels.service)))
            if may_elect is not False:
                may_elect = _has_quorum(connection, sentinels.service)
        except (RedisError, OSError, BrokerError) as error:
            silent.append(f"{host}:{port} ({error})")
        finally:
            connection.disconnect()  # type: ignore[no-untyped-call]
    one = said[0] if said else {}
    return SentinelFacts(
        service=sentinels.service,
        named=tuple(f"{host}:{port}" for host, port in sentinels.places),
        silent=tuple(silent),
        primaries=tuple(dict.fromkeys(f"{each['ip']}:{each['port']}" for each in said)),
        sentinels=int(one.get("num-other-sentinels", -1)) + 1,
        quorum=int(one.get("quorum", 0)),
        replicas=int(one.get("num-slaves", 0)),
        down_after=int(one.get("down-after-milliseconds", 0)) / 1000,
        has_quorum=may_elect,
        replicas_wanted=replicas_wanted,
    )


def _ask(connection: Any, *question: str) -> Any:
    connection.send_command(*question)
    return connection.read_response()


def _has_quorum(connection: Any, service: str) -> bool | None:
    try:
        _ask(connection, "SENTINEL", "CKQUORUM", service)
    except ResponseError as error:
        return False if "NOQUORUM" in str(error) or "sentinels" in str(error).lower() else None
    return True


def _pairs(flat: Any) -> dict[str, str]:
    parts = [part.decode() if isinstance(part, bytes) else str(part) for part in flat]
    return dict(zip(parts[::2], parts[1::2], strict=True))
