"""Errors as answers: problem documents (RFC 9457) with our codes. Pure.

`code` is stable and meant for programs, `detail` is for people. What is not one of our errors is a
mistake in jobd, and says nothing of itself to who asked.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import ClassVar

import msgspec

from jobd.core.errors import (
    BrokerError,
    ConfigError,
    DaemonRefused,
    DaemonSilent,
    JobdError,
    NoDaemon,
    OptionError,
    StoreFull,
    TooManyOrders,
)
from jobd.web.auth.refused import Refused
from jobd.web.auth.refused import headers_of as headers_of_refused
from jobd.web.threads import Crowded, TooLate

MEDIA_TYPE = "application/problem+json"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong. `status` is the answer's own; `code` is for programs, `detail` for people."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str


class RequestError(JobdError):
    """A request that cannot be served as it is."""

    code = "jobd.bad_request"
    status: ClassVar[int] = 400


class NotThere(RequestError):
    """What was asked about is not there."""

    code = "jobd.not_found"
    status = 404


class NoSuchQueue(NotThere):
    """Nobody has added to a queue of that name, or served it."""

    code = "jobd.no_such_queue"


class NoSuchJob(NotThere):
    """Nothing is recorded under that id."""

    code = "jobd.no_such_job"


class WrongMethod(RequestError):
    """The path is served, and not with this method."""

    code = "jobd.wrong_method"
    status = 405

    def __init__(self, message: str, allowed: list[str]) -> None:
        self.allowed = allowed
        super().__init__(message)


class Slow(RequestError):
    """The request's body did not come in time."""

    code = "jobd.slow_request"
    status = 408


class Conflict(RequestError):
    """What there is forbids it, as it stands."""

    code = "jobd.conflict"
    status = 409


class BodyTooLarge(RequestError):
    """The request's body is larger than any that makes sense."""

    code = "jobd.body_too_large"
    status = 413


class NotJson(RequestError):
    """The request's body is not sent as JSON."""

    code = "jobd.not_json"
    status = 415


class Busy(RequestError):
    """Too much is under way already."""

    code = "jobd.too_many_operations"
    status = 429


# The first that fits, so the finer ones stand above their bases.
_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (OptionError, 400),
    (TooManyOrders, 429),
    (StoreFull, 507),
    (BrokerError, 503),
    (NoDaemon, 503),
    (DaemonSilent, 504),
    (DaemonRefused, 409),
    (ConfigError, 500),
    (TooLate, 504),
    (Crowded, 503),
)
_WORDS: dict[type[Exception], tuple[str, str]] = {
    TooLate: ("jobd.late", "the answer is not there yet; expected one in a few seconds; try again"),
    Crowded: ("jobd.crowded", "too many requests are under way here; try again in a moment"),
}


def problem_of(error: Exception) -> Problem:
    """Make the document of an error."""
    if isinstance(error, RequestError | Refused):
        return _problem(error.status, error.code, str(error))
    for kind, status in _STATUS:
        if isinstance(error, kind):
            code, words = _WORDS.get(kind, (getattr(error, "code", "jobd.error"), str(error)))
            return _problem(status, code, words)
    return _problem(500, "jobd.internal", "this failed by a mistake in jobd; its log says more")


def headers_of(error: Exception, status: int) -> dict[str, str]:
    """Give the headers that go with it."""
    if isinstance(error, WrongMethod):
        return {"Allow": ", ".join(error.allowed)}
    found = headers_of_refused(error) if isinstance(error, Refused) else {}
    return found or ({"Retry-After": "1"} if status in (429, 503) else {})


def is_ours(error: Exception) -> bool:
    """Tell an answer to who asked from a mistake in jobd."""
    return problem_of(error).code != "jobd.internal"


def _problem(status: int, code: str, detail: str) -> Problem:
    return Problem(title=HTTPStatus(status).phrase, status=status, code=code, detail=detail)
