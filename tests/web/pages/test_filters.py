"""How values are written, and charts drawn."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from jobd.web.pages.filters import added, bars, nice, since

COUNTS = st.lists(st.integers(0, 10**9), min_size=1, max_size=60)
_BAR = re.compile(r"M(\S+) (\S+)v(-?[\d.e+]+)")


def heights(path: str) -> list[float]:
    found = _BAR.findall(path)
    assert "".join(f"M{x} {y}v{h}" for x, y, h in found) == path
    return [float(height) for _, _, height in found]


@given(COUNTS)
def test_a_bar_for_what_is_not_nothing_and_none_higher_than_the_chart(counts: list[int]) -> None:
    drawn = heights(bars(counts, max(counts), 600, 100, 100))
    assert len(drawn) == sum(count > 0 for count in counts)
    assert all(-100 <= height <= -1.5 for height in drawn)


@given(COUNTS)
def test_bars_that_hang_go_down(counts: list[int]) -> None:
    assert all(1.5 <= each <= 7 for each in heights(bars(counts, max(counts), 120, -7, 21)))


@given(st.integers(1, 10**12))
def test_an_axis_ends_at_a_round_number_at_or_above(value: int) -> None:
    top = nice(value)
    assert value <= top * (1 + 1e-9)
    assert top <= 2.5 * value
    assert f"{top:.6e}"[0] in "12458"


def test_added_goes_minute_by_minute() -> None:
    assert added([1, 2], [3, 4]) == [4, 6]


@given(st.floats(0, 10**6), st.integers(0, 10**13))
def test_an_instant_is_a_whole_second_close_by(seconds: float, now: int) -> None:
    at = since(seconds, now)
    assert at is not None
    assert at % 1000 == 0
    assert abs(now - seconds * 1000 - at) <= 501
    assert since(None, now) is None
