"""The shape of an error: the same for errors of one kind, and always short."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd.core.error_lines import LONGEST, first_line, shape


@pytest.mark.parametrize(
    ("error", "folded"),
    [
        ("KeyError: 17", "KeyError: #"),
        ("\n  KeyError: 17\n  File 'x'", "KeyError: #"),
        ("timed out after 3.25 s at 10.0.0.7:6379", "timed out after # s at #"),
        ("<Order object at 0x7f3a2c>", "<Order object at #>"),
        ("no row 0190c8f2-7e1a-7b3c-8d4e-5f6a7b8c9d0e", "no row #"),
        ("blob d41d8cd98f00b204e9800998ecf8427e is gone", "blob # is gone"),
        ("Err0: row 7", "Err0: row #"),
        ("shop.Http404: no page 12", "shop.Http404: no page #"),
        ("Err5", "Err5"),
        ("Err5 (its text raised KeyError)", "Err5 (its text raised KeyError)"),
        ("order 42: not found", "order #: not found"),
        ("a decade of deadbeef", "a decade of deadbeef"),
        ("", ""),
        ("\n \n", ""),
    ],
)
def test_numbers_ids_and_addresses_are_folded(error: str, folded: str) -> None:
    """And words stay."""
    assert shape(error) == folded


@given(st.text(max_size=3000))
def test_whatever_an_error_is_a_line_of_it_is_short(error: str) -> None:
    """One line, without ends; and whatever is folded stays as it is when it is folded again."""
    for line in (first_line(error), shape(error)):
        assert len(line) <= LONGEST
        assert len(line.splitlines()) <= 1
    if len(shape(error)) < LONGEST:
        assert shape(shape(error)) == shape(error)
