"""Judging who may reach a Redis server, and what we are to it: users, protection, encryption."""

from __future__ import annotations

import msgspec

from jobd.core.doctor.finding import Finding, error, note, ok, warning

_SOON = 21.0
_LEAST_BUFFER = 8 * 1024 * 1024
_OWN = "give jobd a user of its own: `jobd doctor --acl` prints one for each role"


class AccessFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. None: the server does not say, or not to us."""

    user: str | None = None
    has_password: bool = False
    may_administer: bool = False  # ACL GETUSER was answered
    may_everything: bool = False
    is_local: bool = False  # reached over a socket of this machine, or loopback
    protected: bool | None = None  # protected-mode
    certificate_days: float | None = None  # until the server's runs out
    is_unproven: bool = False  # TLS, and its certificate is not looked at (ssl_cert_reqs=none)
    idle_timeout: int | None = None  # `timeout`: seconds until the server closes an idle connection
    normal_buffer: int | None = None  # hard limit of client-output-buffer-limit normal; 0: none
    keyspace_events: str | None = None  # notify-keyspace-events


def examine_access(facts: AccessFacts) -> list[Finding]:
    """Judge the ways to the server."""
    return [*_user(facts), *_encryption(facts), *_settings(facts)]


def _user(facts: AccessFacts) -> list[Finding]:
    user = facts.user
    if user is None:
        return []
    if user == "default" and not facts.has_password:
        said = "user default without a password: who reaches this server may do anything with it"
        if facts.is_local and facts.protected is not False:
            return [note("redis.user", said, f"{_OWN}, or set requirepass")]
        return [warning("redis.user", said, f"{_OWN}, or set requirepass; and keep strangers away")]
    if facts.may_everything:
        said = f"user {user} may do everything, on every key"
        return [note("redis.user", said, f"if others use this server too, {_OWN}")]
    if facts.may_administer:
        said = f"user {user} may read other users' rights (ACL GETUSER)"
        return [note("redis.user", said, f"take `-@admin` away from it, or {_OWN}")]
    return [ok("redis.user", f"user {user}, which may not administer the server")]


def _encryption(facts: AccessFacts) -> list[Finding]:
    name = "redis.certificate"
    if facts.is_unproven:
        return [
            warning(
                "redis.tls",
                "TLS without a look at the server's certificate (ssl_cert_reqs=none): anybody on the way "
                "may answer in its place",
                "name its authority with ?ssl_ca_certs=... and leave ssl_cert_reqs out",
            )
        ]
    days = facts.certificate_days
    if days is None:
        return []
    said = f"the server's certificate runs out in {days:.0f} days"
    if days < 3:
        return [error(name, said, "renew it now: then nothing connects any more")]
    if days < _SOON:
        return [warning(name, said, "renew it: then nothing connects any more")]
    return [ok(name, said)]


def _settings(facts: AccessFacts) -> list[Finding]:
    found = []
    if facts.protected is False and facts.user == "default" and not facts.has_password:
        found.append(
            warning(
                "redis.protected_mode",
                "protected-mode is off, and no password is asked for",
                "set a password and `protected-mode yes`",
            )
        )
    if facts.normal_buffer is not None and 0 < facts.normal_buffer < _LEAST_BUFFER:
        found.append(
            warning(
                "redis.output_buffer",
                f"client-output-buffer-limit normal is {facts.normal_buffer} bytes: a claim's answer may be a "
                "few megabytes, and the server would hang up",
                "set `client-output-buffer-limit normal 0 0 0`",
            )
        )
    if facts.idle_timeout and facts.idle_timeout < 30:
        found.append(
            note(
                "redis.timeout",
                f"timeout is {facts.idle_timeout}: connections idle for that many seconds are closed, and "
                "made again",
                "set `timeout 0`; dead peers are found by tcp-keepalive",
            )
        )
    if facts.keyspace_events:
        found.append(
            note(
                "redis.keyspace_events",
                f"notify-keyspace-events is {facts.keyspace_events!r}: each write of a job is announced, too",
                "set it to '' if nobody listens",
            )
        )
    return found
