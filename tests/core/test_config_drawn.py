"""What a configuration draws from the environment and from files, and that none of it is shown."""

from __future__ import annotations

import msgspec
import pytest

from jobd.core.config import Config, load
from jobd.core.config_drawn import Outside, Secret, drawn, plain
from jobd.core.config_problems import Findings
from jobd.core.errors import Absent, ConfigError, NotHere, OptionError

ENVIRONMENT = {
    "HOST": "redis.example", "PASSWORD": "hunter2", "EMPTY": "", "NESTED": "${HOST}", "WRONG": "hunter2 parsecs",
    "BROKEN": "hunter2\udcff", "LINES": "hunter2\nhunter3",
}  # fmt: skip
FILES = {
    "url": "redis://:hunter2@r/1",
    "key": "hunter2",
    "hook": "https://hooks.example/hunter2",
    "scheme": "hunter2://h",
}


def held(name: str) -> Secret:
    if name not in FILES:
        raise Absent(f"{name!r}: no such file")
    return Secret(FILES[name], f"/run/credentials/{name}")


def read(text: str) -> Config:
    return load(text, "f", Outside(ENVIRONMENT, held))


def problems_of(text: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        read(text)
    said = "\n".join(refused.value.problems)
    assert "hunter2" not in said
    assert said.isprintable() or "\n" in said
    return refused.value.problems


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("${HOST}", "redis.example"),
        ("a${HOST}b${HOST}", "aredis.examplebredis.example"),
        ("${EMPTY}x", "x"),
        ("$${HOST}", "${HOST}"),
        ("$$${HOST}", "$${HOST}"),
        ("$HOST $ $$ {HOST}", "$HOST $ $$ {HOST}"),
        ("${NESTED}", "${HOST}"),
    ],
)
def test_a_variable_is_put_in_once(written: str, meant: str) -> None:
    """And what comes out of one is not looked into again. The result is a text like any other."""
    config = read(f"[daemon]\nruntime_dir = '{written}'")

    assert config.daemon.runtime_dir == meant
    assert msgspec.json.decode(msgspec.json.encode(config), type=Config) == config


def test_every_text_of_the_file_may_have_variables() -> None:
    """In tables within options, lists, schedules; not in the arguments of a job."""
    config = read(
        """
        app = "${HOST}:app"
        [daemon]
        queues = ["${PASSWORD}", "b"]
        log = { level = "${EMPTY}info" }
        [queues.hunter2]
        backoff = { kind = "fi${EMPTY}xed", base = "${EMPTY}1s" }
        memory_limit = "300${EMPTY}MB"
        [[schedules]]
        name = "${PASSWORD}"
        queue = "q${EMPTY}"
        task = "t"
        every = "${EMPTY}5m"
        args = { text = "${HOME} $${HOME} ${" }
        meta = { from = "${HOST}" }
        [[alerts.sinks]]
        kind = "slack"
        url = "https://hooks.example/${PASSWORD}"
        """
    )

    assert config.app == "redis.example:app"
    assert config.daemon.queues == ["hunter2", "b"]
    assert config.queues["hunter2"].options["backoff"] == {"kind": "fixed", "base": "1s"}
    [declared] = config.schedules
    assert (declared.queue, declared.schedule.name) == ("q", "hunter2")
    assert msgspec.json.decode(declared.schedule.args) == {"text": "${HOME} $${HOME} ${"}
    assert config.alerts.sinks[0].url == "https://hooks.example/hunter2"
    assert msgspec.json.decode(msgspec.json.encode(config), type=Config) == config


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("app = '${NOPE}'", "f:1: app: ${NOPE} is not set; expected a variable of that name"),
        ("\n[queues.q]\nbackoff = { kind = '${NOPE}' }", "f:3: queues.q.backoff.kind: ${NOPE} is"),
        ("[daemon]\nqueues = ['a', '${NOPE}']", "f:2: daemon.queues[1]: ${NOPE} is not set"),
        ("redis = '${NOPE}'", "f:1: redis: ${NOPE} is not set"),
        ("app = '${1A}'", "f:1: app: '${' without a name and '}'; expected ${NAME}; write $${"),
        ("app = 'a${'", "f:1: app: '${' without a name"),
        ("app = '${HOST:-x}'", "f:1: app: '${' without a name"),
        ("app = '${BROKEN}'", "f:1: app: ${BROKEN} is not UTF-8 text"),
    ],
)
def test_what_cannot_be_had_is_named(text: str, said: str) -> None:
    """One problem, with its line, and none about what would have been there."""
    [problem] = problems_of(text)

    assert problem.startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[daemon]\nlease = '${WRONG}'", "daemon.lease: '${WRONG}'; expected a duration"),
        ("app = '${PASSWORD}'", "app: '${PASSWORD}'; expected module:attribute"),
        ("[daemon]\nlog = { level = '${PASSWORD}' }", "level: '${PASSWORD}'; expected debug"),
        ("[daemon]\nqueues = ['${WRONG}']", "daemon.queues: '${WRONG}'; expected 1 to 128"),
        ("[queues.q]\nbackoff = { kind = '${PASSWORD}' }", "backoff.kind: '${PASSWORD}'; expected"),
        ("[queues.q]\nprocesses = '${PASSWORD}'", "processes: '${PASSWORD}'; expected a whole"),
        ("[queues.q]\nmemory_limit = '${PASSWORD}'", "memory_limit: '${PASSWORD}'; expected a size"),
        ("[redis]\nurl = '${PASSWORD}'", "redis.url: no scheme; expected redis://"),
        ("[daemon]\nruntime_dir = '${LINES}'", "runtime_dir: '${LINES}'; expected a text without"),
        ("[daemon]\nruntime_dir = '${EMPTY}'", "runtime_dir: '${EMPTY}'; expected a text"),
        ("redis = 'redis://:hunter2@host'", "redis: a text; expected a table"),
        ("[redis]\nnamespace = 'redis://u:hunter2@h'", "redis.namespace: 'redis://***@h'; expected"),
        ("[redis]\nhunter = 'hunter2'", "redis.hunter: unknown key"),
    ],
)  # fmt: skip
def test_what_was_drawn_is_shown_as_it_is_written(text: str, said: str) -> None:
    """Whatever is wrong with it: it may be a password at the wrong place."""
    [problem] = problems_of(text)

    assert said in problem


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[queues.q]\nprocesses = 0xfffffffffffffffff", "f:2: queues.q.processes: a number of more"),
        ("[queues.q]\nbackoff = { base = -9223372036854775809 }", "f:2: queues.q.backoff.base: a num"),
        ("[[schedules]]\nname = 'n'\nqueue = 'q'\ntask = 't'\nevery = '5m'\nargs = { n = [18446744073709551616] }", "f:6: schedules[0].args.n[0]: a number of more than 64 bits"),
    ],
)  # fmt: skip
def test_a_number_that_no_json_takes_is_a_problem(text: str, said: str) -> None:
    """TOML has numbers of 64 bits; Python's library reads any."""
    [problem] = problems_of(text)

    assert problem.startswith(said)


def test_a_reader_that_quotes_plainly_shows_nothing_either() -> None:
    """The last guard: a message has what was drawn as it is written, whoever wrote the message."""

    def reader(value: object) -> object:
        raise OptionError(f"{plain(value)!r}, {[*map(str, value)]}; expected less")  # type: ignore[call-overload]

    found = Findings("f")
    table = {
        "k": [drawn("hunter2", "'${PASSWORD}'"), drawn("less", "'${A}'"), drawn("x", "'${B}'")]
    }
    found.read(table, "", "k", reader)

    assert found.told() == [
        "f: k: ['${PASSWORD}', '${A}', 'x'], ['${PASSWORD}', '${A}', 'x']; expected '${A}'"
    ]


def test_secrets_may_be_in_files_of_their_own() -> None:
    """Of Redis, of sinks, of the sign of life."""
    config = read(
        """
        [redis]
        url_file = "url"
        [[alerts.sinks]]
        kind = "webhook"
        url_file = "hook"
        secret_file = "key"
        [[alerts.sinks]]
        kind = "pagerduty"
        secret_file = "key"
        [alerts.heartbeat]
        url_file = "hook"
        """
    )

    assert config.redis.url == "redis://:hunter2@r/1"
    webhook, pagerduty = config.alerts.sinks
    assert (webhook.url, webhook.secret) == ("https://hooks.example/hunter2", "hunter2")
    assert pagerduty.secret == "hunter2"
    assert config.alerts.heartbeat is not None
    assert config.alerts.heartbeat.url == "https://hooks.example/hunter2"
    assert msgspec.json.decode(msgspec.json.encode(config), type=Config) == config


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[redis]\nurl = 'redis://r'\nurl_file = 'url'", "f:3: redis.url_file: both url and url_file; expected one"),
        ("[redis]\nurl_file = 'nope'", "f:2: redis.url_file: 'nope': no such file"),
        ("[redis]\nurl_file = 5", "f:2: redis.url_file: 5; expected the name of a file"),
        ("[redis]\nurl_file = ''", "f:2: redis.url_file: ''; expected the name of a file"),
        ("[redis]\nurl_file = \"a\\u0000\"", "f:2: redis.url_file: 'a\\x00'; expected the name of a file"),
        ("[redis]\nurl_file = 'scheme'", "f:2: redis.url_file: another scheme; expected redis://"),
        ("[[alerts.sinks]]\nkind = 'slack'\nurl_file = 'scheme'", "f:3: alerts.sinks[0].url_file: no address"),
        ("[redis]\nurl_file = 'key'", "f:2: redis.url_file: no scheme; expected redis://"),
        ("[redis]\nurl_fil = 'key'", "f:2: redis.url_fil: unknown key; expected namespace, url, url_file; did you mean 'url_file'?"),
        ("[[alerts.sinks]]\nkind = 'slack'\nurl_file = 'key'", "f:3: alerts.sinks[0].url_file: no address; expected a URL"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_of_a_secret_is_told_without_it(text: str, said: str) -> None:
    """Two places for one value, no file, something else in it."""
    [problem] = problems_of(text)

    assert problem.startswith(said)


def test_a_file_that_lacks_only_what_the_daemon_has_can_be_used_for_the_rest() -> None:
    """Whoever looks at jobs needs no secret of a sink, and no problem follows from its absence."""
    text = """
        [redis]
        namespace = "n"
        [[alerts.sinks]]
        kind = "webhook"
        url = "https://hooks.example"
        secret = "${NOPE}"
        [[alerts.sinks]]
        kind = "slack"
        url_file = "nope"
        [[alerts.rules]]
        kind = "dead"
        sinks = ["webhook", "slack"]
        """
    with pytest.raises(NotHere) as without:
        read(text)

    assert without.value.absent == ["alerts.sinks[0].secret", "alerts.sinks[1].url_file"]
    assert without.value.rest.config.redis.namespace == "n"
    assert len(without.value.problems) == 2
    with pytest.raises(ConfigError) as wrong:
        read(text + "\n[daemon]\nlease = 'x'")
    assert not isinstance(wrong.value, NotHere)
    assert len(wrong.value.problems) == 3
