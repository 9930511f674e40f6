"""The kinds of values a configuration has: each function reads one, or says what was expected.

All raise OptionError. Used by jobd.core.config, and for the same values given as flags.
"""

from __future__ import annotations

from collections.abc import Callable

from jobd.core.addresses import split_address
from jobd.core.durations import seconds
from jobd.core.errors import OptionError
from jobd.core.limits import read_limits
from jobd.core.names import check_name
from jobd.core.options import MOST_CONCURRENCY, read_run_options
from jobd.core.redis_urls import read_redis_url
from jobd.core.sizes import size
from jobd.core.suggest import nearest, one_of

SHORTEST_LEASE = 1.0
LEAST_MEMORY = 1000**2
MOST_MEMORY = 1000**5


def text(value: object) -> str:
    """Read a text that is not empty."""
    if not isinstance(value, str) or not value:
        raise OptionError(f"{value!r}; expected a text")
    if not value.isprintable():
        raise OptionError(f"{value!r:.200}; expected a text without control characters")
    return value


def address(value: object) -> str:
    """Read where to listen: host:port. Port 0, any that is free, would be known to nobody."""
    given = text(value)
    try:
        host, port = split_address(given)
        host.encode("idna")
    except ValueError as error:
        raise OptionError(
            f"{value!r}; expected host:port, as in '127.0.0.1:9180' or '[::1]:9180'"
        ) from error
    if not port:
        raise OptionError(
            f"{value!r}: nobody would know which port; expected one from 1 to 65535, as in "
            f"'{given.rpartition(':')[0]}:9180'"
        )
    return given


def flag(value: object) -> bool:
    """Read true or false."""
    if isinstance(value, bool):
        return value
    raise OptionError(f"{value!r}; expected true or false")


def name(what: str) -> Callable[[object], str]:
    """Read a name of jobd's alphabet."""
    return lambda value: check_name(value, what=what)


def queue_names(value: object) -> list[str]:
    """Read a list of queues to serve, each once."""
    if not isinstance(value, list) or not value:
        raise OptionError(
            f"{value!r}; expected a list of queue names, as in ['email', 'reports']; "
            "leave it out to serve all"
        )
    names = [check_name(item, what="queues") for item in value]
    if twice := sorted({item for item in names if names.count(item) > 1}):
        raise OptionError(f"{twice[0]!r}, named twice; expected each queue once; drop one")
    return names


def target(value: object) -> str:
    """Read where an application is: 'module:attribute'."""
    if isinstance(value, str):
        module, _, attribute = value.partition(":")
        parts = [*module.split("."), *attribute.split(".")]
        if all(part.isidentifier() for part in parts):
            return value
    raise OptionError(f"{value!r}; expected module:attribute, as in 'shop.jobs:app'")


def redis_url(value: object) -> str:
    """Read where Redis is. The value is never shown: it may hold a password."""
    if not isinstance(value, str) or not value:
        raise OptionError("no text; expected an address, as in 'redis://127.0.0.1:6379/0'")
    url = value
    if not url.isprintable():
        raise OptionError("control characters; expected none; write them as in %0A")
    read_redis_url(url)
    return url


def span(what: str, *, least: float = 0.0) -> Callable[[object], float]:
    """Read a duration, as seconds."""

    def read(value: object) -> float:
        found = seconds(value, what=what)
        if found < least:
            raise OptionError(f"{value!r}; expected at least {least:g}s")
        return found

    return read


def word(*words: str) -> Callable[[object], str]:
    """Read one of some words."""

    def read(value: object) -> str:
        if isinstance(value, str) and value in words:
            return value
        raise OptionError(f"{value!r}; expected {one_of(words)}{nearest(str(value), words)}")

    return read


def span_or_never(what: str, *, least: float) -> Callable[[object], float]:
    """Read a duration, as seconds; 0 is never."""

    def read(value: object) -> float:
        found = seconds(value, what=what)
        if 0 < found < least:
            raise OptionError(f"{value!r}; expected 0 (never), or at least {least:g}s")
        return found

    return read


def memory(what: str) -> Callable[[object], int]:
    """Read an amount of memory, as bytes; 0 is no limit."""

    def read(value: object) -> int:
        found = size(value, what=what)
        if found == 0 or LEAST_MEMORY <= found <= MOST_MEMORY:
            return found
        hint = "; a plain number is bytes" if isinstance(value, int) else ""
        raise OptionError(f"{value!r}; expected 0 (no limit), or 1MB to 1000TB{hint}")

    return read


def whole(least: int, most: int, hint: str = "") -> Callable[[object], int]:
    """Read a whole number between two."""

    def read(value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        raise OptionError(f"{value!r}; expected a whole number from {least} to {most}{hint}")

    return read


def concurrency(value: object) -> int:
    """Read how many jobs a process runs at once."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_CONCURRENCY:
        return value
    hint = ""
    if value == 0:
        hint = "; to serve the queue elsewhere only, write processes = 0"
    elif isinstance(value, int) and value > MOST_CONCURRENCY:
        hint = "; for more, raise `processes`"
    raise OptionError(f"{value!r}; expected a whole number from 1 to {MOST_CONCURRENCY}{hint}")


def run_option(option: str) -> Callable[[object], object]:
    """Check one run option of a queue; it stays as written, workers read it."""
    return _as_written(option, read_run_options)


def limit(option: str) -> Callable[[object], object]:
    """Check one limit of a queue; it stays as written, workers read it."""
    return _as_written(option, read_limits)


def _as_written(option: str, reader: Callable[..., object]) -> Callable[[object], object]:
    def read(value: object) -> object:
        try:
            reader({option: value}, what="")
        except OptionError as error:
            raise OptionError(str(error).removeprefix(": ")) from error
        return value

    return read
