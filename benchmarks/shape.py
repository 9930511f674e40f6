"""The sizes of what jobd sends to add one job, seen with MONITOR. Used by measures/adding.py.

Why: the bar for adding compares with a bare EVALSHA *of the same size*, and a size written down
here would go stale the day the script changes.
"""

import re
from dataclasses import dataclass

from benchmarks.bench import Bench
from benchmarks.systems.base import Order, System

WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"')
ESCAPE = re.compile(rb"\\(?:x[0-9a-f]{2}|.)")


@dataclass(frozen=True, slots=True)
class Shape:
    """Lengths in bytes of the keys and the arguments of one EVALSHA."""

    keys: tuple[int, ...]
    args: tuple[int, ...]

    def as_json(self) -> dict[str, list[int]]:
        return {"keys": list(self.keys), "args": list(self.args)}

    def text(self) -> str:
        size = sum(self.keys) + sum(self.args)
        return f"{len(self.keys)} keys and {len(self.args)} arguments, {size} bytes"


#: Used only where jobd cannot be asked: an id, a task name and the payload of this suite.
GUESS = Shape(keys=(60, 30, 30, 30), args=(36, 4, 55, 13, 1, 36))


def of_adding(bench: Bench, system: System) -> Shape | None:
    """The largest EVALSHA that one added job sends; None when there is none, or no such system."""
    if system.missing() is not None:
        return None
    with bench.site(bench.server) as site, bench.server.client.monitor() as monitor:
        bench.produce(system, site, Order(kind="fill", task="noop", count=1))
        bench.produce(system, site, Order(kind="single", task="noop", count=1))
        bench.server.client.echo("the end")
        connection = monitor.connection
        assert connection is not None, "monitor() holds one while its block is open"
        shapes = []
        while b"the end" not in (line := bytes(connection.read_response(disable_decoding=True))):
            words = [_plain(word) for word in WORD.findall(line)]
            if b" lua] " not in line and words[0].lower() == b"evalsha":
                shapes.append(_shape(words))
    return max(shapes, key=lambda shape: sum(shape.args), default=None)


def _plain(word: bytes) -> bytes:
    """A word of MONITOR without its escapes; only its length is used."""
    return ESCAPE.sub(b"?", word)


def _shape(words: list[bytes]) -> Shape:
    keys = int(words[2])
    lengths = tuple(len(word) for word in words[3:])
    return Shape(lengths[:keys], lengths[keys:])
