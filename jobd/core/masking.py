"""What is not shown of payloads: the values of fields whose names say that they are secret. Pure.

A field is masked wherever it is: at any depth, in lists, whatever its value is. Names match shell-style
patterns in any letter case. What a text says is not looked into, but for one that could not be read as
the JSON that it is (`document`). Invariant: what was given is never changed; and no depth of it is too
much. Used by jobd.web, for all that is shown over HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate
from typing import Any

import msgspec

from jobd.core.unreadable import UNREADABLE_JSON

MASKED = "••• masked"
DEFAULT_MASK = (
    "*passw*", "*passphrase*", "*secret*", "*token*", "*authorization*", "*credential*",
    "*api*key*", "*private*key*", "*card*number*", "cvv", "cvc", "iban",
)  # fmt: skip
# Names that were looked at: tasks have few, and strangers shall not make us remember all of theirs.
_MOST_KNOWN = 4096
_LONGEST_KNOWN = 256
# From any quotation mark on: what goes before may be no JSON at all.
_NAME = re.compile(r'"([^"]*+)"\s*+:')


class Masking:
    """Masks by one list of patterns; none of them: nothing. May be used from several threads."""

    def __init__(self, patterns: Iterable[str] = DEFAULT_MASK) -> None:
        self.patterns = tuple(patterns)
        either = "|".join(translate(pattern.lower()) for pattern in self.patterns)
        self._matches = re.compile(either).match if either else None
        self._known: dict[str, bool] = {}

    def hides(self, name: str) -> bool:
        """Say whether a field of that name is masked."""
        if self._matches is None:
            return False
        found = self._known.get(name)
        if found is None:
            found = self._matches(name.lower()) is not None
            if len(name) <= _LONGEST_KNOWN and len(self._known) < _MOST_KNOWN:
                self._known[name] = found
        return found

    def value(self, given: Any) -> Any:
        """Give any JSON value with what is secret masked."""
        if self._matches is None or not isinstance(given, dict | list):
            return given
        # By a list of what is still to do, and not by calls: a stranger's value may be of any depth.
        result, todo = _begun(given)
        while todo:
            came, made = todo.pop()
            pairs = came.items() if isinstance(came, dict) else enumerate(came)
            for name, inner in pairs:
                if isinstance(name, str) and self.hides(name):
                    made[name] = MASKED
                elif isinstance(inner, dict | list):
                    made[name], [step] = _begun(inner)
                    todo.append(step)
                else:
                    made[name] = inner
        return result

    def inside(self, given: dict[str, Any]) -> dict[str, Any]:
        """The same for what has jobd's own names, and may have others further in: `token`, of a run, is
        the number of its claim."""
        return {name: self.value(inner) for name, inner in given.items()}

    def document(self, given: Any) -> Any:
        """The same for a whole recorded document. One that could not be read comes as its text, and is
        masked as a whole if it seems to have such a field."""
        if not isinstance(given, str):
            return self.value(given)
        is_hidden = any(self.hides(_said(found)) for found in _NAME.findall(given))
        return MASKED if is_hidden else given


def _begun(given: Any) -> tuple[Any, list[tuple[Any, Any]]]:
    """Begin the copy of a list or dict; give it, and what is to be done to it."""
    made: Any = {} if isinstance(given, dict) else [None] * len(given)
    return made, [(given, made)]


def _said(name: str) -> str:
    """Read a name as JSON has it."""
    try:
        return msgspec.json.decode(f'"{name}"', type=str)
    except UNREADABLE_JSON:
        return name
