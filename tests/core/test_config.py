"""jobd.toml: what it may say, and what a wrong one is told, all at once."""

from __future__ import annotations

import msgspec
import pytest

from jobd.core.config import Config, QueueConfig, load
from jobd.core.config_advice import require_app, warnings
from jobd.core.config_places import Places
from jobd.core.errors import ConfigError
from jobd.core.options import read_run_options
from jobd.core.processes import Processes

FULL = """
app = "shop.jobs:app"
[redis]
url = "rediss://jobs:secret@redis.example:6380/2"
namespace = "shop"
[daemon]
lease = "20s"
drain_timeout = 5
runtime_dir = "/run/jobd"
queues = ["email"]
boot_timeout = "2m"
hang_after = 0
max_processes = 6
log = { format = "json", level = "debug" }
[queues.email]
processes = { min = 2, max = 4, drain_within = "5m" }
weight = 3
memory_limit = "300MB"
memory_limit_hard = "1GiB"
max_jobs = 10_000
max_age = "12h"
boot_timeout = "90s"
concurrency = 5
preload = false
app = "shop.mail:app"
attempts = 5
backoff = { kind = "exponential", base = "2s", cap = "10m" }
timeout = "60s"
max_crashes = 2
retain = { completed = { age = "24h", count = 10_000 }, dead = { age = "7d" } }
[web]
bind = "127.0.0.1:9180"
"""


def problems_of(text: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load(text, "jobd.toml")
    return refused.value.problems


def test_everything_is_read_and_survives_the_way_to_the_daemon() -> None:
    """Each key lands in its field; spans are seconds; JSON gives the same again."""
    config = load(FULL, "jobd.toml")

    assert config.app == "shop.jobs:app"
    assert config.redis.url == "rediss://jobs:secret@redis.example:6380/2"
    assert config.redis.namespace == "shop"
    assert (config.daemon.lease, config.daemon.drain_timeout) == (20.0, 5.0)
    assert (config.daemon.runtime_dir, config.daemon.queues) == ("/run/jobd", ["email"])
    assert (config.daemon.log.format, config.daemon.log.level) == ("json", "debug")
    assert (config.daemon.boot_timeout, config.daemon.hang_after) == (120.0, 0.0)
    assert config.daemon.max_processes == 6
    email = config.queues["email"]
    assert (email.preload, email.app) == (False, "shop.mail:app")
    assert email.processes == Processes(min=2, max=4, drain_within=300.0)
    assert (email.weight, email.max_jobs, email.max_age) == (3, 10_000, 43_200.0)
    assert (email.memory_limit, email.memory_limit_hard) == (300_000_000, 2**30)
    assert email.boot_timeout == 90.0
    assert read_run_options(email.options, what="email").timeout == 60.0
    assert config.web.bind == "127.0.0.1:9180"
    assert msgspec.json.decode(msgspec.json.encode(config), type=Config) == config


def test_an_empty_file_is_the_defaults() -> None:
    """Nothing has to be said."""
    assert load("", "jobd.toml") == Config()


def test_all_problems_come_at_once_with_path_value_and_nearest_name() -> None:
    """Each line names file, key path, value and what was expected."""
    problems = problems_of(
        """
        ap = "x"
        [daemon]
        lease = "soon"
        log = { level = "inof" }
        [queues.email]
        proceses = 2
        timeout = "5 parsecs"
        backoff = { kind = "expo", base = "2s" }
        retain = { completed = { aeg = "1h" } }
        [web]
        bind = 9180
        """
    )

    assert len(problems) == 8
    text = "\n".join(problems)
    assert "jobd.toml:2: ap: unknown key; " in text
    assert "did you mean 'app'?" in text
    assert "jobd.toml:4: daemon.lease: 'soon'; expected a duration" in text
    assert (
        "jobd.toml:5: daemon.log.level: 'inof'; expected debug, error, info, warning; did" in text
    )
    assert "jobd.toml:7: queues.email.proceses: unknown key; " in text
    assert "jobd.toml:8: queues.email.timeout: '5 parsecs'; expected a duration" in text
    assert "jobd.toml:9: queues.email.backoff.kind: 'expo'; expected one of" in text
    assert "jobd.toml:10: queues.email.retain.completed.aeg: unknown; expected age" in text
    assert "jobd.toml:12: web.bind: 9180; expected a text" in text


@pytest.mark.parametrize(
    ("bind", "said"),
    [
        ("127.0.0.1:0", "'127.0.0.1:0': nobody would know which port; expected one from 1 to 65535, as in '127.0.0.1:9180'"),
        ("[::1]:00", "'[::1]:00': nobody would know which port; expected one from 1 to 65535, as in '[::1]:9180'"),
        ("127.0.0.1:65536", "'127.0.0.1:65536'; expected host:port"),
        ("127.0.0.1", "'127.0.0.1'; expected host:port"),
    ],
)  # fmt: skip
def test_an_address_that_nobody_could_ask_is_refused(bind: str, said: str) -> None:
    [problem] = problems_of(f"[web]\nbind = '{bind}'\n")
    assert f"web.bind: {said}" in problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("app = 'shop.jobs'", "app: 'shop.jobs'; expected module:attribute"),
        ("app = '../x:app'", "expected module:attribute"),
        ("redis = 5", "redis: 5; expected a table"),
        ("[redis]\nurl = 'localhost:6379'", "redis.url: no scheme; expected redis://host"),
        ("[redis]\nurl = 'http://a'", "redis.url: http://...; expected redis://host"),
        ("[redis]\nurl = 'redis://a:port/0'", "redis.url: host or port cannot be read"),
        ("[redis]\nurl = 'redis://a/first'", "redis.url: database 'first'; expected a number"),
        ("[redis]\nurl = 'unix://'", "redis.url: no path; "),
        ("[redis]\nnamespace = 'a b'", "redis.namespace: 'a b'; expected 1 to 128"),
        ("[daemon]\nlease = '10ms'", "daemon.lease: '10ms'; expected at least 1s"),
        ("[daemon]\nqueues = []", "daemon.queues: []; expected a list of queue names"),
        ("[daemon]\nqueues = ['a', 'a']", "daemon.queues: 'a', named twice"),
        ("[queues.'a b']", "queues: 'a b'; expected 1 to 128") ,
        ("[queues]\na = 3", "queues.a: 3; expected a table"),
        ("[queues.a]\nprocesses = -1", "queues.a.processes: -1; expected a whole number"),
        ("[queues.a]\nprocesses = true", "queues.a.processes: True; expected a whole number"),
        ("[queues.a]\nconcurrency = true", "queues.a.concurrency: True; expected a whole number from 1 to 1000"),
        ("[queues.a]\nprocesses = { mx = 4 }", "processes.mx: unknown; expected drain_within, max, min; did you mean 'max'"),
        ("[queues.a]\nprocesses = { min = 2 }", "processes.max: not set; expected it, as in { min"),
        ("[queues.a]\nprocesses = { min = 5, max = 4 }", "processes.min: 5; expected at most max, which is 4"),
        ("[queues.a]\nprocesses = { min = 0, max = 4 }", "processes.min: 0; expected a whole number from 1 to 1000; to serve"),
        ("[queues.a]\nprocesses = { max = '4' }", "processes.max: '4'; expected a whole number"),
        ("[queues.a]\nprocesses = { max = 4, drain_within = 0 }", "drain_within: 0; expected at least 1s"),
        ("[queues.a]\nweight = 0", "queues.a.weight: 0; expected a whole number from 1 to 1000"),
        ("[queues.a]\nmemory_limit = '300M'", "queues.a.memory_limit: '300M'; expected a size such as '300MB', '1GiB' or bytes; did you mean '300MB'"),
        (f"[queues.a]\nmemory_limit = '{'9' * 400}GB'", "GB'; expected a size such as '300MB', '1GiB' or bytes"),
        ("[queues.a]\nbackoff = { kind = {} }", "queues.a.backoff.kind: {}; expected one of exponential"),
        ("[queues.a]\nmemory_limit = 300", "memory_limit: 300; expected 0 (no limit), or 1MB to 1000TB; a plain number is bytes"),
        ("[queues.a]\nmemory_limit = '1GB'\nmemory_limit_hard = '1GB'", "memory_limit_hard: '1GB'; expected more than memory_limit, which is '1GB'"),
        ("[queues.a]\nmemory_limt = '1GB'", "queues.a.memory_limt: unknown key; "),
        ("[queues.a]\nmax_jobs = -1", "queues.a.max_jobs: -1; expected a whole number from 0"),
        ("[queues.a]\nmax_age = '1s'", "queues.a.max_age: '1s'; expected 0 (never), or at least 10s"),
        ("[queues.a]\nboot_timeout = 0", "queues.a.boot_timeout: 0; expected at least 1s"),
        ("[daemon]\nboot_timeout = 'x'", "daemon.boot_timeout: 'x'; expected a duration"),
        ("[daemon]\nhang_after = '1s'", "daemon.hang_after: '1s'; expected 0 (never), or at least 5s"),
        ("[daemon]\nmax_process = 4", "daemon.max_process: unknown key; "),
        ("[daemon]\nmax_processes = true", "daemon.max_processes: True; expected a whole number"),
        ("[daemon]\nmax_processes = 3\n[queues.a]\nprocesses = { min = 3, max = 9 }\n[queues.b]", "daemon.max_processes: 3; expected at least 4"),
        ("[daemon]\nmax_processes = 1\nqueues = ['c', 'd']\n[queues.a]\nprocesses = 9", "daemon.max_processes: 1; expected at least 2"),
        (
            "[queues.a]\ntimeout = '5s'\nsoft_timeout = '5s'",
            "queues.a: soft_timeout 5s; expected less than the timeout, which is 5s",
        ),
        ("[queues.a]\nconcurrency = 0", "serve the queue elsewhere only, write processes = 0"),
        ("[queues.a]\nconcurrency = 1001", "from 1 to 1000; for more, raise `processes`"),
        ("[queues.a]\npreload = 'no'", "queues.a.preload: 'no'; expected true or false"),
        ("[queues.a]\npriority = 1", "queues.a.priority: fixed when a job is added"),
        ("[queues.a]\nunique = true", "queues.a.unique: fixed when a job is added"),
        ("[queues.a]\nexpires = '1h'", "queues.a.expires: fixed when a job is added"),
        ("[queues.a]\nattempts = 0", "queues.a.attempts: 0; expected a whole number"),
        ("app = ", "not TOML"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_what_was_expected(text: str, expected: str) -> None:
    """One problem, named by its path."""
    [problem] = problems_of(text)

    assert expected in problem


def test_a_number_of_processes_is_a_pool_of_that_number() -> None:
    """From TOML, from JSON and from code; 0 serves the queue elsewhere."""
    said = load("[queues.a]\nprocesses = 3\n[queues.b]\nprocesses = 0", "f").queues
    assert said["a"].processes == Processes(min=3, max=3)
    assert said["a"].processes.fixed
    assert said["b"].processes == Processes(min=0, max=0)
    assert QueueConfig(processes=3) == said["a"]
    assert msgspec.json.decode(b'{"processes": 3}', type=QueueConfig) == said["a"]
    assert msgspec.json.decode(b'{"processes": {"max": 3}}', type=QueueConfig) == QueueConfig(
        processes=Processes(min=1, max=3)
    )


def test_queues_elsewhere_take_none_of_the_hosts_processes() -> None:
    """Neither those with processes = 0 nor those that are not served."""
    text = "[daemon]\nmax_processes = 1\n[queues.a]\n[queues.b]\nprocesses = 0"
    assert load(text, "f").daemon.max_processes == 1
    text = "[daemon]\nmax_processes = 1\nqueues = ['b']\n[queues.a]\nprocesses = 5\n[queues.b]"
    assert load(text, "f").daemon.max_processes == 1


def test_a_weight_without_a_limit_of_the_host_is_a_warning() -> None:
    """There is nothing to be shared out then."""
    text = "[queues.a]\nweight = 2\n[queues.b]"
    [warning] = warnings(load(text, "f"), Places("f"))
    assert warning.startswith("f: queues.a.weight: 2; means nothing without daemon.max_processes")
    assert warnings(load(text + "\n[daemon]\nmax_processes = 9", "f"), Places("f")) == []


def test_a_password_is_never_shown() -> None:
    """Not even when the URL is refused, or cut in the middle of the password."""
    for url in ("http://jobs:hunter2@host/0", "redis://:hunter2/x@host/0", "hunter2"):
        [problem] = problems_of(f"[redis]\nurl = '{url}'")

        assert "hunter2" not in problem


def test_an_app_is_required_for_what_is_served() -> None:
    """One for all, or one for each queue; a queue that is not served needs none."""
    require_app(load("app = 'a:b'", "f"), Places("f"))
    require_app(load("[queues.x]\napp = 'a:b'", "f"), Places("f"))
    require_app(
        load("[daemon]\nqueues=['x']\n[queues.x]\napp = 'a:b'\n[queues.y]", "f"), Places("f")
    )
    with pytest.raises(ConfigError, match=r"f: app: not set"):
        require_app(load("", "f"), Places("f"))
    with pytest.raises(ConfigError, match=r"f: queues.x.app: not set") as refused:
        require_app(load("[queues.x]\n[queues.y]", "f"), Places("f"))
    assert len(refused.value.problems) == 2


def test_what_is_not_served_is_a_warning() -> None:
    """A queue left out."""
    config = load(FULL + "[queues.reports]\n", "f")

    [about_queue] = warnings(config, Places("f"))
    assert "queues.reports" in about_queue
