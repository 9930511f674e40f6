"""How long a slot stays empty after its child ended.

Invariant: never shorter than before while failures go on, so a crash loop always slows down; the
first replacement is immediate, because most deaths are single. Jitter comes from the name and the
count: the same question has the same answer.
"""

from __future__ import annotations

import zlib

# Beyond this the power of two no longer matters: every sensible cap is below it.
_MOST_DOUBLINGS = 40
# Seconds for which one that ran jobs has to have been there.
_OF_USE = 1.0


def delay(name: str, failures: int, *, base: float, cap: float) -> float:
    """Give the seconds to wait after `failures` failures in a row."""
    if failures <= 1:
        return 0.0
    doublings = min(failures - 2, _MOST_DOUBLINGS)
    share = zlib.crc32(f"{name}:{failures}".encode()) / 0xFFFF_FFFF
    return min(cap, base * 2.0**doublings * (0.75 + 0.25 * share))


def failures_after(failures: int, *, uptime: float, steady_after: float, useful: bool) -> int:
    """Count one more failure, or begin anew.

    A child that lasted begins anew, and so does one that ran jobs for a second. One that ran any was no
    failure to start, so its slot is never held back by more than the first step.
    """
    if uptime >= (_OF_USE if useful else steady_after):
        return 1
    return min(failures, 1) + 1 if useful else failures + 1
