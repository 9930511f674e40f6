"""Why a request is not served: each kind with its status and its code for programs.

Invariant: no message says whether a user, session or token exists, or what was wrong about one.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from starlette.responses import Response

from jobd.core.errors import BrokerError, JobdError


class Refused(JobdError):
    """A request that is not served, or not to this one. `retry_after` is in seconds.

    `headers` are further ones of the answer.
    """

    code = "jobd.refused"
    status: int = 403
    retry_after: int | None = None
    headers: Mapping[str, str] = {}


class NotLoggedIn(Refused):
    """There is no session, or the token is none of ours."""

    code = "jobd.not_logged_in"
    status = 401
    headers: Mapping[str, str] = {"WWW-Authenticate": 'Bearer realm="jobd"'}


class NotKnown(NotLoggedIn):
    """The application that this is mounted in knows nobody by this request."""

    headers: Mapping[str, str] = {}


class ByHost(Refused):
    """The application that this is mounted in answers by itself, by an HTTPException."""

    code = "jobd.refused_by_host"

    def __init__(self, status: int, detail: str, headers: Mapping[str, str]) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers


class WrongPassword(Refused):
    """User or password is wrong."""

    code = "jobd.wrong_password"
    status = 401


class TooManyTries(Refused):
    """Passwords were tried too often."""

    code = "jobd.too_many_tries"
    status = 429


class NotYours(Refused):
    """The role does not allow it."""

    code = "jobd.not_allowed"


class NotFromHere(Refused):
    """The request does not come from a page of ours."""

    code = "jobd.not_from_here"


class WrongHost(Refused):
    """It was reached by a name or from a place that is not served."""

    code = "jobd.wrong_host"


class BadLogin(Refused):
    """The log-in cannot be read."""

    code = "jobd.bad_request"
    status = 400


class Busy(Refused):
    """More passwords are to be checked than are at once."""

    code = "jobd.busy"
    status = 503
    retry_after = 2


def headers_of(error: Refused) -> dict[str, str]:
    """Give the headers that go with it."""
    late = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return {**error.headers, **late}


def problem(error: JobdError) -> Response:
    """Answer with a problem document (RFC 9457)."""
    unavailable = 503 if isinstance(error, BrokerError) else 500
    status = error.status if isinstance(error, Refused) else unavailable
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, Refused):
        headers |= headers_of(error)
    document = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": error.code,
        "detail": str(error),
    }
    return Response(
        msgspec.json.encode(document) + b"\n",
        status_code=status,
        media_type="application/problem+json",
        headers=headers,
    )
