"""Secrets that others on this host may read: in plain text in the configuration, or in a file of one.

Only who may read the files matters here; what is in them is never shown. A warning of `jobd check`
and of a daemon that starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jobd.cli.settings import Settings
from jobd.core.config_drawn import Drawn
from jobd.core.likely_secret import may_be_secret
from jobd.seams.secretfile import others_who_read


def exposed(settings: Settings) -> list[str]:
    """List them, each with its key."""
    found = []
    places = settings.places
    if readers := others_who_read(Path(places.file)):
        found += [
            f"{places.at(path)}: {what} in plain text, in a file that {readers} may read; "
            f"expected its owner alone; chmod 600 {places.file}, or write ${{NAME}}{other}"
            for path, what, other in _plain_secrets(settings.data)
        ]
    for path, file in settings.files.items():
        if readers := others_who_read(Path(file)):
            found.append(
                f"{places.at(path)}: {file} may be read by {readers}; expected its owner alone; "
                f"chmod 600 {file}"
            )
    return found


def _plain_secrets(data: Any) -> Iterator[tuple[str, str, str]]:
    """Name keys whose values are secrets that stand in the file itself, and what else may be used."""
    redis = _table(data.get("redis"))
    if _has_password(redis.get("url")):
        yield "redis.url", "a secret", " or url_file"
    yield from _hashes(_table(_table(data.get("web")).get("dashboard")))
    alerts = _table(data.get("alerts"))
    sinks = alerts.get("sinks")
    for place, each in enumerate(sinks if isinstance(sinks, list) else ()):
        path, sink = f"alerts.sinks[{place}]", _table(each)
        if _is_plain(sink.get("secret")):
            yield f"{path}.secret", "a secret", " or secret_file"
        yield from _addresses(path, sink)
    yield from _addresses("alerts.heartbeat", _table(alerts.get("heartbeat")))


def _addresses(path: str, receiver: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    url = receiver.get("url")
    if _has_password(url) or (receiver.get("kind") == "slack" and _is_plain(url)):
        yield f"{path}.url", "a secret", " or url_file"
    elif _is_plain(url) and may_be_secret(str(url)):
        yield f"{path}.url", "an address that may be a secret", " or url_file"


def _hashes(dashboard: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Name hashed passwords: who has one can guess for as long as he likes. Not those of tokens."""
    for name, given in _table(dashboard.get("users")).items():
        path = f"web.dashboard.users.{name}"
        if _is_plain(given):
            yield path, "a secret", " or { password_file = ... }"
        elif _is_plain(_table(given).get("password")):
            yield f"{path}.password", "a secret", " or password_file"


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_plain(value: object) -> bool:
    return isinstance(value, str) and not isinstance(value, Drawn) and bool(value)


def _has_password(value: object) -> bool:
    try:
        return _is_plain(value) and bool(urlsplit(str(value)).password)
    except ValueError:
        return False
