"""Sizes: what people write, and what a wrong one is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd.core.errors import OptionError
from jobd.core.sizes import size, size_words


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("300MB", 300_000_000), ("300 mb", 300_000_000), ("1KiB", 1024), ("1.5GiB", 1_610_612_736),
        ("2TB", 2 * 10**12), ("512", 512), ("512B", 512), (7, 7), (0, 0),
    ],
)  # fmt: skip
def test_a_size_is_read(written: object, meant: int) -> None:
    """MB are millions, MiB are 2^20, whatever the case; a plain number is bytes."""
    assert size(written) == meant


@pytest.mark.parametrize("wrong", ["", "much", "-3MB", "3 parsecs", -1, True, None, 1.5, "MB"])
def test_a_wrong_size_is_refused_with_its_value(wrong: object) -> None:
    """The message shows what was written and what would do."""
    with pytest.raises(OptionError) as refused:
        size(wrong, what="memory_limit")

    assert f"memory_limit: {wrong!r}; expected a size such as '300MB'" in str(refused.value)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("300M", "300MB"), ("2Gi", "2GiB"), ("5 gigabytes", "5GB"), ("1 meg", "1MB")],
)
def test_a_unit_that_is_nearly_right_is_told_the_right_one(wrong: str, right: str) -> None:
    """Kubernetes says Mi, ps says M."""
    with pytest.raises(OptionError, match=f"did you mean '{right}'"):
        size(wrong)


@given(st.integers(0, 10**15))
def test_what_we_print_we_can_read(amount: int) -> None:
    """Within the three digits we print."""
    assert size(size_words(amount)) == pytest.approx(amount, rel=0.006)
