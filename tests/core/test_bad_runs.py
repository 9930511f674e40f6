"""What a bad run is: one definition, for the counts of a minute and of a task."""

from __future__ import annotations

import pytest

from jobd.core.tally import bad_runs, come_since, read_tally


@pytest.mark.parametrize(
    ("counts", "bad"),
    [
        ({"failed": 2, "completed": 9}, 2),
        ({"timeout": 1, "crashed": 2, "lost": 3}, 6),
        ({"dead": 3, "unrun": 1}, 2),
        ({"dead": 2, "unrun": 2, "crashed": 3}, 3),
        ({"unrun": 2}, 0),
        ({"snoozed": 1, "throttled": 1, "parked": 9, "interrupted": 1, "cancelled": 1}, 0),
        ({}, 0),
    ],
)
def test_a_run_is_bad_by_its_end_and_what_never_ran_is_none(
    counts: dict[str, int], bad: int
) -> None:
    """A death that runs led to was counted with the last of them, or is that."""
    assert bad_runs(counts) == bad
    raw = {f"{word}|t".encode(): b"%d" % n for word, n in counts.items()}
    tally = read_tally(raw).tasks.get("t")
    assert (tally.bad if tally else 0) == bad


def test_what_came_lately_is_counted_so_too() -> None:
    """Also where a task has all its figures since."""
    before = read_tally({b"dead|t": b"4", b"unrun|t": b"3", b"failed|t": b"1"}).tasks["t"]
    now = read_tally({b"dead|t": b"9", b"unrun|t": b"6", b"failed|t": b"1"}).tasks["t"]
    assert come_since(now, before).bad == 2
    assert come_since(now, None).bad == 4
