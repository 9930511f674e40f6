"""What a configuration draws from elsewhere: ${NAME} of the environment, and secrets in files.

Invariant: what was drawn is never shown. A drawn text writes itself, in a message, as the file has it;
it becomes a plain text when it is read. What cannot be had stands in its place as Unusable, and is a
problem where it is read. Used by jobd.core.config; the world comes in as Outside.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from jobd.core.errors import Absent

_PIECE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\{")
_LEAST, _MOST = -(2**63), 2**63 - 1
_SHOWN = 120
# Shorter texts are words of the message itself, and no secrets.
_LEAST_HIDDEN = 4


class Secret(NamedTuple):
    """What a file of its own holds, and where it was found."""

    text: str
    place: str


class Outside(NamedTuple):
    """The world as a configuration sees it. `secret` reads a file by its name; raises OptionError."""

    environment: Mapping[str, str]
    secret: Callable[[str], Secret]


def _nothing(name: str) -> Secret:
    raise Absent(f"{name!r}: no such file; expected one that holds the value")


NOWHERE = Outside({}, _nothing)


class Drawn(str):
    """A text that was drawn from elsewhere. Its repr is what may be shown."""

    __slots__ = ("variables", "written")
    written: str
    variables: tuple[str, ...]

    def __repr__(self) -> str:
        return self.written


class Unusable(NamedTuple):
    """Stands for a value that cannot be had. `absent`: it may be there for the daemon."""

    why: str
    absent: bool

    def __repr__(self) -> str:
        return "a value that cannot be had"


def drawn(text: str, written: str, variables: tuple[str, ...] = ()) -> Drawn:
    """Make a text that shows itself as `written`."""
    made = Drawn(text)
    made.written = written
    made.variables = variables
    return made


def draw(data: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Give the decoded file with every ${NAME} replaced, save in the arguments of schedules."""
    found = {key: _draw(value, environment) for key, value in data.items()}
    if isinstance(given := data.get("schedules"), list):
        for schedule, written in zip(found["schedules"], given, strict=True):
            if isinstance(written, dict) and "args" in written:
                schedule["args"] = _draw(written["args"], None)
    return found


def plain(value: Any) -> Any:
    """Give a value that has been read as what JSON knows: drawn texts are texts like any other."""
    if isinstance(value, Drawn):
        return str(value)
    if type(value) is dict:
        return {key: plain(item) for key, item in value.items()}
    if type(value) is list:
        return [plain(item) for item in value]
    return value


def unquoted(message: str, value: object) -> str:
    """Give a message about a value with what was drawn, all of it, as it is written."""
    for each in _drawn_in(value):
        if len(each) >= _LEAST_HIDDEN:
            message = message.replace(repr(str(each)), repr(each)).replace(str(each), repr(each))
    return message


def _drawn_in(value: object) -> Iterator[Drawn]:
    if isinstance(value, Drawn):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _drawn_in(each)


def unusable(value: object, path: str = "") -> Iterator[tuple[str, Unusable]]:
    """Find what cannot be had in a value: where below it, and why."""
    if isinstance(value, Unusable):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from unusable(item, f"{path}.{key}")
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from unusable(item, f"{path}[{place}]")


def _draw(value: Any, environment: Mapping[str, str] | None) -> Any:
    """Replace in one value. Without an environment texts stay as they are."""
    if isinstance(value, dict):
        return {key: _draw(item, environment) for key, item in value.items()}
    if isinstance(value, list):
        return [_draw(item, environment) for item in value]
    if isinstance(value, int) and not _LEAST <= value <= _MOST:
        return Unusable("a number of more than 64 bits; expected one that fits", absent=False)
    if isinstance(value, str) and environment is not None and "${" in value:
        return _text(value, environment)
    return value


def _text(value: str, environment: Mapping[str, str]) -> Drawn | Unusable:
    names: list[str] = []
    problems: list[Unusable] = []

    def replaced(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        if match[1] is None:
            why = "'${' without a name and '}'; expected ${NAME}; write $${ for the two characters"
            problems.append(Unusable(why, absent=False))
            return ""
        names.append(match[1])
        given = environment.get(match[1])
        if given is None:
            problems.append(Unusable(_unset(match[1]), absent=True))
        elif not given.isascii() and not _is_text(given):
            why = f"${{{match[1]}}} is not UTF-8 text; expected text in the environment"
            problems.append(Unusable(why, absent=True))
        return given or ""

    text = _PIECE.sub(replaced, value)
    if problems:
        lasting = [each for each in problems if not each.absent]
        return (lasting or problems)[0]
    shown = value if len(value) <= _SHOWN else f"{value[:_SHOWN]}..."
    return drawn(text, repr(shown), tuple(names))


def _unset(name: str) -> str:
    return (
        f"${{{name}}} is not set; expected a variable of that name in the environment; "
        "set it, or write $${ for the two characters"
    )


def _is_text(given: str) -> bool:
    try:
        given.encode()
    except UnicodeEncodeError:
        return False
    return True
