"""[alerts] of jobd.toml: what each kind takes, and that every problem is told at once."""

from __future__ import annotations

import re

import pytest

from jobd.core.alerts.kinds import BUILTIN, KINDS
from jobd.core.config import Config, load
from jobd.core.errors import ConfigError

_ABOVE = {"backlog": "1000", "latency": "'5m'", "stuck": "'1h'", "memory": "'1GB'"}


def read(text: str) -> Config:
    return load(text, "jobd.toml")


def problems_of(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text)
    return caught.value.problems


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_rule_of_every_kind_needs_little(kind: str) -> None:
    """A kind, and a threshold where none makes sense for all."""
    above = f"above = {_ABOVE[kind]}" if kind in _ABOVE else ""

    [rule] = read(f"[[alerts.rules]]\nkind = '{kind}'\n{above}").alerts.rules

    assert rule.name == kind
    assert rule.above is not None
    assert (KINDS[kind].window is None) == (rule.window is None)


@pytest.mark.parametrize("kind", sorted(_ABOVE))
def test_where_no_threshold_makes_sense_one_must_be_said(kind: str) -> None:
    """The message says what it may be."""
    [problem] = problems_of(f"[[alerts.rules]]\nkind = '{kind}'")

    assert problem.startswith("jobd.toml:1: alerts.rules[0].above: not set; expected a ")


def test_the_example_of_the_product() -> None:
    """Names and defaults are as promised."""
    alerts = read(
        """
        [[alerts.rules]]
        name = "email backlog"
        kind = "backlog"
        queue = "email"
        above = 1000
        clear_below = 500
        for = "5m"
        sinks = ["webhook"]
        [[alerts.sinks]]
        kind = "webhook"
        url = "https://hooks.example/jobd"
        secret = "s3cret"
        [[alerts.sinks]]
        name = "duty"
        kind = "pagerduty"
        secret = "key"
        [alerts.heartbeat]
        url = "https://beat.example/1"
        every = "30s"
        """
    ).alerts

    rule = alerts.rules[0]
    assert (rule.name, rule.queue, rule.above, rule.clear_below) == (
        "email backlog", "email", 1000.0, 500.0,
    )  # fmt: skip
    assert (rule.for_, rule.repeat, rule.severity, rule.sinks) == (
        300.0, 14400.0, "warning", ["webhook"],
    )  # fmt: skip
    assert [sink.name for sink in alerts.sinks] == ["webhook", "duty"]
    assert alerts.sinks[1].url.startswith("https://events.pagerduty.com/")
    assert alerts.heartbeat is not None
    assert alerts.heartbeat.every == 30.0
    assert alerts.wanted


@pytest.mark.parametrize(
    ("kind", "written", "meant"),
    [
        ("backlog", "10", 10.0),
        ("latency", "'1m30s'", 90.0),
        ("failure_rate", "'20%'", 0.2),
        ("failure_rate", "0.2", 0.2),
        ("redis_memory", "0.9", 0.9),
        ("redis_memory", "'90%'", 0.9),
        ("redis_memory", "'2GB'", 2e9),
        ("redis_memory", "2_000_000_000", 2e9),
        ("memory", "'300MB'", 3e8),
        ("stalled", "60", 60.0),
    ],
)
def test_thresholds_are_read_by_kind(kind: str, written: str, meant: float) -> None:
    """A number, a span, a share or a size."""
    [rule] = read(f"[[alerts.rules]]\nkind = '{kind}'\nabove = {written}").alerts.rules

    assert rule.above == pytest.approx(meant)


@pytest.mark.parametrize(
    ("rule", "path", "expected"),
    [
        ("kind = 'backlg'\nabove = 1", "kind", "did you mean 'backlog'?"),
        ("name = 'x'", "kind", "not set; expected backlog, "),
        ("kind = 'backlog'\nabove = 'many'", "above", "expected a whole number"),
        ("kind = 'backlog'\nabove = 1.5", "above", "expected a whole number"),
        ("kind = 'failure_rate'\nabove = 20", "above", "expected a share from 0 to 1"),
        ("kind = 'failure_rate'\nabove = '120%'", "above", "expected a share from 0 to 1"),
        ("kind = 'redis_memory'\nabove = 5", "above", "expected a share such as '80%'"),
        ("kind = 'latency'\nabove = 'soon'", "above", "expected a duration"),
        ("kind = 'no_workers'\nabove = 1", "above", "a rule of kind no_workers has none"),
        ("kind = 'redis_down'\nqueue = 'q'", "queue", "a rule of kind redis_down has none"),
        ("kind = 'backlog'\nabove = 1\nwindow = '5m'", "window", "of kind backlog has none"),
        ("kind = 'failure_rate'\nwindow = '3h'", "window", "expected at most 2h"),
        ("kind = 'failure_rate'\nwindow = '3s'", "window", "expected at least 60s"),
        ("kind = 'backlog'\nabove = 5\nclear_below = 9", "clear_below", "not more than `above`"),
        ("kind = 'dead'\nclear_below = 1", "clear_below", "not more than `above`"),
        ("kind = 'redis_memory'\nabove = '2GB'\nclear_below = 0.5", "clear_below", "expected more"),
        ("kind = 'backlog'\nabove = 5\nabov = 9", "abov", "did you mean 'above'?"),
        ("kind = 'backlog'\nabove = 5\nqueue = 'a b'", "queue", "expected 1 to 128 characters"),
        ("kind = 'backlog'\nabove = 5\nsinks = ['webhok']", "sinks", "did you mean 'webhook'?"),
        ("kind = 'backlog'\nabove = 5\nsinks = 'webhook'", "sinks", "expected a list"),
        ("kind = 'backlog'\nabove = 5\nseverity = 'bad'", "severity", "expected critical, warning"),
        ("kind = 'backlog'\nabove = 5\nrepeat = '3s'", "repeat", "expected 0 (never), or at least"),
        ("kind = 'backlog'\nabove = 5\nname = ' x'", "name", "no space at either end"),
    ],
)  # fmt: skip
def test_a_wrong_rule_is_told_where_and_what(rule: str, path: str, expected: str) -> None:
    """One problem for one mistake."""
    [problem] = problems_of(
        f"[[alerts.sinks]]\nkind = 'webhook'\nurl = 'https://a/b'\n[[alerts.rules]]\n{rule}"
    )

    # The rule begins on line 4: a key that is not there is missed on that line.
    assert re.match(rf"jobd\.toml:[4-7]: alerts\.rules\[0\]\.{path}: ", problem)
    assert expected in problem


def test_all_problems_at_once_and_no_secret_among_them() -> None:
    """Addresses are secrets too."""
    problems = problems_of(
        """
        [alerts]
        evry = 3
        [[alerts.rules]]
        kind = "backlog"
        above = 1
        [[alerts.rules]]
        kind = "backlog"
        above = 2
        [[alerts.sinks]]
        kind = "slack"
        url = "hooks.example/T0P-S3CRET"
        [[alerts.sinks]]
        kind = "webhook"
        secret = 77
        [[alerts.sinks]]
        kind = "pagerduty"
        url = "ftp://S3CRET@x"
        [alerts.heartbeat]
        every = "30s"
        """
    )

    text = "\n".join(problems)
    assert len(problems) == 8
    assert "S3CRET" not in text
    assert "77" not in text
    assert "alerts.evry: unknown key; expected builtin, every, " in text
    assert "alerts.rules[1].name: 'backlog' is the name of alerts.rules[0] too" in text
    assert "alerts.sinks[0].url: no address; expected a URL" in text
    assert "alerts.sinks[1].url: not set" in text
    assert "alerts.sinks[2].url: ftp://...; expected a URL" in text
    assert "alerts.sinks[2].secret: not set; expected the routing key" in text
    assert "alerts.heartbeat.url: not set; expected a URL" in text


SINK = "[[alerts.sinks]]\nkind = 'webhook'\nurl = 'https://a/b'\n"


def test_with_a_sink_what_nobody_wants_to_miss_is_looked_at_by_itself() -> None:
    """Unless the file has a rule of that kind or name, or wants none of it."""
    assert [rule.name for rule in read(SINK).alerts.rules] == list(BUILTIN)
    assert read("").alerts.rules == []
    assert read("[alerts]\nbuiltin = false\n" + SINK).alerts.rules == []
    own = read(SINK + "[[alerts.rules]]\nkind = 'crash_loop'\nabove = 50\nname = 'mine'\n").alerts
    assert [rule.name for rule in own.rules if rule.kind == "crash_loop"] == ["mine"]
    assert len(own.rules) == len(BUILTIN)
    [down] = [rule for rule in own.rules if rule.kind == "redis_down"]
    assert (down.for_, down.severity) == (10.0, "critical")


@pytest.mark.parametrize("text", ["alerts = 3", "[alerts]\nrules = 3", "[alerts]\nsinks = [3]",
    "[alerts]\nheartbeat = 3", "[[alerts.rules]]\nkind = []", "[[alerts.rules]]\nkind = 3",
    "[[alerts.rules]]\nkind = 'backlog'\nabove = []\nsinks = [[1]]",
    "[[alerts.sinks]]\nkind = {}\nurl = 3\nname = []\ntimeout = 'x'",
])  # fmt: skip
def test_whatever_stands_there_is_a_problem_and_no_traceback(text: str) -> None:
    """Types of every kind in every place."""
    assert problems_of(text)
