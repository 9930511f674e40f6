"""A back-off that the application wrote as a function: checked where it is declared, asked later.

Invariant: whatever the function does - raise, return nonsense - the job is not lost for it: `delay`
gives seconds or raises BackoffUnusable, and nothing else. Read and asked by jobd.core.retry.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import ClassVar

import msgspec

from jobd.core.durations import seconds
from jobd.core.errors import OptionError

MAX_SAID = 300


class BackoffUnusable(Exception):
    """The application's function gave no delay; the text says why. Never leaves jobd.core.retry."""


class ByFunction(msgspec.Struct, frozen=True):
    """`function(failures)`, or `function(failures, error)`, gives the duration to wait.

    `failures` is the number of runs that failed so far, `error` what the last one raised: None
    after one that was ended for its timeout.
    """

    kind: ClassVar[str] = "function"
    function: Callable[..., object]
    wants_error: bool
    name: str

    def delay(self, failures: int, error: BaseException | None) -> float:
        """Give the seconds to wait after `failures` failed runs. Raises BackoffUnusable."""
        try:
            given = self.function(failures, error) if self.wants_error else self.function(failures)
        except BaseException as failure:  # user code: it must not cost the job
            raise BackoffUnusable(f"raised {_in_words(failure)}") from failure
        try:
            return seconds(given, what="it returned")
        except OptionError as refused:
            raise BackoffUnusable(_bounded(str(refused))) from refused
        except BaseException as failure:  # user code: the repr of what it returned
            raise BackoffUnusable(f"returned what raised {_in_words(failure)}") from failure


def read_function(function: Callable[..., object], *, what: str) -> ByFunction:
    """Take a function for a back-off. Raises OptionError for one that could never be asked."""
    if any(map(inspect.iscoroutinefunction, (function, type(function).__call__))):
        raise OptionError(f"{what}: an async function; expected a plain one; write def, not async")
    named = function if hasattr(function, "__qualname__") else type(function)
    name = f"{named.__module__}.{named.__qualname__}"
    count = _required(function)
    if count not in (1, 2):
        raise OptionError(
            f"{what}: {name} with {count or 'no'} required parameters; expected a "
            "function of (failures) or of (failures, error); write it as def wait(failures, error)"
        )
    return ByFunction(function, count == 2, name)


def _required(function: Callable[..., object]) -> int:
    """Count the parameters that have to be given; 0 where it cannot be known or done by position."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return 0
    required = [
        p
        for p in parameters
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    return 0 if any(p.kind is p.KEYWORD_ONLY for p in required) else len(required)


def _in_words(error: BaseException) -> str:
    try:
        return _bounded(f"{type(error).__name__}: {error}")
    except BaseException:  # noqa: BLE001  user code: an exception whose __str__ raises
        return type(error).__name__


def _bounded(text: str) -> str:
    if len(text) > MAX_SAID:  # what was expected stands at the end
        text = f"{text[: MAX_SAID // 2]} ... {text[-MAX_SAID // 2 :]}"
    # It goes into a JSON record: UTF-8 must be able to hold it.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
