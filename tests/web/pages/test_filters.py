"""How values are written, and charts drawn."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd.web.pages.filters import about, added, bars, nice, rate, since

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


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "—"), (0, "0"), (0.0028, "0.17/min"), (0.001, "3.6/h"), (0.4, "0.4/s"), (12, "12/s"),
        (0.1, "0.1/s"), (1234, "1.23k/s"),
    ],
)  # fmt: skip
def test_what_is_seldom_is_told_by_the_minute_or_the_hour(value: float | None, said: str) -> None:
    assert rate(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "—"), (0.5, "~0.5 ms"), (22.627, "~23 ms"), (412.0, "~410 ms"), (1234.0, "~1.2 s"), (9_960.0, "~10 s"), (22_700.0, "~23 s"),
        (123_456.0, "~2m"),
    ],
)  # fmt: skip
def test_what_is_known_to_a_factor_is_told_to_two_digits(value: float | None, said: str) -> None:
    assert about(value) == said
