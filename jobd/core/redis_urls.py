"""The address of Redis, as people write it: read once, for jobd.toml, flags and `Jobd(url)` alike.

    redis://[user:password@]host[:6379][/db]                 rediss:// is the same over TLS
    unix://[user:password@]/path/of/the.sock[?db=0]
    redis+sentinel://[user:password@]host[:26379][,host2...]/service[/db]

Options come after a `?`. What redis-py would take from there, and what would change how jobd speaks
(a repeat of its own, another protocol), is refused: an address says where, never how. Invariant: no
message quotes a piece of a password, and none any piece of an address that was drawn from elsewhere,
which may be a secret at the wrong place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from jobd.core.addresses import scheme_to_show
from jobd.core.config_drawn import Drawn
from jobd.core.errors import OptionError
from jobd.core.suggest import nearest, one_of

SERVER_PORT = 6379
SENTINEL_PORT = 26379

SCHEMES = ("redis", "rediss", "unix", "redis+sentinel")
_READS = "host or port cannot be read; expected them as in "
_ENCODE = "; write / ? # @ in a password as %2F %3F %23 %40"


class _Wrong(Exception):
    """A part of an address is wrong: `said` quotes it, `unsaid` does not."""

    def __init__(self, said: str, unsaid: str, expected: str) -> None:
        super().__init__(f"{unsaid}; {expected}")
        self.said = f"{said}; {expected}"
        self.unsaid = f"{unsaid}; {expected}"


class TlsOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How the other side proves who it is, and we do. Paths are of PEM files."""

    ca_certs: str | None = None
    ca_path: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
    password: str | None = None  # of the key file
    cert_reqs: str = "required"
    check_hostname: bool = True
    min_version: str | None = None
    ciphers: str | None = None


class RedisUrl(msgspec.Struct, frozen=True, kw_only=True):
    """An address that can be used. `places` are the servers: one, or the sentinels that know it."""

    scheme: Literal["redis", "rediss", "unix", "redis+sentinel"]
    places: tuple[tuple[str, int], ...] = ()
    path: str = ""
    service: str = ""
    db: int = 0
    username: str | None = None
    password: str | None = None
    is_encrypted: bool = False
    sentinel_username: str | None = None
    sentinel_password: str | None = None
    is_sentinel_encrypted: bool = False
    tls: TlsOptions = TlsOptions()
    client_name: str | None = None
    health_check_interval: int = 0


def read_redis_url(url: str) -> RedisUrl:
    """Read an address. Raises OptionError, which quotes nothing of a Drawn one."""
    try:
        return _read(url)
    except _Wrong as wrong:
        raise OptionError(wrong.unsaid if isinstance(url, Drawn) else wrong.said) from None


def _read(url: str) -> RedisUrl:
    scheme, separator, _ = url.partition("://")
    if separator and scheme == "redis+cluster":
        raise OptionError(
            "redis+cluster:// is not served yet: what happens to a queue while its slot moves to "
            "another node is not proven; expected one server (redis://host:6379/0), or a primary "
            "with replicas and sentinels (redis+sentinel://host:26379/service/0)"
        )
    if not separator or scheme not in SCHEMES:
        unsaid = "another scheme" if separator else "no scheme"
        raise _Wrong(
            scheme_to_show(url) or unsaid,
            unsaid,
            "expected redis://host:port/db, rediss://..., unix:///path or "
            f"redis+sentinel://host:port/service/db{nearest(scheme, SCHEMES)}; "
            "write it as in redis://127.0.0.1:6379/0",
        )
    after = url.partition("://")[2].replace("?", "/", 1).partition("/")[2]
    if "@" in after:  # a password that holds what ends it, most likely
        raise OptionError(f"{_READS}redis://127.0.0.1:6379/0{_ENCODE}")
    if scheme == "redis+sentinel":
        return _sentinel(url)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        # The parser's words may quote a piece of the password.
        raise OptionError(f"{_READS}redis://127.0.0.1:6379/0{_ENCODE}") from error
    options = _options(parts.query, scheme, parts.fragment)
    said: dict[str, Any] = options | _credentials(
        options,
        unquote(parts.username) if parts.username else None,
        unquote(parts.password) if parts.password else None,
    )
    if scheme == "unix":
        if len(parts.path) < 2 or parts.hostname:
            raise OptionError("no path; expected the server's socket, as in unix:///run/redis.sock")
        return RedisUrl(scheme="unix", path=unquote(parts.path), **said)
    said["db"] = _database(parts.path.strip("/"), options, "redis://127.0.0.1/0")
    host = unquote(parts.hostname or "localhost")
    return RedisUrl(
        scheme="rediss" if scheme == "rediss" else "redis",
        places=((host, _port(port, SERVER_PORT)),),
        **said,
    )


def _sentinel(url: str) -> RedisUrl:
    """Read the address of sentinels: urlsplit knows one host only."""
    rest, _, fragment = url.partition("://")[2].partition("#")
    whole, _, query = rest.partition("?")
    before, _, path = whole.partition("/")
    credentials, _, hosts = before.rpartition("@")
    user, _, password = credentials.partition(":")
    options = _options(query, "redis+sentinel", fragment)
    said = options | _credentials(options, unquote(user) or None, unquote(password) or None)
    service, _, database = path.partition("/")
    if not service:
        raise OptionError(
            "no service; expected the name the sentinels know the primary by, as in "
            f"redis+sentinel://127.0.0.1:26379/mymaster/0{_ENCODE}"
        )
    places = tuple(_sentinel_place(each) for each in hosts.split(","))
    said["db"] = _database(database.strip("/"), options, "redis+sentinel://127.0.0.1/mymaster/0")
    return RedisUrl(
        scheme="redis+sentinel",
        places=tuple(dict.fromkeys(places)),
        service=unquote(service),
        **said,
    )


def _sentinel_place(written: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{written}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or "@" in written:
        raise OptionError(
            f"{_READS}redis+sentinel://127.0.0.1:26379,127.0.0.2:26379/mymaster/0{_ENCODE}"
        )
    return unquote(host), _port(port, SENTINEL_PORT)


def _port(said: int | None, otherwise: int) -> int:
    if said == 0:
        raise _Wrong("port 0", "the port", f"expected one from 1 to 65535, as in {otherwise}")
    return otherwise if said is None else said


def _database(written: str, options: dict[str, Any], example: str) -> int:
    if written and "db" in options:
        raise OptionError("db is given twice, as a path and as an option; drop one")
    # redis-py reads a database that is no number as 0: somebody else's, perhaps.
    if written and not (written.isascii() and written.isdecimal()):
        raise _Wrong(f"database {written!r}", "the database", f"expected a number, as in {example}")
    return int(written or options.get("db", 0))


def _credentials(
    options: dict[str, Any], username: str | None, password: str | None
) -> dict[str, str | None]:
    """Give who we are: named before the host, or as options, and not both."""
    for name, before in (("username", username), ("password", password)):
        if before is not None and name in options:
            raise OptionError(f"{name} is given twice, before the host and as an option; drop one")
    return {
        "username": options.get("username", username),
        "password": options.get("password", password),
    }


def _text(name: str, value: str) -> str:
    if not value:
        raise OptionError(f"{name} is empty; expected a text; leave it out if there is none")
    return value


def _flag(name: str, value: str) -> bool:
    word = value.lower()
    if word in ("true", "yes", "on", "1"):
        return True
    if word in ("false", "no", "off", "0"):
        return False
    raise _Wrong(f"{name}: {value!r}", name, "expected true or false")


def _number(name: str, value: str) -> int:
    if value.isascii() and value.isdecimal() and len(value) < 10:
        return int(value)
    raise _Wrong(f"{name}: {value!r}", name, "expected a whole number")


def _one_of(*words: str) -> Callable[[str, str], str]:
    def read(name: str, value: str) -> str:
        if value not in words:
            raise _Wrong(f"{name}: {value!r}", name, f"expected {one_of(words)}")
        return value

    return read


_OPTIONS: dict[str, Callable[[str, str], Any]] = {
    "db": _number,
    "username": _text,
    "password": _text,
    "client_name": _text,
    "health_check_interval": _number,
}
_SENTINEL_OPTIONS: dict[str, Callable[[str, str], Any]] = {
    "sentinel_username": _text,
    "sentinel_password": _text,
    "sentinel_tls": _flag,
    "tls": _flag,
}
_TLS_OPTIONS: dict[str, Callable[[str, str], Any]] = {
    "ssl_ca_certs": _text,
    "ssl_ca_path": _text,
    "ssl_certfile": _text,
    "ssl_keyfile": _text,
    "ssl_password": _text,
    "ssl_cert_reqs": _one_of("required", "optional", "none"),
    "ssl_check_hostname": _flag,
    "ssl_min_version": _one_of("TLSv1.2", "TLSv1.3"),
    "ssl_ciphers": _text,
}
_BOUND = "how long an answer may take is no matter of the address: Jobd(timeout=...)"
_REPEATS = "jobd itself repeats what may be repeated, and nothing else may; leave it out"
_OURS = "that is jobd's to choose; leave it out"
_NOT_OURS = {
    "socket_timeout": _BOUND,
    "socket_connect_timeout": _BOUND,
    "timeout": _BOUND,
    "retry_on_timeout": _REPEATS,
    "retry_on_error": _REPEATS,
    "retry": _REPEATS,
    "protocol": _OURS,
    "decode_responses": _OURS,
    "max_connections": _OURS,
}


def _options(query: str, scheme: str, fragment: str) -> dict[str, Any]:
    """Read what comes after the `?`, as fields of a RedisUrl."""
    if fragment:
        raise OptionError(f"a part after #; expected none{_ENCODE}")
    given = _pairs(query)
    known = _OPTIONS | (_SENTINEL_OPTIONS if scheme == "redis+sentinel" else {})
    for name in given:
        if name in _NOT_OURS:
            raise OptionError(f"option {name!r}: {_NOT_OURS[name]}")
        if name not in known and name not in _TLS_OPTIONS:
            raise _Wrong(
                f"{_named(name, [*given])} is not known{nearest(name, [*known, *_TLS_OPTIONS])}",
                "an option is not known",
                f"expected some of {one_of([*known, *_TLS_OPTIONS])}",
            )
    found = {name: known[name](name, value) for name, value in given.items() if name in known}
    encrypted = found.pop("tls", scheme == "rediss")
    watch_encrypted = found.pop("sentinel_tls", encrypted)
    return found | {
        "is_encrypted": encrypted,
        "is_sentinel_encrypted": watch_encrypted and scheme == "redis+sentinel",
        "tls": _tls(given, encrypted or watch_encrypted, scheme),
    }


def _pairs(query: str) -> dict[str, str]:
    pairs = parse_qsl(query, keep_blank_values=True)
    names = [name for name, _ in pairs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        named = _named(twice[0], names)
        raise _Wrong(f"{named} is given twice", "an option is given twice", "drop one")
    return dict(pairs)


def _named(name: str, names: list[str]) -> str:
    """Name an option; not behind a password, of which it may be the rest, from an & on."""
    before = names[: names.index(name)]
    return "an option" if any("password" in each for each in before) else f"option {name!r}"


def _tls(given: dict[str, str], encrypted: bool, scheme: str) -> TlsOptions:
    read = {
        name.removeprefix("ssl_"): _TLS_OPTIONS[name](name, value)
        for name, value in given.items()
        if name in _TLS_OPTIONS
    }
    if read and not encrypted:
        how = "tls=true beside it" if scheme == "redis+sentinel" else "rediss://"
        raise OptionError(
            f"option 'ssl_{next(iter(read))}' without TLS; expected {how}, or none of ssl_..."
        )
    if "keyfile" in read and "certfile" not in read:
        raise OptionError("option 'ssl_keyfile' without 'ssl_certfile'; name the certificate, too")
    return TlsOptions(**read)
