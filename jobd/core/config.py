"""The configuration of a daemon: what jobd.toml may say, read once, all problems at once.

Invariant: a Config can be served as it stands, save for importing the application. Spans are
seconds. A key that belongs to a later release is refused as coming, never ignored. Read by the
command line; the daemon's processes get the result as JSON.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from jobd.core import config_values as values
from jobd.core.config_problems import Findings, said
from jobd.core.config_schedules import schedules
from jobd.core.errors import ConfigError, OptionError
from jobd.core.limits import LIMIT_OPTIONS
from jobd.core.names import check_name
from jobd.core.options import RUN_OPTIONS, read_run_options
from jobd.core.schedule import Declared


class RedisConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Where the jobs are. `keeps_nothing` is no key of the file: only `jobd dev` says so."""

    url: str = "redis://127.0.0.1:6379/0"
    namespace: str = "jobd"
    keeps_nothing: bool = False


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
    """One queue: its processes; run options and limits (as written) that go before those in code."""

    processes: int = 1
    concurrency: int = 1
    preload: bool = True
    app: str | None = None
    options: dict[str, Any] = {}
    limits: dict[str, Any] = {}


class WebConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Where health, metrics and dashboard will be served."""

    bind: str | None = None


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a daemon is told."""

    app: str | None = None
    redis: RedisConfig = RedisConfig()
    daemon: DaemonConfig = DaemonConfig()
    queues: dict[str, QueueConfig] = {}
    schedules: list[Declared] = []
    web: WebConfig = WebConfig()


_LATER = "coming in a later release; leave it out for now"
_IN_CODE = "fixed when a job is added, by programs that do not read this file; set it in code"
_TYPES = (
    "exception types are named in code, where a wrong one is an error; set it on the queue or task"
)
_LATER_OF_FILE = {"alerts": _LATER}
_LATER_OF_QUEUE = dict.fromkeys(
    ("memory_limit", "memory_limit_hard", "max_jobs", "max_age"),
    _LATER,
) | {"priority": _IN_CODE, "delay": _IN_CODE, "retry_on": _TYPES, "give_up_on": _TYPES}


def load(text: str, file: str) -> Config:
    """Read the text of a configuration file. Raises ConfigError with all problems."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: not TOML: {error}; correct that line") from error
    return parse(data, file)


def parse(data: Mapping[str, Any], file: str) -> Config:
    """Read a decoded file. Raises ConfigError with all problems at once."""
    found = Findings(file)
    found.known(data, "", ("app", "redis", "daemon", "queues", "schedules", "web"), _LATER_OF_FILE)
    given: dict[str, Any] = said(
        app=found.read(data, "", "app", values.target),
        redis=_redis(found, found.table(data.get("redis"), "redis")),
        daemon=_daemon(found, found.table(data.get("daemon"), "daemon")),
        queues={
            name: _queue(found, name, found.table(settings, f"queues.{name}"))
            for name, settings in found.table(data.get("queues"), "queues").items()
        },
        schedules=schedules(found, data.get("schedules")),
        web=_web(found, found.table(data.get("web"), "web")),
    )
    if found.problems:
        raise ConfigError(found.problems)
    return Config(**given)


def require_app(config: Config, file: str) -> None:
    """Raise ConfigError when a queue that is to be served has no application, or none is named."""
    if config.app is not None:
        return
    named = config.daemon.queues
    served = list(config.queues) if named is None else named
    problems = [
        f"{file}: queues.{queue}.app: not set, and there is no `app` for all; "
        "expected module:attribute; add app = 'shop.jobs:app' at the top of the file"
        for queue in served
        if queue not in config.queues or config.queues[queue].app is None
    ]
    if not served:
        problems = [
            f"{file}: app: not set; expected module:attribute; "
            "add app = 'shop.jobs:app' at the top of the file"
        ]
    if problems:
        raise ConfigError(problems)


def warnings(config: Config, file: str) -> list[str]:
    """List what is allowed and yet not what somebody may think it is."""
    found = []
    if config.web.bind is not None:
        found.append(
            f"{file}: web.bind: {config.web.bind!r}; nothing is served there yet, "
            "health and metrics are coming in a later release"
        )
    if config.daemon.queues is not None:
        found += [
            f"{file}: queues.{queue}: not served here; daemon.queues does not name it"
            for queue in config.queues
            if queue not in config.daemon.queues
        ]
    return found


def _redis(found: Findings, table: Mapping[str, Any]) -> RedisConfig:
    found.known(table, "redis", ("url", "namespace"), {"url_file": _LATER})
    return RedisConfig(
        **said(
            url=found.read(table, "redis", "url", values.redis_url),
            namespace=found.read(table, "redis", "namespace", values.name("namespace")),
        )
    )


def _daemon(found: Findings, table: Mapping[str, Any]) -> DaemonConfig:
    found.known(table, "daemon", ("lease", "drain_timeout", "runtime_dir", "log", "queues"))
    lease = values.span("lease", least=values.SHORTEST_LEASE)
    return DaemonConfig(
        **said(
            lease=found.read(table, "daemon", "lease", lease),
            drain_timeout=found.read(
                table, "daemon", "drain_timeout", values.span("drain_timeout")
            ),
            runtime_dir=found.read(table, "daemon", "runtime_dir", values.text),
            queues=found.read(table, "daemon", "queues", values.queue_names),
        ),
        log=_log(found, found.table(table.get("log"), "daemon.log")),
    )


def _log(found: Findings, table: Mapping[str, Any]) -> LogConfig:
    found.known(table, "daemon.log", ("format", "level"))
    formats = values.word("auto", "console", "json", "journal")
    levels = values.word("debug", "info", "warning", "error")
    return LogConfig(
        **said(
            format=found.read(table, "daemon.log", "format", formats),
            level=found.read(table, "daemon.log", "level", levels),
        )
    )


def _queue(found: Findings, name: str, table: Mapping[str, Any]) -> QueueConfig:
    path = f"queues.{name}"
    try:
        check_name(name, what="queues")
    except OptionError as error:
        found.problem("queues", str(error))
    known = ("processes", "concurrency", "preload", "app", *RUN_OPTIONS, *LIMIT_OPTIONS)
    found.known(table, path, known, _LATER_OF_QUEUE)
    options = said(
        **{
            option: found.read(table, path, option, values.run_option(option))
            for option in RUN_OPTIONS
        }
    )
    try:
        read_run_options(options, what=path)
    except OptionError as error:  # each is right, and they do not go together
        found.problem(path, str(error).removeprefix(f"{path}: "))
    return QueueConfig(
        **said(
            processes=found.read(table, path, "processes", values.processes),
            concurrency=found.read(table, path, "concurrency", values.concurrency),
            preload=found.read(table, path, "preload", values.flag),
            app=found.read(table, path, "app", values.target),
        ),
        options=options,
        limits=said(
            **{
                limit: found.read(table, path, limit, values.limit(limit))
                for limit in LIMIT_OPTIONS
            }
        ),
    )


def _web(found: Findings, table: Mapping[str, Any]) -> WebConfig:
    found.known(table, "web", ("bind",), {"dashboard": _LATER})
    return WebConfig(**said(bind=found.read(table, "web", "bind", values.text)))
