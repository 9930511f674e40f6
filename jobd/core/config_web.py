"""[web.dashboard] of jobd.toml: who may look and who may act, and from where.

Without the table neither dashboard nor API is served. With it there are users, tokens, or `open`: an
operator's rights for whoever can reach it on this host, which is for a developer's own machine. Nobody
beyond this host is served without a password. Used by jobd.core.config alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from typing import Any, Literal

import msgspec

from jobd.core import config_values as values
from jobd.core.addresses import split_address
from jobd.core.config_problems import Findings, said
from jobd.core.errors import OptionError
from jobd.core.masking import DEFAULT_MASK
from jobd.core.passwords import read_scrypt, read_token_hash
from jobd.core.peers import UNIX, is_loopback

Role = Literal["viewer", "operator"]
_KEYS = (
    "users", "tokens", "open", "hosts", "proxies", "session_idle", "session_longest", "mask",
)  # fmt: skip
_HOST = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?")
_NAME = re.compile(r"[A-Za-z0-9_.@+-]{1,64}")
_ROLE = values.word("viewer", "operator")
_MOST_PATTERNS, _LONGEST_PATTERN = 100, 100
_NOBODY = (
    "neither users nor tokens; expected somebody who may log in; add users = { ops = '...' } with what "
    "`jobd hash-password` prints"
)


class UserConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who logs in: the hashed password, and what may be done."""

    password: str
    role: Role = "operator"


class TokenConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A program that comes with a token: its hash, and what may be done."""

    token: str
    role: Role = "operator"


class DashboardConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Whom dashboard and API are served to. Spans are seconds.

    A session ends when it was not used for `session_idle`, and after `session_longest` in any case.
    `hosts` are names that it is reached by; `proxies` addresses and networks of those before it. `mask`
    are patterns of names: values of such fields of payloads are not shown.
    """

    users: dict[str, UserConfig] = {}
    tokens: dict[str, TokenConfig] = {}
    open: bool = False
    hosts: list[str] = []
    proxies: list[str] = []
    session_idle: float = 8 * 3600.0
    session_longest: float = 24 * 3600.0
    mask: list[str] = msgspec.field(default_factory=lambda: list(DEFAULT_MASK))


def dashboard(found: Findings, given: object, bind: object) -> DashboardConfig | None:
    """Read the table. What is wrong is in `found` then, and left out."""
    if given is None:
        return None
    path = "web.dashboard"
    table = found.table(given, path)
    found.known(table, path, _KEYS)
    read = DashboardConfig(
        users=_each(found, table, "users", "password", read_scrypt, UserConfig),
        tokens=_each(found, table, "tokens", "token", read_token_hash, TokenConfig),
        **said(
            open=found.read(table, path, "open", values.flag),
            hosts=found.read(table, path, "hosts", _listed(_host, "'jobs.example'")),
            proxies=found.read(table, path, "proxies", _listed(_proxy, "'10.0.0.0/8'")),
            session_idle=found.read(
                table, path, "session_idle", values.span("session_idle", least=60.0)
            ),
            session_longest=found.read(
                table, path, "session_longest", values.span("session_longest", least=60.0)
            ),
            mask=found.read(table, path, "mask", _mask),
        ),
    )
    _hangs_together(found, table, read, bind)
    return read


def _hangs_together(
    found: Findings, table: Mapping[str, Any], read: DashboardConfig, bind: object
) -> None:
    path = "web.dashboard"
    somebody = bool(table.get("users") or table.get("tokens"))
    if read.open and somebody:
        found.problem(
            f"{path}.open",
            "true, with users or tokens; expected one of the two; whoever reaches an open dashboard "
            "may do everything: drop it, or drop them",
        )
    elif read.open and isinstance(bind, str) and not is_local(bind):
        found.problem(
            f"{path}.open",
            f"true, and web.bind is {bind!r}; expected a loopback address, as in '127.0.0.1:9180'; "
            "beyond this host users are needed: add them and drop this",
        )
    elif not read.open and not somebody:
        found.problem(path, _NOBODY)
    if "session_idle" in table and read.session_idle > read.session_longest:
        found.problem(
            f"{path}.session_idle",
            f"{table['session_idle']!r}; expected at most session_longest, which is "
            f"{table.get('session_longest', '24h')!r}",
        )


def is_local(bind: str) -> bool:
    """Say whether an address to listen at can be reached from this host only."""
    try:
        host, _ = split_address(bind)
    except ValueError:
        return False  # a problem of its own
    return host == "localhost" or is_loopback(host)


def _each(
    found: Findings,
    table: Mapping[str, Any],
    key: str,
    secret: str,
    reader: Callable[[object], object],
    made: type[Any],
) -> dict[str, Any]:
    """Read users, or tokens: a hash alone, or a table with it and a role."""
    path = f"web.dashboard.{key}"
    result = {}
    for name, given in found.table(table.get(key), path).items():
        if not _NAME.fullmatch(name):
            found.problem(
                path,
                f"{name!r:.80}; expected names of 1 to 64 characters of A-Z a-z 0-9 _ . @ + -",
                near=f"{path}.{name}",
            )
            continue
        if not isinstance(given, dict):
            hashed = found.read({name: given}, path, name, _kept(reader))
            read = said(**{secret: hashed})
        else:
            read = _in_table(found, given, f"{path}.{name}", secret, reader)
        if secret in read:
            result[name] = made(**read)
    return result


def _in_table(
    found: Findings,
    given: Mapping[str, Any],
    path: str,
    secret: str,
    reader: Callable[[object], object],
) -> dict[str, Any]:
    found.known(given, path, (secret, f"{secret}_file", "role"))
    if not {secret, f"{secret}_file"} & given.keys():
        found.problem(f"{path}.{secret}", "not set; expected what `jobd hash-password` prints")
    return said(
        **{secret: found.secret(given, path, secret, _kept(reader))},
        role=found.read(given, path, "role", _ROLE),
    )


def _kept(reader: Callable[[object], object]) -> Callable[[object], object]:
    """Check a hash, which stays as written. A file of its own ends with a line's end."""

    def read(value: object) -> object:
        text = value.strip() if isinstance(value, str) else value
        reader(text)
        return text

    return read


def _listed(reader: Callable[[object], str], example: str) -> Callable[[object], list[str]]:
    def read(value: object) -> list[str]:
        if not isinstance(value, list):
            raise OptionError(f"{value!r:.60}; expected a list, as in [{example}]")
        return list(dict.fromkeys(reader(each) for each in value))

    return read


def _host(value: object) -> str:
    name = value.lower().removesuffix(".") if isinstance(value, str) else ""
    if _HOST.fullmatch(name):
        return name
    raise OptionError(
        f"{value!r:.80}; expected the name of a host without scheme and port, as in 'jobs.example'"
    )


def _proxy(value: object) -> str:
    if value == UNIX:
        return UNIX
    try:
        return str(ip_network(value)) if isinstance(value, str) else _no_proxy(value)
    except ValueError:
        return _no_proxy(value)


def _no_proxy(value: object) -> str:
    raise OptionError(
        f"{value!r:.80}; expected the address or network of a proxy, as in '10.0.0.7' or "
        "'10.0.0.0/8', or 'unix' for one that comes by a unix socket"
    )


def _mask(value: object) -> list[str]:
    found = _listed(_pattern, "'*password*', 'iban'")(value)
    if len(found) > _MOST_PATTERNS:
        raise OptionError(
            f"{len(found)} patterns; expected at most {_MOST_PATTERNS}; write what they share, with *"
        )
    return found


def _pattern(value: object) -> str:
    if isinstance(value, str) and value.isprintable() and 0 < len(value) <= _LONGEST_PATTERN:
        return value
    raise OptionError(
        f"{value!r:.80}; expected a pattern of field names, 1 to {_LONGEST_PATTERN} characters, as in "
        "'*password*' or 'iban'; [] masks nothing"
    )
