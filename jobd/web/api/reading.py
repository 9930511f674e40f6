"""Requests, read: the query, the path and the body, strictly, with bounds on size and time.

What is unknown is refused with the nearest right name, for a filter that was misspelt would mean all.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Mapping
from typing import TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from jobd.core.durations import milliseconds
from jobd.core.errors import OptionError
from jobd.core.names import check_name
from jobd.core.suggest import nearest, one_of
from jobd.core.unreadable import UNREADABLE_JSON
from jobd.web.api.problems import BodyTooLarge, NotJson, RequestError, Slow

LARGEST_BODY = 128 << 10
BODY_WITHIN = 10.0
# Parts of a path; all are names.
_NAMES = ("queue", "job", "schedule", "host", "slot", "operation")

S = TypeVar("S", bound=msgspec.Struct)


def read_path(request: Request) -> Mapping[str, str]:
    """Read the parts of the path. Raises OptionError."""
    parts: dict[str, str] = dict(request.path_params)
    for what in _NAMES:
        if what in parts:
            check_name(parts[what], what=what)
    return parts


def read_query(request: Request, kind: type[S]) -> S:
    """Read the parameters behind the question mark. Raises RequestError."""
    pairs = request.query_params.multi_items()
    twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if twice:
        raise RequestError(
            f"query: {twice[0]!r:.80}, given {len(request.query_params.getlist(twice[0]))} times; "
            "expected each parameter once; drop the others"
        )
    return read_pairs(dict(pairs), kind)


def read_pairs(pairs: Mapping[str, str], kind: type[S]) -> S:
    """Read parameters, each of which is said once. Raises RequestError."""
    return _converted(dict(pairs), kind, "query", strict=False)


async def read_body(request: Request, kind: type[S]) -> S:
    """Read a JSON object; no body is an empty one. Raises RequestError."""
    raw = await _raw_body(request)
    if not raw:
        return _converted({}, kind, "body", strict=True)
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said != "application/json":
        raise NotJson(
            f"content-type: {said[:80]!r}; expected application/json; send the body as JSON"
        )
    try:
        content = msgspec.json.decode(raw)
    except UNREADABLE_JSON as bad:
        raise RequestError(f"body: {bad}; expected a JSON object") from bad
    return _converted(content, kind, "body", strict=True)


def read_form(fields: Mapping[str, str], kind: type[S]) -> S:
    """Read what a form sends: JSON in `body`, and further fields by their names. Raises RequestError."""
    said = {name: text for name, text in fields.items() if name != "body" and text}
    try:
        content = msgspec.json.decode(fields.get("body") or "{}", type=dict[str, object])
    except UNREADABLE_JSON as bad:
        raise RequestError(f"body: {bad}; expected a JSON object") from bad
    return _converted(content | said, kind, "body", strict=True)


def read_age(value: str | float | None, *, what: str) -> int | None:
    """Read a duration as ms: `90s`, or a bare number of seconds. Raises OptionError."""
    return None if value is None else milliseconds(bare(value), what=what)


def bare(value: str | float) -> str | float:
    """Take a bare number as seconds, which is what it means everywhere else. Raises OptionError."""
    try:
        number = float(value)
    except ValueError:
        return value
    if not math.isfinite(number):
        raise OptionError(f"duration: {value!r:.40}; expected a span such as '90s', '2h' or '7d'")
    return number


def _converted(content: object, kind: type[S], what: str, *, strict: bool) -> S:
    if not isinstance(content, dict):
        raise RequestError(f"{what}: {type(content).__name__}; expected a JSON object")
    known = [field.encode_name for field in msgspec.structs.fields(kind)]
    if strange := [name for name in content if name not in known]:
        expected = one_of(known) if known else "none"
        raise RequestError(
            f"{what}: {strange[0]!r:.80}, unknown; expected {expected}"
            f"{nearest(str(strange[0])[:80], known)}"
        )
    try:
        return msgspec.convert(content, kind, strict=strict)
    except msgspec.ValidationError as bad:
        place = str(bad).replace("`$.", "`")
        raise RequestError(f"{what}: {place}; see /api/v1/openapi.json") from bad


async def _raw_body(request: Request) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_WITHIN):
            async for part in request.stream():
                parts.append(part)
                size += len(part)
                if size > LARGEST_BODY:
                    raise BodyTooLarge(
                        f"body: more than {LARGEST_BODY} bytes; expected fewer; send less at once"
                    )
    except TimeoutError as late:
        raise Slow(
            f"body: not there within {BODY_WITHIN:g} s; expected all of it; send it again"
        ) from late
    except ClientDisconnect as gone:
        raise RequestError("body: cut off; expected all of it; send it again") from gone
    return b"".join(parts)
