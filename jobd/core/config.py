"""The configuration of a daemon: what jobd.toml may say, read once, all problems at once.

Invariant: a Config can be served as it stands, save for importing the application. Spans are
seconds. Read by the command line; the daemon's processes get the result as JSON.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from jobd.core import config_values as values
from jobd.core.config_alerts import AlertsConfig
from jobd.core.config_alerts_read import alerts
from jobd.core.config_drawn import NOWHERE, Outside, draw
from jobd.core.config_places import Places, explained, too_deep, too_dotted
from jobd.core.config_problems import Findings, printable, said
from jobd.core.config_schedules import schedules
from jobd.core.config_web import DashboardConfig, dashboard
from jobd.core.errors import ConfigError, NotHere, OptionError
from jobd.core.limits import LIMIT_OPTIONS
from jobd.core.names import check_name
from jobd.core.options import ADD_OPTIONS, RUN_OPTIONS, read_run_options
from jobd.core.processes import Processes, exactly, read_processes
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
    """The daemon itself. `queues` names the ones to serve; None: all that are declared.

    `max_processes`: workers in all, 0 for any number. `hang_after`: 0 for never.
    """

    lease: float = 30.0
    drain_timeout: float = 25.0
    boot_timeout: float = 60.0
    hang_after: float = 30.0
    max_processes: int = 0
    runtime_dir: str | None = None
    log: LogConfig = LogConfig()
    queues: list[str] | None = None


if TYPE_CHECKING:
    _Processes = Processes
else:  # A number is read too, and is at once the pool of that number: nobody else meets it.
    _Processes = Processes | int


class QueueConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One queue: its processes; run options and limits (as written) that go before those in code.

    Of `memory_limit`, `memory_limit_hard` (bytes), `max_jobs` and `max_age`, 0 is no limit;
    `boot_timeout` None is the daemon's.
    """

    processes: _Processes = Processes()
    concurrency: int = 1
    preload: bool = True
    app: str | None = None
    weight: int = 1
    memory_limit: int = 0
    memory_limit_hard: int = 0
    max_jobs: int = 0
    max_age: float = 0.0
    boot_timeout: float | None = None
    options: dict[str, Any] = {}
    limits: dict[str, Any] = {}

    def __post_init__(self) -> None:
        given: object = self.processes
        if isinstance(given, int):
            msgspec.structs.force_setattr(self, "processes", exactly(given))


class WebConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Where health, metrics and dashboard are served; None: nowhere, unless systemd opens a socket.

    `dashboard` None: neither that nor the API.
    """

    bind: str | None = None
    dashboard: DashboardConfig | None = None


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a daemon is told."""

    app: str | None = None
    redis: RedisConfig = RedisConfig()
    daemon: DaemonConfig = DaemonConfig()
    queues: dict[str, QueueConfig] = {}
    schedules: list[Declared] = []
    web: WebConfig = WebConfig()
    alerts: AlertsConfig = AlertsConfig()


_DEEPEST = 64
_SHOWN = 40
_IN_CODE = "fixed when a job is added, by programs that do not read this file; set it in code"
_TYPES = (
    "exception types are named in code, where a wrong one is an error; set it on the queue or task"
)
_NOT_OF_QUEUE = {
    **dict.fromkeys(ADD_OPTIONS, _IN_CODE),
    "retry_on": _TYPES,
    "give_up_on": _TYPES,
}
PROCESS_KEYS: dict[str, Callable[[object], Any]] = {
    "processes": read_processes,
    "concurrency": values.concurrency,
    "preload": values.flag,
    "app": values.target,
    "weight": values.whole(1, 1000),
    "memory_limit": values.memory("memory_limit"),
    "memory_limit_hard": values.memory("memory_limit_hard"),
    "max_jobs": values.whole(0, 10**12, "; 0 is no limit"),
    "max_age": values.span_or_never("max_age", least=10.0),
    "boot_timeout": values.span("boot_timeout", least=1.0),
}
_DAEMON_KEYS: dict[str, Callable[[object], Any]] = {
    "lease": values.span("lease", least=values.SHORTEST_LEASE),
    "drain_timeout": values.span("drain_timeout"),
    "boot_timeout": values.span("boot_timeout", least=1.0),
    "hang_after": values.span_or_never("hang_after", least=5.0),
    "max_processes": values.whole(0, 100_000, "; 0 is no limit"),
    "runtime_dir": values.text,
    "queues": values.queue_names,
}


class Reading(NamedTuple):
    """A file that was read: what it says, where in it that stands, and what it drew from elsewhere.

    `data` is the decoded file. `files` has, for each key that names a file, where that was found.
    """

    config: Config
    places: Places
    data: Mapping[str, Any]
    files: Mapping[str, str]


def load(text: str, file: str, outside: Outside = NOWHERE) -> Config:
    """Read the text of a configuration file. Raises ConfigError with all problems."""
    return reading(text, file, outside).config


def reading(text: str, file: str, outside: Outside = NOWHERE) -> Reading:
    """Read it, and keep where things stand. Raises ConfigError with all problems at once.

    It is NotHere when nothing is wrong but that the environment lacks something: it has the rest.
    """
    written = decoded(text, file)
    data = draw(written, outside.environment)
    places = Places(file, text, written)
    found = Findings(file, places, outside)
    config = _parse(found, data)
    read = Reading(config, places, data, found.files)
    if len(found.absent) == len(found.problems) > 0:
        raise NotHere(found.told(), found.absent, read)
    if found.problems:
        raise ConfigError(found.told())
    return read


def decoded(text: str, file: str) -> dict[str, Any]:
    """Decode TOML. Raises ConfigError with the line."""
    if (found := too_dotted(text, _DEEPEST)) is not None:
        line, key = found
        raise _deeper(f"{file}:{line}: {key[:_SHOWN]}...")
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        line, why = explained(text, error)
        raise ConfigError(f"{file}:{line}: not TOML: {why}; correct that line") from error
    if (path := too_deep(data, _DEEPEST)) is not None:
        place = Places(file, text, data).at(f"{path[:_SHOWN]}...", near=path)
        raise _deeper(place)
    return data


def _deeper(place: str) -> ConfigError:
    return ConfigError(
        f"{printable(place)}: nested deeper than {_DEEPEST} levels; "
        "expected a few; correct that line"
    )


def _parse(found: Findings, data: Mapping[str, Any]) -> Config:
    """Read a decoded file; what is wrong is in `found` then, and left out."""
    found.known(data, "", ("app", "redis", "daemon", "queues", "schedules", "web", "alerts"))
    daemon = _daemon(found, found.table(data.get("daemon"), "daemon"))
    queues = {
        name: _queue(found, name, found.table(settings, f"queues.{name}"))
        for name, settings in found.table(data.get("queues"), "queues").items()
    }
    _enough_for_all(found, daemon, queues)
    given: dict[str, Any] = said(
        app=found.read(data, "", "app", values.target),
        redis=_redis(found, found.table(data.get("redis"), "redis")),
        daemon=daemon,
        queues=queues,
        schedules=schedules(found, data.get("schedules")),
        web=_web(found, found.table(data.get("web"), "web")),
        alerts=alerts(found, found.table(data.get("alerts"), "alerts")),
    )
    return Config(**given)


def _redis(found: Findings, table: Mapping[str, Any]) -> RedisConfig:
    found.known(table, "redis", ("url", "url_file", "namespace"))
    return RedisConfig(
        **said(
            url=found.secret(table, "redis", "url", values.redis_url),
            namespace=found.read(table, "redis", "namespace", values.name("namespace")),
        )
    )


def _daemon(found: Findings, table: Mapping[str, Any]) -> DaemonConfig:
    found.known(table, "daemon", (*_DAEMON_KEYS, "log"))
    return DaemonConfig(
        **_each(found, table, "daemon", _DAEMON_KEYS),
        log=_log(found, found.table(table.get("log"), "daemon.log")),
    )


def _each(
    found: Findings, table: Mapping[str, Any], path: str, readers: Mapping[str, Callable[..., Any]]
) -> dict[str, Any]:
    return said(**{key: found.read(table, path, key, reader) for key, reader in readers.items()})


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
        found.problem("queues", str(error), near=path)
    found.known(table, path, (*PROCESS_KEYS, *RUN_OPTIONS, *LIMIT_OPTIONS), _NOT_OF_QUEUE)
    options = _each(found, table, path, {name: values.run_option(name) for name in RUN_OPTIONS})
    try:
        read_run_options(options, what=path)
    except OptionError as error:  # each is right, and they do not go together
        found.problem(path, str(error).removeprefix(f"{path}: "))
    read = QueueConfig(
        **_each(found, table, path, PROCESS_KEYS),
        options=options,
        limits=_each(found, table, path, {name: values.limit(name) for name in LIMIT_OPTIONS}),
    )
    if 0 < read.memory_limit_hard <= read.memory_limit:
        found.problem(
            f"{path}.memory_limit_hard",
            f"{table['memory_limit_hard']!r}; expected more than memory_limit, "
            f"which is {table['memory_limit']!r}; a worker is killed over the one, "
            "and replaced after its jobs over the other",
        )
    return read


def _enough_for_all(
    found: Findings, daemon: DaemonConfig, queues: Mapping[str, QueueConfig]
) -> None:
    """Note a max_processes that the queues' least numbers do not fit in."""
    served = queues if daemon.queues is None else daemon.queues
    least = sum(queues.get(queue, QueueConfig()).processes.min for queue in served)
    if 0 < daemon.max_processes < least:
        found.problem(
            "daemon.max_processes",
            f"{daemon.max_processes}; expected at least {least}, which the queues' processes "
            "(their min) add up to, or 0 for no limit; raise it, or lower theirs",
        )


def _web(found: Findings, table: Mapping[str, Any]) -> WebConfig:
    found.known(table, "web", ("bind", "dashboard"))
    bind = found.read(table, "web", "bind", values.address)
    return WebConfig(**said(bind=bind), dashboard=dashboard(found, table.get("dashboard"), bind))
