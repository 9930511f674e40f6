"""When schedules fire: an independent count over minutes, and a table of odd days."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import worlds

from jobd.core.cron import Cron
from jobd.core.errors import OptionError
from jobd.core.slots import CronSlots, Every, latest, slots_of, up_to

MINUTE = 60_000

# Zones and days on which their clocks change, one way or the other or by an odd amount.
CHANGES = [
    ("Europe/Berlin", "2026-03-29"), ("Europe/Berlin", "2026-10-25"),
    ("America/New_York", "2026-03-08"), ("America/New_York", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-04-05"), ("Australia/Lord_Howe", "2026-10-04"),
    ("Pacific/Apia", "2011-12-30"), ("Africa/Cairo", "2026-04-24"), ("Asia/Beirut", "2026-03-29"),
    ("America/St_Johns", "2010-11-07"), ("Asia/Gaza", "2013-03-29"), ("Asia/Kathmandu", "2026-01-01"),
    ("Africa/Casablanca", "2026-02-15"), ("America/Caracas", "2016-05-01"), ("Asia/Pyongyang", "2018-05-05"),
    ("Antarctica/Troll", "2026-03-29"), ("UTC", "2026-06-01"),
]  # fmt: skip


def ms(text: str) -> int:
    """Read an instant."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def one_field(low: int, high: int) -> st.SearchStrategy[tuple[str, frozenset[int]]]:
    """A field of a line, and the numbers it means, said independently of any parser."""
    every = frozenset(range(low, high + 1))
    number = st.integers(low, high).map(lambda n: (str(n), frozenset([n])))
    pair = st.tuples(st.integers(low, high), st.integers(low, high)).map(sorted)
    span = pair.map(lambda p: (f"{p[0]}-{p[1]}", frozenset(range(p[0], p[1] + 1))))
    two = pair.map(lambda p: (f"{p[0]},{p[1]}", frozenset(p)))
    step = st.integers(2, 25).map(lambda n: (f"*/{n}", frozenset(range(low, high + 1, n))))
    return st.one_of(st.just(("*", every)), number, span, two, step)


LINES = st.tuples(
    one_field(0, 59), one_field(0, 23), one_field(1, 31), one_field(1, 12), one_field(0, 6)
)


def brute_force(
    fields: tuple[tuple[str, frozenset[int]], ...], zone: tzinfo, start: datetime, minutes: int
) -> list[int]:
    """Look at every minute. What a clock shows is asked of zoneinfo, once a minute, forwards."""
    (m, in_minutes), (h, in_hours), (d, in_days), (_, in_months), (w, in_week) = fields
    star = d.startswith("*") or w.startswith("*")
    times_of_day = not m.startswith("*") and not h.startswith("*")

    def fits(wall: datetime) -> bool:
        by_date, by_week = wall.day in in_days, (wall.weekday() + 1) % 7 in in_week
        day = (by_date and by_week) if star else (by_date or by_week)
        return (
            wall.minute in in_minutes and wall.hour in in_hours and wall.month in in_months and day
        )

    found = []
    before = (start - timedelta(minutes=1)).astimezone(zone).replace(tzinfo=None)
    shown: set[datetime] = set()
    first = start - timedelta(days=1)
    for number in range(1440):  # what was shown once already is met no second time
        shown.add((first + timedelta(minutes=number)).astimezone(zone).replace(tzinfo=None))
    for number in range(minutes):
        at = start + timedelta(minutes=number)
        wall = at.astimezone(zone).replace(tzinfo=None)
        met = fits(wall)
        if times_of_day:
            skipped = before + timedelta(minutes=1)
            met = met and wall not in shown
            while skipped < wall:
                met = met or fits(skipped)
                skipped += timedelta(minutes=1)
        if met:
            found.append(round(at.timestamp() * 1000))
        shown.add(wall)
        before = wall
    return found


@settings(max_examples=worlds(300), deadline=None)
@given(fields=LINES, change=st.sampled_from(CHANGES), lead=st.integers(0, 60 * 30))
def test_slots_are_what_a_look_at_every_minute_finds(
    fields: tuple[tuple[str, frozenset[int]], ...], change: tuple[str, str], lead: int
) -> None:
    """Around a change of the clocks, from any minute before it."""
    name, day = change
    start = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(hours=12, minutes=-lead)
    expected = brute_force(fields, ZoneInfo(name), start, 36 * 60)
    first = round(start.timestamp() * 1000)
    try:
        slots = CronSlots(" ".join(text for text, _ in fields), name)
    except OptionError:
        assert not expected  # a day that never comes, as the 30th of February
        return

    found = list(up_to(slots, first - 1, first + 36 * 60 * MINUTE - 1))

    assert found == expected
    end = first + 36 * 60 * MINUTE - 1
    assert latest(slots, first - 1, end, 3) == expected[-3:]


@settings(max_examples=worlds(100), deadline=None)
@given(
    fields=LINES,
    at=st.integers(ms("2020-01-01"), ms("2035-01-01")),
    change=st.sampled_from(CHANGES),
)
def test_from_wherever_one_asks_the_slots_are_the_same(
    fields: tuple[tuple[str, frozenset[int]], ...], at: int, change: tuple[str, str]
) -> None:
    """Hosts ask at different times and must agree; slots grow, and are whole minutes."""
    try:
        slots = CronSlots(" ".join(text for text, _ in fields), change[0])
    except OptionError:
        return
    line = list(islice(slots.after(at), 6))

    assert line == sorted(set(line))
    assert all(slot % MINUTE == 0 for slot in line)
    for place, slot in enumerate(line[:-1]):
        assert list(islice(slots.after(slot), 5 - place)) == line[place + 1 :]
        assert next(slots.after(slot - 1)) == slot


# line, zone, from when, the slots in UTC as HH:MM (with a day where it is another)
ODD_DAYS = [
    # Berlin: 02:00 becomes 03:00 on 29 March; 03:00 becomes 02:00 on 25 October.
    ("30 2 * * *", "Europe/Berlin", "2026-03-28 12:00", ["29 01:00", "30 00:30"]),
    ("0,30 2 * * *", "Europe/Berlin", "2026-03-28 12:00", ["29 01:00", "30 00:00"]),
    ("0 3 * * *", "Europe/Berlin", "2026-03-28 12:00", ["29 01:00", "30 01:00"]),
    ("30 2 * * *", "Europe/Berlin", "2026-10-24 12:00", ["25 00:30", "26 01:30"]),
    ("30 2 * * *", "Europe/Berlin", "2026-10-25 01:10", ["26 01:30"]),  # in the second 2 o'clock
    ("0 * * * *", "Europe/Berlin", "2026-03-28 23:30", ["29 00:00", "29 01:00", "29 02:00"]),
    ("*/30 2 * * *", "Europe/Berlin", "2026-03-28 12:00", ["30 00:00", "30 00:30"]),
    ("*/30 2 * * *", "Europe/Berlin", "2026-10-24 12:00", ["25 00:00", "25 00:30", "25 01:00", "25 01:30"]),
    ("0 9 * * *", "Europe/Berlin", "2026-03-28 12:00", ["29 07:00", "30 07:00"]),
    # New York: 02:00 becomes 03:00 on 8 March; 02:00 becomes 01:00 on 1 November.
    ("15 2 * * *", "America/New_York", "2026-03-07 12:00", ["08 07:00", "09 06:15"]),
    ("30 1 * * *", "America/New_York", "2026-10-31 12:00", ["01 05:30", "02 06:30"]),
    ("0 * * * *", "America/New_York", "2026-11-01 04:30", ["01 05:00", "01 06:00", "01 07:00"]),
    # Lord Howe: half an hour. 02:00 becomes 02:30 on 4 October, 02:00 becomes 01:30 on 5 April.
    ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03 12:00", ["03 15:30", "04 15:15"]),
    ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04 10:00", ["04 14:45", "05 15:15"]),
    ("*/15 2 * * *", "Australia/Lord_Howe", "2026-04-04 10:00", ["04 15:30", "04 15:45", "04 16:00", "04 16:15"]),
    ("*/15 1 * * *", "Australia/Lord_Howe", "2026-04-04 14:10", ["04 14:15", "04 14:30", "04 14:45", "04 15:00", "04 15:15"]),
    # Apia had no 30 December 2011.
    ("0 9 * * *", "Pacific/Apia", "2011-12-29 10:00", ["29 19:00", "30 10:00", "30 19:00"]),
    ("0 9 30 12 *", "Pacific/Apia", "2011-12-01 00:00", ["30 10:00"]),
    ("0 * * * *", "Pacific/Apia", "2011-12-30 08:30", ["30 09:00", "30 10:00"]),
    # Cairo skips midnight.
    ("0 0 * * *", "Africa/Cairo", "2026-04-23 12:00", ["23 22:00", "24 21:00"]),
    # No change, odd offset; what is not there every year; L, #.
    ("0 9 * * *", "Asia/Kathmandu", "2026-01-01 00:00", ["01 03:15", "02 03:15"]),
    ("0 0 29 2 *", "UTC", "2026-01-01 00:00", ["29 00:00"]),
    ("0 0 L * *", "UTC", "2026-02-01 00:00", ["28 00:00", "31 00:00"]),
    ("0 0 * * FRI#2", "UTC", "2026-01-01 00:00", ["09 00:00", "13 00:00"]),
    ("0 0 1 * MON", "UTC", "2026-06-01 00:00", ["08 00:00", "15 00:00"]),
    ("@hourly", "UTC", "2026-06-01 00:10", ["01 01:00"]),
]  # fmt: skip


@pytest.mark.parametrize(("line", "tz", "start", "expected"), ODD_DAYS)
def test_odd_days(line: str, tz: str, start: str, expected: list[str]) -> None:
    """What the clocks skip is met after the gap, once; what comes twice is met the first time."""
    slots = CronSlots(line, tz).after(ms(start))

    found = [
        f"{datetime.fromtimestamp(s / 1000, UTC):%d %H:%M}" for s in islice(slots, len(expected))
    ]
    assert found == expected


@pytest.mark.parametrize("period", [1000, 1500, 60_000, 86_400_000])
def test_intervals_count_from_1970(period: int) -> None:
    """No memory, no drift."""
    at = ms("2026-01-01") + 123
    line = list(islice(Every(period).after(at), 4))

    assert [slot % period for slot in line] == [0] * 4
    assert line[0] > at >= line[0] - period
    assert [b - a for a, b in pairwise(line)] == [period] * 3
    assert next(Every(period).after(line[0] - 1)) == line[0]
    assert latest(Every(period), 0, at, 2) == [line[0] - 2 * period, line[0] - period]


REFUSED = [
    ("0 25 * * *", "hour '25'; expected 0 to 23, *, a range 1-5, a step */2 or a list 1,2; did you mean '25 0 * * *'?"),
    ("60 9 * * *", "minute '60'; expected 0 to 59"),
    ("61 60 * * *", "minute '61'; expected 0 to 59, *, a range 1-5, a step */2 or a list 1,2"),
    ("* 24 * * *", "did you mean '* 0 * * *'?"),
    ("0 9 32 * *", "day of month '32'; expected 1 to 31, L or LW"),
    ("0 9 0 * *", "did you mean '0 9 1 * *'?"),
    ("0 9 * JANU *", "month 'JANU'; expected 1 to 12 or JAN to DEC"),
    ("0 9 * JANU *", "did you mean 'JAN'?"),
    ("0 9 * * 8", "day of week '8'; expected 0 to 7, SUN to SAT"),
    ("0 9 * * FRI-MON", "day of week 'FRI-MON'"),
    ("0 9 * * 5L/2", "day of week '5L/2'"),
    ("0 9 * *", "has 4 fields; expected five"),
    ("9", "has 1 field; expected five"),
    ("0 0 9 * * *", "has six fields; expected five: minute, hour, day of month, month, day of week; for less than a minute use every='10s'"),
    ("0 0 30 2 *", "names a day that no such month has"),
    ("@dayly", "did you mean '@daily'?"),
    ("@reboot", "enqueue a job where your program starts"),
    ("", "expected five fields, as in '0 9 * * *'"),
    (None, "None; expected five fields"),
    (9, "9; expected five fields"),
    ("0 9 * * *" + " " * 300, "expected five fields"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "said"), REFUSED)
def test_a_line_that_makes_no_sense_is_refused(line: str, said: str) -> None:
    """Which field, its range, and what was probably meant."""
    with pytest.raises(OptionError) as refused:
        Cron(line)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Europe/Berln", "did you mean 'Europe/Berlin'?"),
        ("europe/berlin", "did you mean 'Europe/Berlin'?"),
        ("Berlin", "did you mean 'Europe/Berlin'?"),
        ("New York", "did you mean 'America/New_York'?"),
        ("localtime", "'localtime'; expected a zone of the tz database"),
        ("../../etc/passwd", "expected a zone of the tz database"),
        ("Europe", "expected a zone of the tz database"),
        ("", "''; expected a zone"),
        ("a\0b", "expected a zone of the tz database"),
    ],
)
def test_a_zone_that_is_none_is_refused(name: str, said: str) -> None:
    """With the nearest that is one."""
    with pytest.raises(OptionError) as refused:
        slots_of("0 9 * * *", name, 0)
    assert said in str(refused.value)


def test_far_away_ends_and_does_not_fail() -> None:
    """A store's clock may say anything."""
    slots: list[Iterator[int]] = [CronSlots("0 0 * * *", "Europe/Berlin").after(10**15)]

    assert [list(islice(line, 1)) for line in slots] == [[]]
    assert next(CronSlots("0 0 * * *", "Europe/Berlin").after(-5)) == 23 * 3_600_000


def without_zones(code: str, *, package: bool) -> str:
    """Run Python where the machine has no database of zones, with the package tzdata or without."""
    hide = "" if package else "import sys; sys.modules['tzdata'] = None; "
    run = subprocess.run(
        [sys.executable, "-c", hide + code], capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONTZPATH": ""},
    )  # fmt: skip
    return run.stdout


def test_a_machine_without_zones_uses_the_package_and_else_says_what_is_missing() -> None:
    """As in small containers. UTC is known everywhere."""
    code = """
from jobd.core.errors import JobdError
from jobd.core.slots import slots_of
print(next(slots_of('0 9 * * *', 'UTC', 0).after(0)))
try:
    print(next(slots_of('0 9 * * *', 'Europe/Berlin', 0).after(0)))
except JobdError as error:
    print(error)
"""
    assert without_zones(code, package=True).split() == ["32400000", "28800000"]
    said = without_zones(code, package=False)
    assert "32400000" in said
    assert "expected a database of time zones on this machine, and there is none" in said
    assert "install the package tzdata" in said
