"""When a failed job runs again.

A strategy gives the delay in seconds before the next run, from the number of runs that failed so
far (1 after the first); a function of the application may do the same. Jitter spreads the retries of jobs that failed together, so that they do
not all come back at once ("full jitter", Brooker, Exponential Backoff and Jitter, 2015).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
from msgspec.structs import asdict, force_setattr

from jobd.core.durations import Duration, seconds, words
from jobd.core.errors import OptionError
from jobd.core.retry_function import BackoffUnusable, ByFunction, read_function
from jobd.core.suggest import nearest, one_of

Random = Callable[[], float]
"""Gives a number in [0, 1)."""


def _read_spans(strategy: msgspec.Struct, *names: str) -> None:
    """Turn durations into seconds once, where they were written."""
    for name in names:
        span = seconds(getattr(strategy, name), what=f"backoff {name}")
        force_setattr(strategy, name, span)


def _is_number(value: object) -> bool:
    """Python counts true and false among the numbers; who writes one of them means something else."""
    return isinstance(value, int | float) and not isinstance(value, bool)


class Fixed(msgspec.Struct, frozen=True):
    """The same delay each time. `Fixed("10s")`."""

    kind: ClassVar[str] = "fixed"
    base: Duration

    def __post_init__(self) -> None:
        _read_spans(self, "base")

    def delay(self, failures: int, random: Random) -> float:
        """Give the seconds to wait after `failures` failed runs."""
        del failures, random
        return seconds(self.base)


class Linear(msgspec.Struct, frozen=True):
    """base, 2 base, 3 base ... up to `cap`. `Linear("10s", cap="5m")`."""

    kind: ClassVar[str] = "linear"
    base: Duration
    cap: Duration = "10m"

    def __post_init__(self) -> None:
        _read_spans(self, "base", "cap")

    def delay(self, failures: int, random: Random) -> float:
        """Give the seconds to wait after `failures` failed runs."""
        del random
        return min(seconds(self.cap), seconds(self.base) * failures)


class Exponential(msgspec.Struct, frozen=True):
    """base, base·factor, base·factor² ... up to `cap`, each drawn from its upper `jitter` share.

    jitter 1.0 (the default, "full") draws from 0 to the delay, 0.2 from 80 % to 100 % of it, 0 not
    at all. `Exponential("2s", cap="10m")`.
    """

    kind: ClassVar[str] = "exponential"
    base: Duration = "5s"
    factor: float = 2.0
    cap: Duration = "10m"
    jitter: float = 1.0

    def __post_init__(self) -> None:
        _read_spans(self, "base", "cap")
        if not _is_number(self.factor) or not 1 <= self.factor <= 1000:
            raise OptionError(f"backoff factor: {self.factor!r}; expected a number from 1 to 1000")
        if not _is_number(self.jitter) or not 0 <= self.jitter <= 1:
            raise OptionError(f"backoff jitter: {self.jitter!r}; expected a number from 0 to 1")

    def delay(self, failures: int, random: Random) -> float:
        """Give the seconds to wait after `failures` failed runs."""
        # The exponent is bounded so that a job with many attempts cannot overflow a float.
        whole = seconds(self.base) * self.factor ** min(failures - 1, 100)
        return min(seconds(self.cap), whole) * (1 - self.jitter * random())


Backoff = Fixed | Linear | Exponential | ByFunction

DEFAULT_BACKOFF = Exponential("5s", cap="10m")

_KINDS: dict[str, type[Fixed] | type[Linear] | type[Exponential]] = {
    "fixed": Fixed,
    "linear": Linear,
    "exponential": Exponential,
}


def wait_after(
    backoff: Backoff, failures: int, error: BaseException | None, random: Random
) -> tuple[float, str]:
    """Give the seconds to wait after `failures` failed runs, and a note for the job's history.

    The note is '' unless the application's function was of no use: then it says why, and the wait
    is the default's, because a job must not be lost for it, nor come back without a pause.
    """
    if not isinstance(backoff, ByFunction):
        return backoff.delay(failures, random), ""
    try:
        return backoff.delay(failures, error), ""
    except BackoffUnusable as why:
        default = f"{DEFAULT_BACKOFF.kind} from {words(seconds(DEFAULT_BACKOFF.base))}"
        note = f"backoff function {backoff.name}: {why}; waited by the default, {default}"
        return DEFAULT_BACKOFF.delay(failures, random), note


def read_backoff(value: object, *, what: str = "backoff") -> Backoff:
    """Read a strategy from code or from TOML/JSON. Raises OptionError."""
    if isinstance(value, Fixed | Linear | Exponential | ByFunction):
        return value
    if callable(value) and not isinstance(value, type):
        return read_function(value, what=what)
    if isinstance(value, dict):
        settings: dict[str, Any] = dict(value)
        kind = settings.pop("kind", None)
        if not isinstance(kind, str) or kind not in _KINDS:
            raise OptionError(
                f"{what}.kind: {kind!r}; expected one of {one_of(_KINDS)}"
                + nearest(str(kind), _KINDS)
            )
        known = _KINDS[kind].__struct_fields__
        for name in settings:
            if name not in known:
                raise OptionError(
                    f"{what}.{name}: unknown; expected {one_of(known)}" + nearest(name, known)
                )
        try:
            return _KINDS[kind](**settings)
        except TypeError as error:
            raise OptionError(f"{what}: {value!r}; expected kind and base") from error
    raise OptionError(
        f"{what}: {value!r}; expected Fixed(...), Linear(...), Exponential(...), a function "
        "or { kind = 'exponential', base = '2s', cap = '10m' }"
    )


def write_backoff(backoff: Backoff, *, what: str = "backoff") -> dict[str, object]:
    """Write a strategy as `read_backoff` reads it. Raises OptionError for a function."""
    if isinstance(backoff, ByFunction):
        raise OptionError(
            f"{what}: the function {backoff.name}; expected Fixed(...), Linear(...) or "
            "Exponential(...), since a call's options travel as JSON; give the task the function"
        )
    return {"kind": backoff.kind, **asdict(backoff)}
