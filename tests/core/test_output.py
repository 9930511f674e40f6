"""Printed bytes become lines: whole, counted, and never more than the log takes."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from jobd.core.output import LAST_WORDS, RECORD, Allowance, Cutter

LONGEST = 16
few = settings(max_examples=50)
PRINTED = st.lists(st.sampled_from([b"a", b"bc", b"\n", "ü".encode(), b"x" * 20]), max_size=60).map(
    b"".join
)
PIECES = st.lists(st.integers(1, 30), min_size=1, max_size=20)
# How much is printed, and how long after the last time.
BURSTS = st.lists(st.tuples(PRINTED, st.floats(0.0, 3.0)), max_size=30)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces, at = [], 0
    for size in [*sizes, len(data)]:
        pieces.append(data[at : at + size])
        at += size
    return pieces


@few
@given(data=PRINTED, sizes=PIECES)
def test_how_bytes_come_in_pieces_changes_nothing(data: bytes, sizes: list[int]) -> None:
    def lines(pieces: list[bytes]) -> list[str]:
        cutter = Cutter(Allowance(burst=math.inf), longest=LONGEST)
        found = [line for piece in pieces for line in cutter.feed(piece, 0.0)]
        return found + cutter.end()

    assert lines([data]) == lines(cut(data, sizes))


@few
@given(data=PRINTED, sizes=PIECES)
def test_nothing_is_lost_and_no_line_is_longer_than_may_be(data: bytes, sizes: list[int]) -> None:
    cutter = Cutter(Allowance(burst=math.inf), longest=LONGEST)
    lines = [line for piece in cut(data, sizes) for line in cutter.feed(piece, 0.0)]
    lines += cutter.end()

    assert "".join(lines) == data.decode().replace("\n", "")
    assert all(0 < len(line.encode()) <= LONGEST for line in lines)


@few
@given(bursts=BURSTS)
def test_every_byte_is_let_through_or_counted(bursts: list[tuple[bytes, float]]) -> None:
    allowance = Allowance(rate=2000, burst=800)
    cutter = Cutter(allowance, longest=LONGEST)
    now, passed, dropped = 0.0, "", 0
    for data, later in bursts:
        now += later
        passed += "".join(cutter.feed(data.replace(b"\n", b"y"), now))
        dropped += allowance.told(now_or_never=True)
    passed += "".join(cutter.end())
    dropped += allowance.told(now_or_never=True)

    whole = sum(len(data) for data, _ in bursts)
    assert whole == len(passed.encode()) + dropped


@few
@given(bursts=BURSTS)
def test_in_no_span_more_is_let_through_than_the_allowance(
    bursts: list[tuple[bytes, float]],
) -> None:
    rate, burst = 2000.0, 800.0
    allowance = Allowance(rate=rate, burst=burst)
    cutter = Cutter(allowance, longest=LONGEST)
    now, passed = 0.0, []
    for data, later in bursts:
        now += later
        size = sum(len(line.encode()) + RECORD for line in cutter.feed(data, now))
        passed.append((now, size))

    for first, (start, _) in enumerate(passed):
        total = 0
        for at, size in passed[first:]:
            total += size
            assert total <= burst + rate * (at - start) + LONGEST + RECORD + 1e-6


@few
@given(bursts=BURSTS)
def test_with_room_again_whole_lines_come(bursts: list[tuple[bytes, float]]) -> None:
    """A line whose beginning was dropped is dropped to its end: the half of one tells lies."""
    allowance = Allowance(rate=2000, burst=800)
    cutter = Cutter(allowance, longest=1000)
    now, printed, lines = 0.0, b"", []
    for number, (inner, later) in enumerate(bursts):
        now += later
        data = b"<%d" % number + inner.replace(b"\n", b"-") + b">\n"
        lines += cutter.feed(data[:5], now)
        lines += cutter.feed(data[5:], now)
        printed += data

    assert set(lines) <= set(printed.decode().splitlines())


def test_a_flood_is_dropped_in_one_stretch_and_told_as_one_number() -> None:
    allowance = Allowance(rate=(72 + RECORD) * 10, burst=(72 + RECORD) * 100)
    cutter = Cutter(allowance)
    flood = b"x" * 71 + b"\n"

    assert len(cutter.feed(flood * 1000, 0.0)) == 100
    assert cutter.feed(flood * 1000, 4.9) == []
    assert allowance.told() == 0
    assert len(cutter.feed(flood * 20, 5.0)) == 20
    assert allowance.told() == 900 * 72 + 1000 * 72
    assert allowance.told() == 0


@few
@given(bursts=BURSTS)
def test_the_last_words_are_there_however_much_was_dropped_before(
    bursts: list[tuple[bytes, float]],
) -> None:
    """And what is shown of them does not count as dropped."""
    allowance = Allowance(rate=2000, burst=800)
    cutter = Cutter(allowance, remembers=LAST_WORDS)
    now, passed, whole = 0.0, 0, 0
    for data, later in [*bursts, (b"\nlast\nwords", 0.0)]:
        now += later
        passed += sum(len(line.encode()) for line in cutter.feed(data, now))
        whole += len(data.replace(b"\n", b""))
    lines = cutter.last_words()
    passed += sum(len(line.encode()) for line in lines)

    assert lines[-1:] == ["words"]
    assert passed <= whole <= passed + allowance.told(now_or_never=True)


def test_a_progress_bar_is_the_line_a_terminal_would_show() -> None:
    cutter = Cutter(Allowance())

    assert cutter.feed(b"\r 10 %\r 20 %", 0.0) == []
    assert cutter.feed(b"\r100 %\r", 0.0) == []
    assert cutter.feed(b"\nwindows\r\n\n  \n", 0.0) == ["100 %", "windows"]


def test_what_is_not_text_is_shown_all_the_same() -> None:
    assert Cutter(Allowance()).feed(b"\xff\x00ok\n", 0.0) == ["�\x00ok"]
