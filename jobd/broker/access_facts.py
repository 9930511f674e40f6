"""Asking a server who we are to it, and how it is protected, for the doctor. Nothing is changed."""

from __future__ import annotations

import ssl
from typing import Any

from redis.exceptions import RedisError, ResponseError

from jobd.broker.connection import Client, place_of, translated
from jobd.broker.server import setting
from jobd.core.doctor.access import AccessFacts
from jobd.seams import clock

_DAY = 86400.0
_LOCAL = ("localhost", "127.", "::1")


def access_facts(client: Client) -> AccessFacts:
    """Ask. What is refused to us is left out. Raises BrokerError when it does not answer."""
    settings = client.connection_pool.connection_kwargs
    user = _asked(client, "ACL", "WHOAMI")
    name = user.decode() if isinstance(user, bytes) else user
    rights = None if name is None else _asked(client, "ACL", "GETUSER", name)
    protected = setting(client, "protected-mode")
    return AccessFacts(
        user=name,
        has_password=bool(settings.get("password")),
        may_administer=rights is not None,
        may_everything=_everything(rights),
        is_local="path" in settings or str(settings.get("host", "")).startswith(_LOCAL),
        protected=None if protected is None else protected == "yes",
        certificate_days=_certificate_days(client),
        is_unproven="context" in settings and settings["context"].verify_mode == ssl.CERT_NONE,
        idle_timeout=_whole(setting(client, "timeout")),
        normal_buffer=_normal_buffer(setting(client, "client-output-buffer-limit")),
        keyspace_events=setting(client, "notify-keyspace-events"),
    )


def _asked(client: Client, *question: str) -> Any:
    with translated(place_of(client)):
        try:
            return client.execute_command(*question)  # type: ignore[no-untyped-call]
        except ResponseError:
            return None


def _everything(rights: Any) -> bool:
    if rights is None:
        return False
    words = str(rights)
    return "+@all" in words and ("~*" in words or "allkeys" in words)


def _normal_buffer(said: str | None) -> int | None:
    """Read the hard limit of "normal 0 0 0 slave ... pubsub ..."."""
    words = (said or "").split()
    return _whole(words[words.index("normal") + 1]) if "normal" in words else None


def _whole(said: str | None) -> int | None:
    return int(said) if said is not None and said.isdecimal() else None


def _certificate_days(client: Client) -> float | None:
    """Say how long the server's certificate holds; None without TLS, or where it is not looked at."""
    pool = client.connection_pool
    connection = pool.get_connection()
    try:
        sock = connection._sock
        seen: Any = sock.getpeercert() if isinstance(sock, ssl.SSLSocket) else None
    except (RedisError, OSError, ValueError):
        return None
    finally:
        pool.release(connection)
    until = (seen or {}).get("notAfter")
    if not isinstance(until, str):
        return None
    return (ssl.cert_time_to_seconds(until) - clock.wall()) / _DAY
