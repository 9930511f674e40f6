"""Whether a receiver has taken a notification, and when to try again if not: decided here, sent elsewhere.

Invariant: what a receiver did not take is tried for a day, ever more rarely; only what will not get
better by itself - a redirect, a refusal, a forbidden address - is given up after an hour, and 410 at once.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Literal

import msgspec

FIRST_PAUSE = 2.0
LONGEST_PAUSE = 300.0
LONGEST_ASKED = 3600.0
"""A receiver may ask for a pause with Retry-After; for no longer than this, in seconds."""
GIVEN_UP_AFTER = 24 * 3600.0
REJECTED_FOR = 3600.0

# Answers of the 4xx kind that say nothing about the request itself.
_PASSING = (408, 425, 429)
_HINTS = {
    400: "see whether url and kind of the sink fit together",
    401: "correct the sink's secret, or its url",
    403: "correct the sink's secret, or its url",
    404: "correct the sink's url",
    413: "see what limits the receiver's requests",
}


class Sent(msgspec.Struct, frozen=True):
    """The receiver has taken it, with this HTTP status."""

    status: int


class Refused(msgspec.Struct, frozen=True):
    """It has not. `how`: failed (may go well later), rejected (will not unless somebody changes
    something), gone (410: told never to come again). `after`: the pause it asked for, in seconds."""

    why: str
    how: Literal["failed", "rejected", "gone"] = "failed"
    after: float | None = None


def judge(
    status: int, *, retry_after: str | None, date: str | None, location: str | None, now: float
) -> Sent | Refused:
    """Say what an answer means. `location` is scheme and host of a redirect; `now` seconds since 1970."""
    if 200 <= status < 300:
        return Sent(status)
    said = f"HTTP {status}{_phrase(status)}"
    if 300 <= status < 400:
        to = f" to {location}" if location else ""
        why = f"{said}: a redirect{to}; expected 2xx; redirects are not followed: write the final address into url"
        return Refused(why, "rejected")
    if status == HTTPStatus.GONE:
        return Refused(
            f"{said}; expected 2xx; this receiver is gone for good: remove the sink", "gone"
        )
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        after = read_retry_after(retry_after, date=date, now=now)
        return Refused(f"{said}; expected 2xx; the receiver asks for a pause", after=after)
    if 400 <= status < 500 and status not in _PASSING:
        hint = _HINTS.get(status, "see the receiver's own log")
        return Refused(f"{said}; expected 2xx; {hint}", "rejected")
    return Refused(f"{said}; expected 2xx; see the receiver's own log")


def read_retry_after(text: str | None, *, date: str | None, now: float) -> float | None:
    """Read Retry-After (seconds, or a date by the receiver's clock, which `date` says), in seconds.

    Within 0 and an hour; None where there is none or it says nothing.
    """
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdecimal():
        return min(float(text[:9]), LONGEST_ASKED)
    until = _at(text)
    if until is None:
        return None
    there = _at(date) if date else None
    return min(max(0.0, until - (now if there is None else there)), LONGEST_ASKED)


def pause_before(refused: Refused, *, tries: int, waited: float, draw: float) -> float | None:
    """Give the pause before the next try, in seconds, or None to give up.

    `tries` have been made, the first `waited` seconds ago at most; `draw` is random, from 0 to 1. It is
    drawn from the upper half: the hosts of a fleet do not come at once when a receiver is back, and who
    has just refused is not asked again at that very moment.
    """
    patience = REJECTED_FOR if refused.how == "rejected" else GIVEN_UP_AFTER
    if refused.how == "gone" or waited >= patience:
        return None
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(tries - 1, 30))
    pause = longest * (1 + draw) / 2
    if refused.after is None:
        return pause
    # Never sooner than asked; and not all hosts at that very moment.
    return refused.after + min(pause, FIRST_PAUSE)


def _phrase(status: int) -> str:
    """Our own words, not the receiver's: what it says may hold what we have sent."""
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""


def _at(text: str) -> float | None:
    try:
        found: datetime = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    aware = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    return aware.timestamp()
