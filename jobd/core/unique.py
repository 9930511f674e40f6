"""The lock a job may be added with: what it is named after, and until when it holds.

Of jobs with the same lock one is added; the others are duplicates and are told of it. The name is a
digest of the task and its arguments, or of what `key` or `by` says in their place. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Any

import msgspec

from jobd.core.durations import Duration, milliseconds
from jobd.core.errors import OptionError
from jobd.core.suggest import nearest, one_of

UNTIL = ("finished", "started", "ttl")


class Unique(msgspec.Struct, frozen=True, kw_only=True):
    """A lock for jobs: `unique=Unique(by="user_id")`, or a dict of the same; True is `Unique()`.

    It is the task's and its arguments': `by` names those that count, `key` (text) stands in for them.
    `until`: "finished" (completed, dead or cancelled), "started" (no longer waiting), or "ttl": for
    that long from the adding on, also when the job has completed by then. `replace`: a holder that
    waits, also for a retry, makes way for the new job and ends as cancelled. Raises OptionError.
    """

    key: str | None = None
    by: str | tuple[str, ...] | list[str] | None = None
    until: str = "finished"
    ttl: Duration | None = None
    replace: bool = False

    def __post_init__(self) -> None:
        if self.until not in UNTIL:
            raise OptionError(
                f"unique: until {self.until!r}; expected {one_of(UNTIL)}"
                + nearest(str(self.until), UNTIL)
            )
        if self.key is not None and not _is_text(self.key):
            raise OptionError(f"unique: key {self.key!r}; expected some text, as in key='user-7'")
        if self.by is not None and not _are_names(self.by):
            raise OptionError(
                f"unique: by {self.by!r}; expected names of arguments, as in by=('user_id',)"
            )
        if self.key is not None and self.by is not None:
            raise OptionError("unique: key and by; expected one of the two; drop either")
        if not isinstance(self.replace, bool):
            raise OptionError(f"unique: replace {self.replace!r}; expected True or False")
        self._check_ttl()

    def _check_ttl(self) -> None:
        if self.until == "ttl":
            if self.ttl is None or not milliseconds(self.ttl, what="unique: ttl"):
                raise OptionError(
                    f"unique: until 'ttl' and ttl {self.ttl!r}; expected how long it holds, "
                    "as in ttl='10m'"
                )
            if self.replace:
                raise OptionError(
                    "unique: replace beside until 'ttl'; expected one of the two: the first of a "
                    "span counts, or the last; for the last, use a delay and until 'started'"
                )
        elif self.ttl is not None:
            raise OptionError(
                f"unique: ttl {self.ttl!r} beside until {self.until!r}; expected until='ttl', which "
                "holds for that long; the others end with the job, whatever becomes of it"
            )


def read_unique(value: object, *, what: str) -> Unique | None:
    """Read the option `unique`; None for False. Raises OptionError."""
    if isinstance(value, Unique):
        return value
    if value is True:
        return Unique()
    if value is False or value is None:
        return None
    if not isinstance(value, dict):
        raise OptionError(
            f"{what}: unique {value!r}; expected True, False, Unique(...) or a dict, "
            "as in unique={'key': 'user-7'}"
        )
    known = Unique.__struct_fields__
    for name in value:
        if name not in known:
            raise OptionError(
                f"{what}: unique.{name}: unknown; expected {one_of(known)}"
                + nearest(str(name), known)
            )
    try:
        return Unique(**value)
    except OptionError as error:
        raise OptionError(f"{what}: {error}") from None


def check_by(unique: Unique | None, names: Collection[str], *, what: str) -> None:
    """Refuse a lock named after an argument that does not exist: it would be everybody's."""
    for name in () if unique is None else _tuple(unique.by):
        if name not in names:
            raise OptionError(
                f"{what}: unique by {name!r}; expected {one_of(names) or 'a task with arguments'}"
                + nearest(name, names)
            )


def spell_lock(unique: Unique, task: str, args: bytes) -> str:
    """Write a lock as the script of adding reads it: until, digest, and `replace` or ms.

    `args` is a JSON object, with its names in any order.
    """
    rest = " replace" if unique.replace else ""
    if unique.ttl is not None:
        rest = f" {milliseconds(unique.ttl)}"
    return f"{unique.until} {_digest(unique, task, args)}{rest}"


def _digest(unique: Unique, task: str, args: bytes) -> str:
    named_after: Any = unique.key
    if unique.key is None:
        named_after = msgspec.json.decode(args)
        if unique.by is not None:
            named_after = {n: named_after[n] for n in _tuple(unique.by) if n in named_after}
    text = msgspec.json.encode([task, named_after], order="sorted")
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def _is_text(key: object) -> bool:
    """Whether it is text that can travel: half a surrogate pair cannot."""
    return isinstance(key, str) and bool(key) and not any("\ud800" <= c <= "\udfff" for c in key)


def _are_names(by: object) -> bool:
    if isinstance(by, str):
        return bool(by)
    return isinstance(by, tuple | list) and bool(by) and all(isinstance(n, str) and n for n in by)


def _tuple(by: str | tuple[str, ...] | list[str] | None) -> tuple[str, ...]:
    return () if by is None else (by,) if isinstance(by, str) else tuple(by)
