"""The line of a run that ended well."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd.core.ran import Ran, read_ran, spell

_WORDS = st.text(st.characters(codec="utf-8", exclude_characters=" "), min_size=1, max_size=40)


@given(ms=st.integers(0, 2**40), token=st.integers(1, 2**53), slot=_WORDS, host=_WORDS)
def test_what_is_written_is_read(ms: int, token: int, slot: str, host: str) -> None:
    assert read_ran(spell(ms / 1000, token, slot, host)) == Ran(ms, token, slot, host)


def test_a_usual_one_keeps_the_record_packed() -> None:
    """Redis packs a hash whose values are at most 64 bytes long (hash-max-listpack-value)."""
    line = spell(3600.0, 1_800_000_000_000 * 1024, "thumbnails.12", "worker-17.example.com")
    assert len(line) <= 64


@pytest.mark.parametrize(
    "raw",
    [
        None, b"", b"1", b"1 2 q.1", b"1 2 q.1 host more", b"-1 2 q.1 host", b"1 x q.1 host",
        b"1 2.5 q.1 host", b"9" * 5000 + b" 2 q.1 host", b"1 9007199254740993 q.1 host",
        "\N{SUPERSCRIPT TWO} 2 q.1 host".encode(), b"\xff\xfe",
    ],
)  # fmt: skip
def test_what_a_stranger_has_written_is_nothing(raw: bytes | None) -> None:
    assert read_ran(raw) is None
