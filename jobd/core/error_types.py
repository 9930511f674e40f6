"""Sets of exception types: which errors are tried again, and which are not.

Types match as they do in an `except` clause, with their subclasses. In code they are types, so that
a wrong name is an error where it is written; the options of a call travel to the worker as the
types' full names, which are compared with those of the error's classes: nothing is imported because
a record in Redis says so. Read by jobd.core.options, asked by jobd.core.verdict.
"""

from __future__ import annotations

import builtins

import msgspec

from jobd.core.errors import OptionError
from jobd.core.raised import Asked
from jobd.core.suggest import nearest

_EXAMPLE = "expected exception types, as in (TimeoutError, ConnectionError)"
_BUILT_IN = tuple(
    name
    for name, found in vars(builtins).items()
    if isinstance(found, type) and issubclass(found, BaseException)
)


class ErrorTypes(msgspec.Struct, frozen=True):
    """Some types, by themselves or by their full names."""

    types: tuple[type[BaseException], ...] = ()
    names: tuple[str, ...] = ()

    def holds(self, error: BaseException) -> bool:
        """Whether an `except` of these would catch it."""
        return any(
            any(base is known for known in self.types) or full_name(base) in self.names
            for base in type(error).__mro__
        )

    def found_in(self, error: BaseException) -> BaseException | None:
        """Give the error if it is one of these, or the first such member of an exception group."""
        line = [error]
        while line:
            if self.holds(one := line.pop()):
                return one
            if isinstance(one, BaseExceptionGroup):
                line += reversed(one.exceptions)
        return None

    def not_covered(self, error: BaseException) -> BaseException | None:
        """Give the error if it is none of these; of an exception group, the first such member."""
        line = [error]
        while line:
            if self.holds(one := line.pop()):
                continue
            if not isinstance(one, BaseExceptionGroup):
                return one
            line += reversed(one.exceptions)
        return None


def refusal(
    error: BaseException, *, retry_on: ErrorTypes | None, give_up_on: ErrorTypes | None
) -> str:
    """Say why an error is not to be tried again; '' when it is. What is given up on goes first."""
    if give_up_on is not None and (found := give_up_on.found_in(error)) is not None:
        return f"not tried again: {type(found).__name__} is in give_up_on"
    if retry_on is not None and (found := retry_on.not_covered(error)) is not None:
        return f"not tried again: {type(found).__name__} is not in retry_on"
    return ""


def full_name(kind: type) -> str:
    """Name a class so that another process knows it: module and name, built-in ones bare."""
    return kind.__qualname__ if kind.__module__ == "builtins" else _dotted(kind)


def read_error_types(value: object, *, what: str, by_name: bool = False) -> ErrorTypes:
    """Read a type or several. `by_name`: full names, as a call's options travel. Raises OptionError."""
    given = list(value) if isinstance(value, tuple | list | set | frozenset) else [value]
    if by_name:
        if all(isinstance(item, str) for item in given):
            return ErrorTypes(names=tuple(map(str, given)))
        raise OptionError(f"{what}: {value!r}; expected a list of names")
    return ErrorTypes(types=tuple(_type(item, what) for item in given))


def write_error_types(chosen: ErrorTypes, *, what: str) -> list[str]:
    """Write types as full names. Raises OptionError for one that no other process knows by it."""
    for kind in chosen.types:
        if kind.__module__ == "__main__" or "<locals>" in kind.__qualname__:
            raise OptionError(
                f"{what}: {_dotted(kind)}; expected a type that workers know by the same name; "
                "define it at the top of a module that both sides import, or name it on the task"
            )
    return [*chosen.names, *map(full_name, chosen.types)]


def _type(item: object, what: str) -> type[BaseException]:
    if isinstance(item, str):
        raise OptionError(f"{what}: {item!r}, a text; {_EXAMPLE}{nearest(item, _BUILT_IN)}")
    if not isinstance(item, type):
        raise OptionError(f"{what}: {item!r}; {_EXAMPLE}, without parentheses after each")
    if not issubclass(item, BaseException):
        raise OptionError(f"{what}: {_dotted(item)}, which is no exception; {_EXAMPLE}")
    if issubclass(item, Asked):
        raise OptionError(
            f"{what}: {item.__name__}; expected errors; {item.__name__} says itself what is to "
            "happen: leave it out"
        )
    return item


def _dotted(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
