"""Spreads out of histograms: right within a bucket, for any spans."""

from __future__ import annotations

import random
from math import ceil, log, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd.core.spread import Spread, since, spread_of
from jobd.core.tally import LAST_BUCKET


def bucket_of(span: float) -> int:
    return next((b for b in range(LAST_BUCKET) if span < 2**b), LAST_BUCKET)


@given(st.lists(st.floats(0, 2.0**25), min_size=1, max_size=60))
def test_a_spread_is_right_within_its_bucket(spans: list[float]) -> None:
    """Against the spans themselves, sorted."""
    buckets = [0] * (LAST_BUCKET + 1)
    for span in spans:
        buckets[bucket_of(span)] += 1
    found = spread_of(buckets)

    assert found.count == len(spans)
    for share, said in ((0.5, found.p50_ms), (0.95, found.p95_ms)):
        true = sorted(spans)[ceil(len(spans) * share) - 1]
        assert said is not None
        low = 0.0 if bucket_of(true) == 0 else 2.0 ** (bucket_of(true) - 1)
        assert low <= said <= 2.0 ** bucket_of(true)


def test_figures_of_log_normal_spans_are_near_and_the_middle_of_a_bucket_is_its_root() -> None:
    """On the whole nearer than a tenth for the middle: spans inside a bucket are not spread evenly."""
    assert spread_of([0] * 5 + [2] + [0] * (LAST_BUCKET - 5)).p50_ms == round(16 * sqrt(2), 3)
    draw = random.Random(7)
    off = []
    for _ in range(100):
        spans = sorted(draw.lognormvariate(log(300), 0.6) for _ in range(200))
        buckets = [0] * (LAST_BUCKET + 1)
        for span in spans:
            buckets[bucket_of(span)] += 1
        off.append(abs(log((spread_of(buckets).p50_ms or 0) / spans[99])))
    assert sum(off) / len(off) < 0.05


def test_nothing_has_no_spread_and_what_is_beyond_measure_is_at_least_so_long() -> None:
    """None is not zero."""
    nothing = [0] * (LAST_BUCKET + 1)
    assert spread_of(nothing) == Spread()
    assert spread_of([*nothing[:-1], 5]).p50_ms == 2.0 ** (LAST_BUCKET - 1)
    assert spread_of([4, *nothing[1:]]) == Spread(count=4, p50_ms=0.5, p95_ms=0.95)


@pytest.mark.parametrize(
    ("now", "before", "new"),
    [([5, 2], [3, 2], [2, 0]), ([1, 0], [3, 2], [1, 0]), ([5, 2], [5, 2], [0, 0])],
)
def test_what_has_come_since_is_all_where_the_counters_began_anew(
    now: list[int], before: list[int], new: list[int]
) -> None:
    """A store that was flushed counts from nothing."""
    assert since(now, before) == new
