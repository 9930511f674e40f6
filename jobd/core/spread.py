"""How spans are spread, out of the tally's buckets: a middle, and what only few exceed. Pure.

Bucket b holds spans below 2^b ms and not below half of that, so a figure is right within a factor of two.
Inside a bucket spans are taken to be spread evenly by their logarithms: of log-normal spans, as runs and
waits mostly are, that is nearer than evenly by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from jobd.core.tally import LAST_BUCKET


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Half of `count` spans were within `p50_ms`, of twenty nineteen within `p95_ms`; None of none.

    A span in the last bucket is that long, or longer.
    """

    count: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None


def spread_of(buckets: Sequence[int]) -> Spread:
    """Read the counts of a histogram."""
    count = sum(buckets)
    if count <= 0:
        return Spread()
    return Spread(
        count=count, p50_ms=_within(buckets, count * 0.5), p95_ms=_within(buckets, count * 0.95)
    )


def since(now: Sequence[int], before: Sequence[int]) -> list[int]:
    """Give what has come to a histogram since it was read before; all of it, where it began anew."""
    more = [a - b for a, b in zip(now, before, strict=True)]
    return list(now) if min(more) < 0 else more


def _within(buckets: Sequence[int], rank: float) -> float:
    """Give the span within which so many lie."""
    passed = 0
    for bucket, n in enumerate(buckets):
        if n and passed + n >= rank:
            low = 2.0 ** (bucket - 1)
            if bucket == LAST_BUCKET:
                return low
            share = max(0.0, rank - passed) / n
            return round(low * 2.0**share if bucket else share, 3)
        passed += n
    raise AssertionError("a rank is at most the count")
