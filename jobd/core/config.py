"""The configuration of a daemon: what jobd.toml may say, read once, all problems at once.

Spans are seconds. A key that belongs to a later release is refused as coming, never ignored.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from jobd.core.durations import seconds
from jobd.core.errors import ConfigError, OptionError
from jobd.core.names import check_name
from jobd.core.options import RUN_OPTIONS, read_run_options
from jobd.core.suggest import nearest, one_of


class RedisConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Where the jobs are."""

    url: str = "redis://127.0.0.1:6379/0"
    namespace: str = "jobd"


class LogConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How the daemon speaks."""

    format: Literal["auto", "console", "json", "journal"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


class DaemonConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The daemon itself. `queues` names the ones to serve; None: all that are declared."""

    lease: float = 30.0
    drain_timeout: float = 25.0
    runtime_dir: str | None = None
    log: LogConfig = LogConfig()
    queues: list[str] | None = None


class QueueConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One queue: its processes, and run options that go before those in code."""

    processes: int = 1
    concurrency: int = 1
    preload: bool = True
    app: str | None = None
    options: dict[str, Any] = {}


class WebConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Where health, metrics and dashboard will be served."""

    bind: str | None = None


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a daemon is told."""

    app: str | None = None
    redis: RedisConfig = RedisConfig()
    daemon: DaemonConfig = DaemonConfig()
    queues: dict[str, QueueConfig] = {}
    web: WebConfig = WebConfig()


_COMING = {
    "": ("schedules", "alerts"),
    "redis": ("url_file",),
    "daemon": (),
    "daemon.log": (),
    "queues": ("rate_limit", "memory_limit", "memory_limit_hard", "max_jobs", "max_age"),
    "web": ("dashboard",),
}


class _Reader:
    """Walks a table and collects every problem with its key path."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.problems: list[str] = []

    def problem(self, path: str, text: str) -> None:
        self.problems.append(f"{self._file}: {path}: {text}")

    def table(self, value: object, path: str) -> Mapping[str, Any]:
        if isinstance(value, dict):
            return value
        if value is not None:
            self.problem(path, f"{value!r}; expected a table")
        return {}

    def known(self, table: Mapping[str, Any], path: str, known: tuple[str, ...], kind: str) -> None:
        for name in table:
            if name in known:
                continue
            where = f"{path}.{name}" if path else name
            if name in _COMING[kind]:
                self.problem(where, "coming in a later release; leave it out for now")
            else:
                self.problem(where, f"unknown key; expected {one_of(known)}" + nearest(name, known))

    def read(
        self, table: Mapping[str, Any], path: str, name: str, reader: Callable[[Any], Any]
    ) -> Any:
        """Read one value; an absent one is UNSET."""
        if name not in table:
            return msgspec.UNSET
        try:
            return reader(table[name])
        except OptionError as error:
            self.problem(f"{path}.{name}" if path else name, str(error))
            return msgspec.UNSET


def load(text: str, file: str) -> Config:
    """Read the text of a configuration file. Raises ConfigError with all problems."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: not TOML: {error}; correct that line") from error
    return parse(data, file)


def parse(data: Mapping[str, Any], file: str) -> Config:
    """Read a decoded file. Raises ConfigError with all problems at once."""
    r = _Reader(file)
    r.known(data, "", ("app", "redis", "daemon", "queues", "web"), "")
    redis = r.table(data.get("redis"), "redis")
    r.known(redis, "redis", ("url", "namespace"), "redis")
    daemon = r.table(data.get("daemon"), "daemon")
    r.known(daemon, "daemon", ("lease", "drain_timeout", "runtime_dir", "log", "queues"), "daemon")
    log = r.table(daemon.get("log"), "daemon.log")
    r.known(log, "daemon.log", ("format", "level"), "daemon.log")
    web = r.table(data.get("web"), "web")
    r.known(web, "web", ("bind",), "web")
    config = Config(
        **_said(app=r.read(data, "", "app", _target)),
        redis=RedisConfig(
            **_said(
                url=r.read(redis, "redis", "url", _text),
                namespace=r.read(redis, "redis", "namespace", _name),
            )
        ),
        daemon=DaemonConfig(
            **_said(
                lease=r.read(daemon, "daemon", "lease", _lease),
                drain_timeout=r.read(daemon, "daemon", "drain_timeout", seconds),
                runtime_dir=r.read(daemon, "daemon", "runtime_dir", _text),
                queues=r.read(daemon, "daemon", "queues", _names),
            ),
            log=LogConfig(
                **_said(
                    format=r.read(log, "daemon.log", "format", _word("auto", "console", "json")),
                    level=r.read(
                        log, "daemon.log", "level", _word("debug", "info", "warning", "error")
                    ),
                )
            ),
        ),
        queues=_queues(r, r.table(data.get("queues"), "queues")),
        web=WebConfig(**_said(bind=r.read(web, "web", "bind", _text))),
    )
    if r.problems:
        raise ConfigError(r.problems)
    return config


def _queues(r: _Reader, table: Mapping[str, Any]) -> dict[str, QueueConfig]:
    queues = {}
    known = ("processes", "concurrency", "preload", "app", *RUN_OPTIONS)
    for name, value in table.items():
        path = f"queues.{name}"
        settings = r.table(value, path)
        try:
            check_name(name, what="queue")
        except OptionError as error:
            r.problem(path, str(error))
        r.known(settings, path, known, "queues")
        options = {k: v for k, v in settings.items() if k in RUN_OPTIONS}
        for option in options:
            r.read(options, path, option, _run_option(option))
        queues[name] = QueueConfig(
            **_said(
                processes=r.read(settings, path, "processes", _processes),
                concurrency=r.read(settings, path, "concurrency", _concurrency),
                app=r.read(settings, path, "app", _target),
            ),
            options=options,
        )
    return queues


def _said(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not msgspec.UNSET}


def _text(value: object) -> str:
    if isinstance(value, str) and value:
        return value
    raise OptionError(f"{value!r}; expected a text")


def _name(value: object) -> str:
    return check_name(value, what="name")


def _names(value: object) -> list[str]:
    if isinstance(value, list):
        return [_name(item) for item in value]
    raise OptionError(f"{value!r}; expected a list of queue names")


def _target(value: object) -> str:
    text = _text(value)
    module, colon, attribute = text.partition(":")
    if colon and module and attribute.isidentifier():
        return text
    raise OptionError(f"{value!r}; expected module:attribute, as in 'shop.jobs:app'")


def _lease(value: object) -> float:
    span = seconds(value, what="lease")
    if span < 1:
        raise OptionError(f"{value!r}; expected at least 1s")
    return span


def _word(*words: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if value in words:
            return str(value)
        raise OptionError(f"{value!r}; expected {one_of(words)}" + nearest(str(value), words))

    return read


def _processes(value: object) -> int:
    if isinstance(value, dict):
        raise OptionError("{ min, max } is coming in a later release; give one number for now")
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1000:
        return value
    raise OptionError(f"{value!r}; expected a whole number from 0 to 1000")


def _concurrency(value: object) -> int:
    if value == 1:
        return 1
    raise OptionError(
        f"{value!r}; expected 1; concurrency above 1 is coming in a later release, "
        "use more processes for now"
    )


def _run_option(name: str) -> Callable[[object], object]:
    return lambda value: read_run_options({name: value}, what=name)
