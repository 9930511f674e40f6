"""Configurations as people, editors and accidents leave them: a whole one, broken by a seeded random.

Some are broken as text, some as the data they hold. Nothing here knows what jobd makes of them.
"""

from __future__ import annotations

import copy
import random
import tomllib
from collections.abc import Callable, Iterator
from typing import Any

import tomli_w

RAW = (
    "nan", "-inf", "1e999", "9223372036854775808", "-9223372036854775809", "9" * 5000, "0x" + "f" * 5000, "1e-400",
    "1979-05-27", "1979-05-27T07:32:00Z", "07:32:00", "1979-02-30", "[]", "{}", "[[[[[]]]]]", "''", "true", "-1", "0",
    "0.5", "'x'", '"\\u0000"', '"\\u001b[31m"', '"\\U0001F4A9"', '"a\\nb"', "'${HOME}'", "'${NOPE}'", "'${'",
    "'$${X}'", "{ min = 1, max = 4 }", "[1, 'two', 3.0]", "[" * 200 + "]" * 200, "'" + "x" * 70_000 + "'",
    "'" + "9" * 400 + "GB'", "'" + "9" * 400 + "s'", "'* * * * *'", "'99999w'", "'127.0.0.1:99999'", "'redis://:p@ss/w@h'",
    "'[::1]:x'", "'a..b:80'", "'https://[::1'", "'../../etc/passwd'", "'/dev/zero'", "'unix://'", "'%'", "'-5%'", "'nan%'",
    "'٣s'", "'1_000MB'", "{ kind = 'exponential', base = 'x', factor = nan }", "{ kind = 'fixed', base = '1s', cap = inf }",
    "{ max = 9223372036854775807, per = '1ms' }", "{ completed = { age = -1 } }", "{ until = 'ttl' }",
)  # fmt: skip
ODD = (
    0, -1, 2**63 - 1, 1.5, float("nan"), float("inf"), True, "", "x", "\x00", "\x1b[31m", "💩", "a\nb", " ", [], {}, [[]],
    [{}], ["a", "a"], {"a": {"b": {}}}, "${HOME}", "${NOPE}", "30s", "shop:app", "q" * 200, "ﬀ", "\u202e", "\ufeff",
)  # fmt: skip
CHARACTERS = "\x00\x01\x07\x1b\x7f\x85\u2028\ufeff\U0001f4a9\r\t \"'[]{}=#.,\\$é"
TABLES = ("[redis]", "[[redis]]", "[queues]", "[daemon.lease]", "[[schedules]]", "[alerts]", "[[alerts.rules]]",
    "[[alerts.heartbeat]]", "[web.bind]", "['']", "[queues.'']", "[queues.'a b']", '[queues."\\u0000"]', "[a.b.c.d]")  # fmt: skip


def mutant(whole: str, seed: int) -> bytes:
    """Break a configuration once or some times, always in the same way for the same seed."""
    chance = random.Random(seed)
    text = whole
    if chance.random() < 0.5:
        data = tomllib.loads(whole)
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            chance.choice(_OF_DATA)(data, chance)
        text = tomli_w.dumps(data)
        if chance.random() < 0.7:
            return text.encode()
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        text = chance.choice(_OF_TEXT)(text, chance)
    raw = text.encode("utf-8", "surrogatepass")
    if chance.random() < 0.05:
        place = chance.randrange(len(raw) + 1)
        raw = raw[:place] + chance.choice((b"\xff", b"\xc3", b"\xed\xa0\x80")) + raw[place:]
    return raw


def every_replacement(whole: str) -> Iterator[tuple[int, str]]:
    """Give the configuration with each key replaced by each odd value, one at a time.

    With the line that it is on, 0 where that is not known.
    """
    lines = whole.split("\n")
    for place, line in enumerate(lines):
        if " = " in line:
            for raw in RAW:
                changed = f"{line.partition(' = ')[0]} = {raw}"
                yield place + 1, "\n".join([*lines[:place], changed, *lines[place + 1 :]])
    data = tomllib.loads(whole)
    for table in _tables(data):
        for key, value in list(table.items()):
            for odd in ODD:
                table[key] = odd
                yield 0, tomli_w.dumps(data)
            table[key] = value


# --- the data ---


def _tables(data: Any) -> list[dict[str, Any]]:
    """List all tables, those in lists and tables too."""
    if isinstance(data, dict):
        return [data, *(found for each in data.values() for found in _tables(each))]
    if isinstance(data, list):
        return [found for each in data for found in _tables(each)]
    return []


def _any(data: Any, chance: random.Random) -> tuple[dict[str, Any], str] | None:
    table = chance.choice([each for each in _tables(data) if each] or [{}])
    return (table, chance.choice(list(table))) if table else None


def _delete(data: Any, chance: random.Random) -> None:
    if found := _any(data, chance):
        del found[0][found[1]]


def _rename(data: Any, chance: random.Random) -> None:
    if found := _any(data, chance):
        table, key = found
        place = chance.randrange(len(key) + 1)
        wrong = chance.choice((key[:place] + key[place + 1 :], f"{key}s", key.upper(), chance.choice(CHARACTERS), ""))  # fmt: skip
        table[wrong] = table.pop(key)


def _replace(data: Any, chance: random.Random) -> None:
    if found := _any(data, chance):
        found[0][found[1]] = copy.deepcopy(chance.choice(ODD))


def _swap(data: Any, chance: random.Random) -> None:
    one, other = _any(data, chance), _any(data, chance)
    if one and other:
        values = copy.deepcopy(one[0][one[1]]), copy.deepcopy(other[0][other[1]])
        other[0][other[1]], one[0][one[1]] = values


def _nest(data: Any, chance: random.Random) -> None:
    if found := _any(data, chance):
        deep: Any = found[0][found[1]]
        for _ in range(chance.choice((1, 3, 70))):
            deep = {"a": deep}
        found[0][found[1]] = deep


def _list(data: Any, chance: random.Random) -> None:
    if found := _any(data, chance):
        found[0][found[1]] = [
            copy.deepcopy(found[0][found[1]]) for _ in range(chance.choice((1, 2)))
        ]


_OF_DATA: tuple[Callable[[Any, random.Random], None], ...] = (
    _delete, _rename, _replace, _replace, _replace, _swap, _nest, _list,
)  # fmt: skip


# --- the text ---


def _value(text: str, chance: random.Random) -> str:
    """Put something else behind an equals sign."""
    lines = text.split("\n")
    places = [place for place, line in enumerate(lines) if " = " in line]
    if places:
        place = chance.choice(places)
        lines[place] = f"{lines[place].partition(' = ')[0]} = {chance.choice(RAW)}"
    return "\n".join(lines)


def _character(text: str, chance: random.Random) -> str:
    place = chance.randrange(len(text) + 1)
    return text[:place] + chance.choice(CHARACTERS) + text[place + chance.choice((0, 1)) :]


def _truncate(text: str, chance: random.Random) -> str:
    return text[: chance.randrange(len(text) + 1)]


def _lines(text: str, chance: random.Random) -> str:
    """Take a line out, double it, or move it elsewhere."""
    lines = text.split("\n")
    line = lines.pop(chance.randrange(len(lines)))
    for _ in range(chance.choice((0, 1, 2))):
        lines.insert(chance.randrange(len(lines) + 1), line)
    return "\n".join(lines)


def _table(text: str, chance: random.Random) -> str:
    lines = text.split("\n")
    lines.insert(chance.randrange(len(lines) + 1), chance.choice(TABLES))
    return "\n".join(lines)


def _dots(text: str, chance: random.Random) -> str:
    return f"a{'.a' * chance.choice((3, 70, 300))} = 1\n{text}"


_OF_TEXT: tuple[Callable[[str, random.Random], str], ...] = (
    _value, _value, _value, _character, _character, _truncate, _lines, _table, _dots,
)  # fmt: skip
