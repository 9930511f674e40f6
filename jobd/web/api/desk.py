"""Actions, carried out for who was admitted: read, done, and told of in the audit log whatever came of it.

For the endpoints under /api/v1, and for the forms of pages, which do the same without scripts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from starlette.requests import Request

from jobd.web.api.endpoint import Call, Endpoint
from jobd.web.api.gate import Gate, Person
from jobd.web.api.problems import problem_of

_LONGEST = 200  # of what one field of a request says, in the audit log
T = TypeVar("T")


async def audited(
    gate: Gate, request: Request, endpoint: Endpoint, person: Person,
    read: Callable[[], Awaitable[Call]], act: Callable[[Call], Awaitable[T]],
) -> T:  # fmt: skip
    """Read an action and do it; tell of it, done or not. Raises what either raises."""
    on, outcome = dict(request.path_params), "unknown"
    try:
        call = await read()
        on |= _said(call.body)
        answer = await act(call)
        outcome = "done"
    except Exception as error:
        outcome = problem_of(error).code
        raise
    finally:
        gate.audit(request, person, endpoint.name, on, outcome)
    return answer


def _said(body: msgspec.Struct) -> dict[str, str]:
    """Write what a request carried for the audit log, what is not said left out."""
    fields = msgspec.to_builtins(body)
    return {name: str(value)[:_LONGEST] for name, value in fields.items() if value}
