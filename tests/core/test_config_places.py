"""The line of a key, whatever a file looks like: TOML's own library says where it is."""

from __future__ import annotations

import tomllib

import pytest

from jobd.core.config import load
from jobd.core.config_places import Places
from jobd.core.errors import ConfigError

TABLES = """\
# a comment with queues.email.timeout = "1s" in it
app = "shop.jobs:app"

[queues]   # of all kinds
"a.b" = { concurrency = 3, backoff = { kind = "fixed", base = "1s" } }
[queues.a]
c = 1
[queues.email]

# before it
  timeout   =   "60s"
retain.completed.age = "1h"
"""

LISTS = '''\
[[schedules]]
name = "one"
args = { text = """
[[schedules]]
cron = 1
""", more = 1 }
[[schedules]]
name = "two"
cron = "x"
[daemon]
queues = [
  "a",     # the first
  # [daemon.log]
  "b",
  "c", "d" ]
[alerts]
rules = [ { kind = "dead" }, { kind = "stuck" } ]
sinks = [
  { kind = "slack", url = "x" },
  { kind = "webhook", url = "y" },
]
'''


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        (TABLES, "app", 2),
        (TABLES, "queues", 4),
        (TABLES, "queues.a.b", 5),
        (TABLES, "queues.a.b.concurrency", 5),
        (TABLES, "queues.a.b.backoff.kind: 'x'; expected", 5),
        (TABLES, "queues.a", 6),
        (TABLES, "queues.a.c", 7),
        (TABLES, "queues.email", 8),
        (TABLES, "queues.email.timeout", 11),
        (TABLES, "queues.email.retain", 12),
        (TABLES, "queues.email.retain.completed.age", 12),
        (TABLES, "queues.email.nothing", 8),
        (TABLES, "queues.nothing.at.all", 4),
        (TABLES, "nothing", 1),
        (LISTS, "schedules[0]", 1),
        (LISTS, "schedules[0].name", 2),
        (LISTS, "schedules[0].task: not set", 1),
        (LISTS, "schedules[0].args", 3),
        (LISTS, "schedules[1].args", 7),
        (LISTS, "schedules[1].cron", 9),
        (LISTS, "schedules[7].args", 1),
        (LISTS, "daemon.queues", 11),
        (LISTS, "daemon.queues[0]", 12),
        (LISTS, "daemon.queues[1]", 14),
        (LISTS, "alerts.rules[1].kind", 17),
        (LISTS, "alerts.sinks[0].url", 19),
        (LISTS, "alerts.sinks[1].url", 20),
    ],
)
def test_a_key_has_its_line(text: str, path: str, line: int) -> None:
    """In tables, inline tables, lists over many lines; not in comments and texts."""
    assert Places("f", text, tomllib.loads(text)).line(path) == line


def test_a_file_is_named_where_there_is_no_text() -> None:
    """What a flag said has no line."""
    assert Places("f").at("app") == "f: app"
    assert Places("f", "app = 1", {"app": 1}).at("app") == "f:1: app"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = 1\nb = \n", "f:2: not TOML: Invalid value"),
        ("a = 1\n\n\n[x", "f:4: not TOML: Expected ']' at the end of a table declaration"),
        ("a = 1\na = 2\nb = 3", "f:2: not TOML: Cannot overwrite a value"),
        ("a = '''\n\n\n", "f:4: not TOML: Expected \"'''\", at the end of the file"),
        ("\n\na = " + "[" * 3000 + "]" * 3000 + "\nb = 1", "f:3: not TOML: nested too deeply"),
        ("\na = " + "9" * 5000 + "\nb = 1\n", "f:2: not TOML: Exceeds the limit"),
        (
            "\na" + ".a" * 100 + " = 1",
            "f:2: a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a....: nested deeper",
        ),
        (
            "\na" + ".a" * 100_000 + " = 1",
            "f:2: a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a....: nested",
        ),
        (
            "\n[[ a" + ' . "a"' * 100_000 + "]]",
            'f:2: a . "a" . "a" . "a" . "a" . "a" . "a" . ...: nested',
        ),
        (
            "\nx = {b=1, 'a'" + ".a" * 100_000 + " = 1}",
            "f:2: 'a'.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a....: nested",
        ),
        ("\n[a]\nb = 1\nc = " + "[" * 80 + "]" * 80, "f:4: a.c[0][0]"),
    ],
)
def test_what_is_not_toml_has_its_line_too(text: str, said: str) -> None:
    """Also where the library gives up without naming one."""
    with pytest.raises(ConfigError) as refused:
        load(text, "f")

    [problem] = refused.value.problems
    assert problem.startswith(said)


def test_dots_in_a_text_are_no_key() -> None:
    """Nor in what is said about it."""
    text = f'# {"a." * 999}\napp = "{"a." * 999}a:app"\n'
    with pytest.raises(ConfigError) as refused:
        load(text + "x = 1\n", "f")
    assert not [problem for problem in refused.value.problems if "nested" in problem]


def test_many_problems_in_a_long_file_have_their_lines() -> None:
    """Of a hundred queues each; also in a file of thousands of lines."""
    text = "".join(f"[queues.q{n}]\nconcurrency = 0\n\n" for n in range(100))

    with pytest.raises(ConfigError) as refused:
        load(text, "f")

    assert [problem.partition(" ")[0] for problem in refused.value.problems] == [
        f"f:{3 * n + 2}:" for n in range(100)
    ]
    long = text + "# nothing\n" * 30_000
    places = Places("f", long, tomllib.loads(long))
    assert places.line("queues.q99.concurrency") == 299


def test_no_line_is_looked_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """What may be read in search of lines is bounded for all searches; then none is named, and none
    is wrong."""
    text = "".join(f"[queues.q{n}]\nnumbers = [\n1,\n2,\n]\n" for n in range(2000))
    places = Places("f", text, tomllib.loads(text), most_read=500_000)
    characters = 0
    loads = tomllib.loads

    def counted(text: str) -> dict[str, object]:
        nonlocal characters
        characters += len(text)
        return loads(text)

    monkeypatch.setattr(tomllib, "loads", counted)
    lines = [places.line(f"queues.q{n}.numbers[1]") for n in range(2000)]

    assert characters <= 500_000
    assert lines[0] == 4
    assert lines[-1] is None
    assert all(line in (None, 5 * n + 4) for n, line in enumerate(lines))
    assert places.at("queues.q1999.numbers[1]: x") == "f: queues.q1999.numbers[1]: x"


def test_of_very_many_problems_the_first_are_told() -> None:
    """And how many there are beside: nobody reads thousands, and each takes time to place."""
    text = "[queues]\n" + "".join(f"q{n} = {{ processes = 'x' }}\n" for n in range(2000))

    with pytest.raises(ConfigError) as refused:
        load(text, "f")

    *told, last = refused.value.problems
    assert [each.partition(": ")[0] for each in told] == [f"f:{n + 2}" for n in range(200)]
    assert last == "f: 1800 more problems; correct these first, and check again"
