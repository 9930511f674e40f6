"""What may be asked of a running daemon over its control socket, and the shape of its answers.

One line of JSON a message. A request is an object with one key, its name: `{"stop": {"now": true}}`.
An answer is `{"ok": {...}}` or `{"error": {"code": ..., "message": ...}}`; before it may come any
number of `{"note": "..."}`, words for whoever waits. Unknown fields are left alone, so either side
may be the newer one; an unknown request is answered with the code `unknown_request`.

Written by jobd.seams.asking, read by jobd.seams.control.
"""

from __future__ import annotations

from typing import Any

import msgspec

# The codes of errors that the socket itself gives; a daemon's own are free words beside them.
NOT_PERMITTED = "not_permitted"
UNKNOWN_REQUEST = "unknown_request"
BAD_REQUEST = "bad_request"
BUSY = "busy"


class Reload(msgspec.Struct, frozen=True):
    """Read the configuration and the code again. `all`: replace the workers of every queue."""

    all: bool = False


class Stop(msgspec.Struct, frozen=True):
    """Drain and end; `now`: hand back what runs."""

    now: bool = False


class Scale(msgspec.Struct, frozen=True):
    """Run `to` processes of a queue, or `by` more (fewer) than wanted now; both None: as configured."""

    queue: str
    to: int | None = None
    by: int | None = None


class Recycle(msgspec.Struct, frozen=True):
    """Replace the worker of one slot."""

    slot: str


class Dump(msgspec.Struct, frozen=True):
    """Write the stacks of one slot's worker, or of all processes, to the log; with `tell` into the answer,
    too, as a list of Stack in `stacks`."""

    slot: str | None = None
    tell: bool = False


class Stack(msgspec.Struct, frozen=True):
    """Where the threads of a process are. `who` is a slot or a helper's name; `missing` is why there is no
    text."""

    who: str
    pid: int
    text: str = ""
    missing: str = ""


class Ping(msgspec.Struct, frozen=True):
    """Say that the loop turns."""


Request = Reload | Stop | Scale | Recycle | Dump | Ping
KINDS: dict[str, type[Request]] = {
    "reload": Reload, "stop": Stop, "scale": Scale, "recycle": Recycle, "dump": Dump, "ping": Ping,
}  # fmt: skip
_NAMES = {kind: name for name, kind in KINDS.items()}


class Refusal(msgspec.Struct, frozen=True):
    """Why it was not done: a word for programs, a sentence for people."""

    code: str
    message: str


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a daemon; exactly one field is set."""

    ok: dict[str, Any] | None = None
    error: Refusal | None = None
    note: str | None = None


def name_of(request: Request) -> str:
    """Give the word of a request: `reload`."""
    return _NAMES[type(request)]


def written(request: Request) -> dict[str, Request]:
    """Make the message of a request."""
    return {name_of(request): request}


def read(message: object) -> Request | Refusal:
    """Read a message; what cannot be read gives the refusal to answer with."""
    if not isinstance(message, dict) or len(message) != 1:
        return Refusal(BAD_REQUEST, "expected an object with one key, the name of the request")
    name, fields = next(iter(message.items()))
    kind = KINDS.get(name)
    if kind is None:
        return Refusal(
            UNKNOWN_REQUEST, f"{name!r} is unknown to this daemon; expected {', '.join(KINDS)}"
        )
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as bad:
        return Refusal(BAD_REQUEST, f"{name}: {bad}")
