"""Simple lines of cron in words; the others have none."""

from __future__ import annotations

import pytest

from jobd.core.cron_words import cron_words

SIMPLE = {
    "* * * * *": "every minute",
    "*/5 * * * *": "every 5 minutes",
    "0 * * * *": "every hour",
    "15 * * * *": "every hour at :15",
    "0 */2 * * *": "every 2 hours",
    "0 9 * * *": "every day at 09:00",
    " 5  4 * * sun,WED ": "Sundays and Wednesdays at 04:05",
    "30 17,9 * * 1-5": "Monday to Friday at 09:30 and 17:30",
    "*/10 * * * MON": "every 10 minutes, Mondays",
    "0 9 * * 0,7": "Sundays at 09:00",
    "0 0 1 * *": "on the 1st of each month at 00:00",
    "0 0 12 * *": "on the 12th of each month at 00:00",
    "0 0 L * *": "on the last day of each month at 00:00",
    "0 8 3 JAN *": "on the 3rd of January at 08:00",
    "0 8 22 12 *": "on the 22nd of December at 08:00",
    "@daily": "every day at 00:00",
    "@Weekly": "Sundays at 00:00",
}
# A step that does not divide the hour begins anew with each; two fields of days are met by either.
OTHERS = (
    "*/7 * * * *", "0 */5 * * *", "* 9 * * *", "0 9-17 * * *", "0 9 13 * 5", "0 9 * * MON#2",
    "0 9 * * */2", "0 9 1,15 * *", "0 9 1 1-3 *", "1,2 9 * * *", "0 1,2,3,4,5 * * *",
    "0 9 * * 1,2,3,4,5", "0 9 * 3 *", "no line", "", "61 * * * *", "\0 * * * *",
)  # fmt: skip


@pytest.mark.parametrize("line", SIMPLE)
def test_a_simple_line_is_said_in_words(line: str) -> None:
    assert cron_words(line) == SIMPLE[line]


@pytest.mark.parametrize("line", OTHERS)
def test_what_is_not_simple_has_no_words(line: str) -> None:
    assert cron_words(line) is None
