"""The effective configuration as a list of sections: each value with where it comes from.

Invariant: no secret is among the values. What the file says is given as it is written there, so that
durations and sizes stay what people wrote. Used by `jobd config show`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

import msgspec

from jobd.cli.settings import Settings
from jobd.cli.toml_lines import key_of
from jobd.core.alerts.kinds import KINDS
from jobd.core.alerts.units import COUNT, YES
from jobd.core.config import Config, DaemonConfig, LogConfig, QueueConfig, RedisConfig
from jobd.core.config_alerts import HeartbeatConfig, RuleConfig, SinkConfig
from jobd.core.config_drawn import Drawn, Unusable, plain
from jobd.core.config_problems import without_passwords
from jobd.core.config_web import DashboardConfig
from jobd.core.durations import words
from jobd.core.likely_secret import may_be_secret
from jobd.core.redis_place import safe_url

MASK = "***"
_OF_HASHES = ("web.dashboard.users", "web.dashboard.tokens")
_NOT_KEYS = ("options", "limits", "keeps_nothing", "log", "for_")


class Origin(NamedTuple):
    """Where a value comes from; `where` is for people: a line, a variable, a flag, a file, a key."""

    kind: Literal["default", "file", "environment", "flag", "credential", "inherited"]
    where: str = ""
    line: int | None = None


class Value(NamedTuple):
    """One key. `value` None: nothing is set."""

    key: str
    value: Any
    origin: Origin


class Section(NamedTuple):
    """One table: its path as problems name it, its header, its values."""

    path: str
    header: str
    values: list[Value]


def sections(settings: Settings, runtime_dir: Value | None) -> list[Section]:
    """List all there is, in the order of the example.

    `runtime_dir`: what it is when not the file says it, or a flag goes before that.
    """
    config, data = settings.config, settings.data
    top = _Table(settings, "", data)
    found = [
        Section("", "", [top.value("app", config.app)]),
        _Table.of(settings, "redis").section(_defaults(RedisConfig())),
    ]
    daemon = _Table.of(settings, "daemon").section(_defaults(DaemonConfig()))
    values = [
        runtime_dir if runtime_dir is not None and each.key == "runtime_dir" else each
        for each in daemon.values
    ]
    found.append(daemon._replace(values=values))
    found.append(_Table.of(settings, "daemon.log").section(_defaults(LogConfig())))
    found += [_queue(settings, name) for name in config.queues]
    found += _each(settings, "schedules", _of_schedule)
    found.append(
        _Table.of(settings, "web").section(_defaults(config.web, only=("bind",), bare=True))
    )
    found += _dashboard(settings)
    found += _alerts(settings)
    return [each for each in found if each.values]


def _dashboard(settings: Settings) -> Iterator[Section]:
    path = "web.dashboard"
    table = _Table.of(settings, path)
    if settings.config.web.dashboard is None:
        return
    usual = _defaults(DashboardConfig())
    yield table.section({key: usual[key] for key in usual if key not in ("users", "tokens")})
    for key in ("users", "tokens"):
        under = _Table.of(settings, f"{path}.{key}")
        if under.data:
            values = [under.value(name, None) for name in under.data]
            yield Section(under.path, f"[{under.path}]", values)


def _alerts(settings: Settings) -> Iterator[Section]:
    table = _Table.of(settings, "alerts")
    every = table.value("every", words(settings.config.alerts.every))
    yield Section("alerts", "[alerts]", [every, table.value("builtin", True)])
    rules = [*_each(settings, "alerts.rules", _of_rule)]
    yield from rules
    yield from _builtin(settings, len(rules))
    yield from _each(settings, "alerts.sinks", _of_sink)
    if "heartbeat" in table.data:
        defaults = _defaults(HeartbeatConfig(url=""))
        yield _Table.of(settings, "alerts.heartbeat").section(defaults)


def _builtin(settings: Settings, given: int) -> Iterator[Section]:
    """Give the rules that are there by themselves: those of a kind that the file has none of."""
    written = _Table.of(settings, "alerts").data.get("rules", ())
    kinds = {str(each.get("kind")) for each in written[:given]}
    more = [rule for rule in settings.config.alerts.rules if rule.kind not in kinds]
    for place, rule in enumerate(more, given):
        shown = _of_rule({"kind": rule.kind}) | {"kind": rule.kind, "severity": rule.severity}
        values = [
            Value(key, value, Origin("inherited", "alerts.builtin"))
            for key, value in shown.items()
            if value is not None
        ]
        yield Section(f"alerts.rules[{place}]", "[[alerts.rules]]", values)


def _queue(settings: Settings, name: str) -> Section:
    """Options and limits that the file does not say are the code's, and not known here."""
    table = _Table.of(settings, f"queues.{name}", "queues", name)
    section = table.section(_defaults(QueueConfig()) | {"processes": 1})
    inherited = {
        "app": ("app", settings.config.app),
        "boot_timeout": ("daemon.boot_timeout", words(settings.config.daemon.boot_timeout)),
    }
    values = [
        Value(each.key, inherited[each.key][1], Origin("inherited", inherited[each.key][0]))
        if each.key in inherited and each.key not in table.data
        else each
        for each in section.values
    ]
    said = [
        table.value(key, None) for key in table.data if key not in QueueConfig.__struct_fields__
    ]
    return section._replace(header=f"[queues.{key_of(name)}]", values=values + said)


def _each(settings: Settings, path: str, defaults: Any) -> Iterator[Section]:
    """Give a section for each table of a list."""
    outer, _, name = path.rpartition(".")
    given = (_Table.of(settings, outer).data if outer else settings.data).get(name)
    for place, data in enumerate(given if isinstance(given, list) else ()):
        table = _Table(settings, f"{path}[{place}]", data)
        section = table.section(defaults(data))
        more = [table.value(key, None) for key in data if key not in _keys(section)]
        values = [each for each in section.values if each.value is not None or each.key in data]
        yield Section(table.path, f"[[{path}]]", values + more)


def _keys(section: Section) -> set[str]:
    return {key for each in section.values for key in (each.key, f"{each.key}_file")}


def _of_schedule(data: Mapping[str, Any]) -> dict[str, Any]:
    keys = dict.fromkeys(key for key in ("name", "queue", "task", "cron", "every") if key in data)
    return keys | ({"tz": "UTC"} if "cron" in data else {}) | {"missed": "latest"}


def _of_rule(data: Mapping[str, Any]) -> dict[str, Any]:
    if (kind := KINDS.get(str(data["kind"]))) is None:
        return {"kind": None}  # its name is what is missing here
    above = None if kind.above is None or kind.unit is YES else kind.unit.say(kind.above)
    if above is not None and kind.unit is COUNT:
        above = int(kind.above or 0)  # type: ignore[assignment]
    usual = {
        "name": " ".join(str(data[key]) for key in ("kind", "queue") if key in data),
        "above": above,
        "for": _span(kind.for_),
        "window": None if kind.window is None else words(kind.window),
        "min_runs": kind.min_runs,
    }
    return {"kind": None, **_defaults(RuleConfig(name="", kind=""))} | usual


def _of_sink(data: Mapping[str, Any]) -> dict[str, Any]:
    kind = str(data["kind"])
    return _defaults(SinkConfig(name=kind, kind="webhook", url="")) | {"kind": kind, "url": None}


def _defaults(
    struct: msgspec.Struct, *, only: tuple[str, ...] = (), bare: bool = False
) -> dict[str, Any]:
    """Give the keys of a table and what they are when nothing is said; spans in words."""
    names = only or struct.__struct_fields__
    found = {
        name.removesuffix("_"): None if bare else getattr(struct, name)
        for name in names
        if name not in _NOT_KEYS
    }
    return {
        name: _span(value) if isinstance(value, float) else value for name, value in found.items()
    }


def _span(seconds: float) -> str | int:
    return words(seconds) if seconds else 0


class _Table:
    """One table of the file, drawn from where it is kept."""

    def __init__(self, settings: Settings, path: str, data: Mapping[str, Any]) -> None:
        self._settings = settings
        self.path = path
        self.data = data

    @classmethod
    def of(cls, settings: Settings, path: str, *keys: str) -> _Table:
        """Find a table by its path; `keys` when a name in it has dots."""
        data: Any = settings.data
        for key in keys or path.split("."):
            data = data.get(key, {}) if isinstance(data, dict) else {}
        data = data if isinstance(data, dict) else {}
        return cls(settings, path, data)

    def section(self, defaults: Mapping[str, Any]) -> Section:
        """Give its values, with the defaults for what it does not say."""
        values = [self.value(key, default) for key, default in defaults.items()]
        return Section(self.path, f"[{self.path}]", values)

    def value(self, key: str, default: Any) -> Value:
        """Give one value as it holds."""
        path = f"{self.path}.{key}" if self.path else key
        if (source := self._settings.over.get(path)) is not None:
            held: Config = self._settings.config
            value = held.redis.url if path == "redis.url" else held.app
            kind: Any = "flag" if source.startswith("-") else "environment"
            return Value(key, _masked(self, key, value), Origin(kind, source))
        if f"{key}_file" in self.data:
            return self._held(key, f"{path}_file")
        if key not in self.data:
            return Value(key, default, Origin("default"))
        written = self.data[key]
        places = self._settings.places
        line, where = places.line(path), f"{places.file}:{places.line(path)}"
        if isinstance(written, Unusable):
            return Value(key, None, Origin("file", f"{where}: {written.why}", line))
        kind = "environment" if (names := _variables(written)) else "file"
        where = ", ".join([where, *(f"${{{name}}}" for name in names)])
        return Value(key, _masked(self, key, written), Origin(kind, where, line))

    def _held(self, key: str, path: str) -> Value:
        """Give a value that is in a file of its own."""
        places = self._settings.places
        line, file = places.line(path), self._settings.files.get(path)
        where = f"{file or 'no such file'}, named in {places.file}:{line}"
        if file is None:
            return Value(key, None, Origin("credential", where, line))
        url = self._settings.config.redis.url if path == "redis.url_file" else ""
        shown = safe_url(url) if url else MASK
        return Value(key, shown, Origin("credential", where, line))


def _variables(value: Any) -> list[str]:
    """Name the variables that a value is made of."""
    if isinstance(value, Drawn):
        return list(dict.fromkeys(value.variables))
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return list(dict.fromkeys(name for each in inner for name in _variables(each)))


def _masked(table: _Table, key: str, value: Any) -> Any:
    """Give a value without what is secret in it."""
    if key == "secret":
        return MASK
    if table.path in _OF_HASHES:
        hashed = ("password", "token")
        return (
            {k: MASK if k in hashed else v for k, v in value.items()}
            if isinstance(value, dict)
            else MASK
        )
    if key == "url" and table.path == "redis":
        return safe_url(str(value))
    if key == "url":
        hidden = table.data.get("kind") == "slack" or table.path == "alerts.heartbeat"
        hidden = hidden or isinstance(value, Drawn) or may_be_secret(str(value))
        return _masked_url(str(value), everything=hidden)
    return _plain(plain(value))


def _masked_url(url: str, *, everything: bool) -> str:
    """Mask the credentials and options of an address, and with `everything` its path too."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    user = f"{MASK}@" if "@" in parts.netloc else ""
    path = f"/{MASK}" if everything else f"{parts.path}{f'?{MASK}' if parts.query else ''}"
    return f"{parts.scheme}://{user}{place}{path}"


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return without_passwords(value)
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value
