"""Slots that nobody could fire: what each policy makes of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd.core.missed import MOST_LATE, ON_TIME_MS, POLICIES, decide
from jobd.core.slots import CronSlots, Every

NOW = 1_800_000_000_000
MINUTE = 60_000
HOURLY = CronSlots("0 * * * *", "UTC")


@pytest.mark.parametrize(
    ("missed", "late_by", "fires"),
    [
        ("skip", 30, 1), ("latest", 30, 1), ("all", 30, 1),  # on time is a minute
        ("skip", 61, 0), ("latest", 61, 1), ("all", 61, 1),
        ("skip", 3 * 3600 + 61, 0), ("latest", 3 * 3600 + 61, 1), ("all", 3 * 3600 + 61, 4),
        # Four hours late and the last slot on time: that one stands for those before it.
        ("skip", 4 * 3600 + 30, 1), ("latest", 4 * 3600 + 30, 1), ("all", 4 * 3600 + 30, 5),
        ("all", 200 * 3600 + 61, 100),
    ],
)  # fmt: skip
def test_policies(missed: str, late_by: int, fires: int) -> None:
    """An hourly schedule that was looked at so many seconds after its slot."""
    due = NOW - NOW % 3_600_000
    now = due + late_by * 1000

    firing = decide(HOURLY, due=due, now=now, missed=missed)

    assert len(firing.slots) == fires
    last = now - now % 3_600_000
    assert firing.slots == [last - i * 3_600_000 for i in range(fires)][::-1]
    assert firing.next == last + 3_600_000
    assert firing.missed == (late_by - ON_TIME_MS // 1000 - 1) // 3600 + 1
    assert firing.late == fires - (now - last <= ON_TIME_MS)


@given(
    period=st.integers(1000, 200_000), behind=st.integers(0, 10**9), missed=st.sampled_from(POLICIES),
    floor=st.integers(-(10**6), 10**6),
)  # fmt: skip
def test_a_decision_is_bounded_and_leaves_nothing_behind(
    period: int, behind: int, missed: str, floor: int
) -> None:
    """A jump forward floods nothing; what is on time always fires; nothing fires below the floor."""
    slots = Every(period)
    due = next(slots.after(NOW - behind - 1))
    firing = decide(slots, due=due, now=NOW, missed=missed, floor=NOW + floor)

    assert firing.slots == sorted(set(firing.slots))
    assert len(firing.slots) <= MOST_LATE + ON_TIME_MS // 1000 + 1
    assert all(max(due, NOW + floor + 1) <= slot <= NOW for slot in firing.slots)
    on_time = range(
        -(-max(due, NOW - ON_TIME_MS, NOW + floor + 1) // period) * period, NOW + 1, period
    )
    assert [slot for slot in firing.slots if slot >= NOW - ON_TIME_MS] == list(on_time)
    assert firing.next is not None
    assert firing.next > max(NOW, NOW + floor)
    assert firing.next - period <= max(NOW, NOW + floor)
