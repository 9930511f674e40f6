"""The bodies of forms, read in bounds: pages work without JavaScript, and so do log-ins."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive

from jobd.core.unreadable import UNREADABLE_JSON
from jobd.web.auth.refused import BadLogin

LARGEST = 64 * 1024
_MOST_FIELDS = 100
_WITHIN = 10.0
FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"


def kind_of(request: Request) -> str:
    """Say what the body is, as its sender says."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def whole(request: Request) -> bytes:
    """Read a body. Raises BadLogin for one that is too large, or does not come."""
    body = b""
    try:
        async with asyncio.timeout(_WITHIN):
            async for chunk in request.stream():
                body += chunk
                if len(body) > LARGEST:
                    raise BadLogin(f"a body of more than {LARGEST} bytes; expected a few fields")
    except (TimeoutError, ClientDisconnect) as late:
        raise BadLogin(f"no whole body within {_WITHIN:g}s; expected a few fields") from late
    return body


def fields(kind: str, body: bytes) -> Mapping[str, str]:
    """Read a form's fields, or those of a JSON object that are texts. Raises BadLogin."""
    try:
        if kind == FORM:
            given = parse_qsl(
                body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"
            )
            return dict(given)
        if kind == _JSON:
            return msgspec.json.decode(body, type=dict[str, str])
    except (ValueError, *UNREADABLE_JSON):
        pass
    raise BadLogin(f"{kind[:80]!r}; expected fields as {FORM} or {_JSON}")


def again(body: bytes, receive: Receive) -> Receive:
    """Give a body that was read to who reads it after, and then what comes."""
    given = False

    async def next_message() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return next_message
