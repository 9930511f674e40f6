"""A task's parameters: checked where it is called, converted where it runs.

Arguments travel as one JSON object by parameter name. The worker decodes it straight into a
generated struct, which converts and checks in C, and spreads that over the call.
"""

from __future__ import annotations

import inspect
import operator
import typing
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from jobd.client.adding import CALL_OPTIONS
from jobd.client.job import Job
from jobd.client.payload import encode_payload
from jobd.core.errors import DeclarationError
from jobd.core.suggest import nearest, one_of

_EMPTY = inspect.Parameter.empty
_NO_KEYWORDS: dict[str, Any] = {}
Spread = Callable[[bytes], tuple[tuple[Any, ...], dict[str, Any]]]


class Signature:
    """What a task function takes. Raises DeclarationError for what cannot work."""

    def __init__(self, function: Callable[..., Any], *, name: str) -> None:
        self._what = f"task {name!r}"
        if not inspect.isroutine(function):
            raise DeclarationError(
                f"{self._what}: {type(function).__name__} is no function; expected a function or "
                "method; wrap it in one"
            )
        try:
            hints = typing.get_type_hints(function, include_extras=True)
        except (NameError, AttributeError, TypeError, SyntaxError) as error:
            raise DeclarationError(
                f"{self._what}: an annotation cannot be resolved ({error}); expected names that "
                "exist when the task is declared; import them above it, outside TYPE_CHECKING"
            ) from error
        parameters = list(inspect.signature(function).parameters.values())
        self.wants_job = (
            bool(parameters)
            and parameters[0].kind is not inspect.Parameter.KEYWORD_ONLY
            and hints.get(parameters[0].name) is Job
        )
        if self.wants_job:
            parameters = parameters[1:]
        for parameter in parameters:
            self._refuse(parameter, hints)
        self._parameters = parameters
        self._positional = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
        self.names = frozenset(p.name for p in parameters)
        self._required = frozenset(p.name for p in parameters if p.default is _EMPTY)
        self._optional = bool(self.names - self._required)
        self._decoder = self._make_decoder(hints)
        self.decode = self._make_spread()
        """Reads arguments, converted to the annotations: (args, kwargs). Raises msgspec.DecodeError."""

    def _refuse(self, parameter: inspect.Parameter, hints: dict[str, Any]) -> None:
        hint = hints.get(parameter.name)
        if hint is Job or Job in typing.get_args(hint):
            raise DeclarationError(
                f"{self._what}: parameter {parameter.name!r} is annotated Job; expected the context "
                "as the first positional parameter only, annotated `Job`; move it to the front"
            )
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise DeclarationError(
                f"{self._what}: parameter {'*' + parameter.name!r} takes any number of arguments; "
                "expected named parameters, since arguments travel by name; use a list or a dict"
            )

    def _make_decoder(self, hints: dict[str, Any]) -> msgspec.json.Decoder[Any]:
        fields: list[Any] = []
        for p in self._parameters:
            kind = hints.get(p.name, Any)
            if p.default is _EMPTY:
                fields.append((p.name, kind))
            else:
                fields.append((p.name, kind | msgspec.UnsetType, msgspec.UNSET))
        try:
            struct = msgspec.defstruct(
                "Arguments", fields, kw_only=True, forbid_unknown_fields=True
            )
            decoder = msgspec.json.Decoder(struct)
            self._refuse_custom(struct)
        except TypeError as error:
            raise DeclarationError(
                f"{self._what}: its parameters cannot be read from JSON ({error}); expected types "
                "such as int, str, datetime, UUID, Decimal, dataclasses, list and dict"
            ) from error
        return decoder

    def _refuse_custom(self, struct: type) -> None:
        info = msgspec.inspect.type_info(struct)
        for field in getattr(info, "fields", ()):
            if isinstance(field.type, msgspec.inspect.CustomType):
                raise TypeError(f"{field.name}: {field.type.cls!r}")

    def encode(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        """Write a call's arguments. Raises TypeError for a call the function would refuse."""
        if args:
            if len(args) > len(self._positional):
                raise TypeError(
                    f"{self._what}: {len(args)} positional arguments; expected at most "
                    f"{len(self._positional)}"
                )
            by_position = dict(zip(self._positional, args, strict=False))
            if twice := by_position.keys() & kwargs.keys():
                raise TypeError(f"{self._what}: {sorted(twice)[0]!r} is given twice")
            kwargs = by_position | kwargs
        if not kwargs.keys() <= self.names:
            self.refuse_unknown(kwargs)
        if not self._required <= kwargs.keys():
            missing = ", ".join(sorted(self._required - kwargs.keys()))
            raise TypeError(f"{self._what}: missing {missing}; expected {one_of(self._required)}")
        return encode_payload(kwargs, what=f"arguments of {self._what}")

    def takes(self, names: Iterable[str]) -> bool:
        """Say whether all of these are parameters."""
        return self.names.issuperset(names)

    def refuse_unknown(self, names: Iterable[str]) -> None:
        """Raise TypeError for the first name that is no parameter, with the nearest that is."""
        for wrong in sorted(set(names) - self.names):
            hint = nearest(wrong, self.names)
            if not hint and wrong in CALL_OPTIONS:
                hint = f"; it is an option: write `using({wrong}=...).enqueue(...)`"
            raise TypeError(
                f"{self._what}: unknown argument {wrong!r}; expected {one_of(self.names)}{hint}"
            )

    def _make_spread(self) -> Spread:
        """Choose how a decoded struct becomes a call: most tasks need one attribute getter."""
        decode = self._decoder.decode
        names = [p.name for p in self._parameters]
        if self._optional or len(names) != len(self._positional):
            return self._spread_any
        if len(names) > 1:
            get: Callable[[Any], Any] = operator.attrgetter(*names)
            return lambda raw: (get(decode(raw)), _NO_KEYWORDS)
        if names:
            get = operator.attrgetter(names[0])
            return lambda raw: ((get(decode(raw)),), _NO_KEYWORDS)
        return self._spread_any

    def _spread_any(self, raw: bytes) -> tuple[tuple[Any, ...], dict[str, Any]]:
        arguments = self._decoder.decode(raw)
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for p in self._parameters:
            value = getattr(arguments, p.name)
            if value is msgspec.UNSET:
                value = p.default
            if p.kind is p.KEYWORD_ONLY:
                kwargs[p.name] = value
            else:
                args.append(value)
        return tuple(args), kwargs
