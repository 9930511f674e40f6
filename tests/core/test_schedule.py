"""Schedules as they are written: read, compared, refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from jobd import Exponential, Unique
from jobd.core.config import load
from jobd.core.errors import ConfigError, NotSerializable, OptionError
from jobd.core.schedule import Declared, encode_args, job_id, read_schedule


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "schedule 'n': neither cron nor every; expected one of the two"),
        ({"cron": "0 9 * * *", "every": "5m"}, "schedule 'n': cron and every; expected one"),
        ({"cron": "0 25 * * *"}, "schedule 'n': cron: '0 25 * * *': hour '25'; expected 0 to 23"),
        ({"cron": "0 9 * * *", "tz": "Europe/Berln"}, "schedule 'n': tz: 'Europe/Berln'; expected a zone"),
        ({"cron": "0 9 * * *", "tz": 5}, "tz: '5'"),
        ({"cron": ["0 9 * * *"]}, "cron: ['0 9 * * *']; expected five fields"),
        ({"every": "5 minutes"}, "schedule 'n': every: '5 minutes'; expected a duration"),
        ({"every": "0.1s"}, "schedule 'n': every: '0.1s'; expected at least 1s"),
        ({"every": "5m", "tz": "UTC"}, "an interval has no zone; drop tz"),
        ({"every": "5m", "missed": "lates"}, "missed: 'lates'; expected all, latest, skip; did you mean 'latest'?"),
        ({"every": "5m", "options": {"priorty": 1}}, "unknown option 'priorty'"),
        ({"every": "5m", "options": {"delay": "5m"}}, "unknown option 'delay'"),
        ({"every": "5m", "options": {"expires": 0}}, "expires: 0; expected a time"),
        ({"every": "5m", "options": {"attempts": 0}}, "attempts: 0"),
        ({"every": "5m", "name": "n" * 101}, "has 101 characters; expected at most 100"),
        ({"every": "5m", "name": "daily digest"}, "'daily digest'; expected 1 to 128 characters"),
        ({"every": "5m", "task": ""}, "schedule 'n': task: ''"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(given: dict[str, Any], said: str) -> None:
    """With the value, what was expected, and what was probably meant."""
    with pytest.raises(OptionError) as refused:
        read_schedule(given.pop("name", "n"), given.pop("task", "t"), **given)
    assert said in str(refused.value)


def test_what_says_the_same_is_the_same() -> None:
    """However it is written."""
    one = read_schedule("n", "t", cron="0  9 * * *")
    options = {"attempts": 3, "backoff": Exponential("2s"), "expires": "1h"}

    assert one == read_schedule("n", "t", cron=" 0 9 * * * ", tz="UTC", args=b"{}")
    assert read_schedule("n", "t", every="5m").version == read_schedule("n", "t", every=300).version
    assert one.version != read_schedule("n", "t", cron="0 9 * * *", tz="Europe/Berlin").version
    full = read_schedule("n", "t", cron="@daily", missed="skip", options=options, priority=2)
    assert msgspec.json.decode(msgspec.json.encode(full), type=type(full)) == full
    assert (full.priority, full.expires_ms, full.when) == (2, 3_600_000, "@daily (UTC)")
    assert '"attempts":3' in full.options


@pytest.mark.parametrize(
    ("slot", "name"),
    [(0, "n:1970-01-01T00:00:00Z"), (1_800_000_000_000, "n:2027-01-15T08:00:00Z"),
     (1_800_000_001_500, "n:2027-01-15T08:00:01.500Z")],
)  # fmt: skip
def test_the_job_of_a_slot_is_named_for_it(slot: int, name: str) -> None:
    """A name of jobd's alphabet, the same on every host."""
    assert job_id("n", slot) == name


def test_a_file_says_what_code_says() -> None:
    """[[schedules]] of jobd.toml."""
    config = load(
        """
        [[schedules]]
        name = "digest"
        queue = "reports"
        task = "digest"
        args = { user_id = 7 }
        cron = "0 9 * * *"
        tz = "Europe/Berlin"
        missed = "skip"
        priority = 2
        expires = "1h"
        attempts = 3
        unique = { by = "user_id" }
        group = "mail"
        meta = { team = "shop" }
        [[schedules]]
        name = "tidy"
        queue = "reports"
        task = "tidy"
        every = "5m"
        unique = { until = "started", replace = true }
        group = "night"
        meta = { owner = "ops" }
        """,
        "f",
    )
    digest = read_schedule(
        "digest", "digest", args=b'{"user_id":7}', cron="0 9 * * *", tz="Europe/Berlin",
        missed="skip", options={
            "priority": 2, "expires": "1h", "attempts": 3, "unique": Unique(by="user_id"),
            "group": "mail", "meta": {"team": "shop"},
        },
    )  # fmt: skip

    labelled = {
        "unique": Unique(until="started", replace=True),
        "group": "night",
        "meta": {"owner": "ops"},
    }
    assert config.schedules == [
        Declared("reports", digest),
        Declared("reports", read_schedule("tidy", "tidy", every="5m", options=labelled)),
    ]
    assert msgspec.json.decode(msgspec.json.encode(config), type=type(config)) == config


def test_all_that_is_wrong_in_a_file_is_told_at_once() -> None:
    """File, place, value, what was expected, the nearest right one."""
    with pytest.raises(ConfigError) as refused:
        load(
            """
            [[schedules]]
            name = "a b"
            queue = "q"
            cron = "0 25 * * *"
            tz = "Europe/Berln"
            mised = "skip"
            missed = "lates"
            attempts = 0
            args = 5
            every = "0.1s"
            expires = "soon"
            delay = "5m"
            unique = { untl = "started" }
            group = "a b"
            [[schedules]]
            name = "n"
            queue = "q"
            task = "t"
            [[schedules]]
            name = "n"
            queue = "q"
            task = "t"
            every = "5m"
            tz = "UTC"
            [[schedules]]
            name = "twice"
            queue = "q"
            task = "t"
            every = "5m"
            [[schedules]]
            name = "twice"
            queue = "q"
            task = "t"
            cron = "0 0 31 2 *"
            [[schedules]]
            name = "twice"
            queue = "q"
            task = "t"
            cron = "0 0 * * *"
            """,
            "f.toml",
        )
    problems = refused.value.problems
    for said in (
        "f.toml:3: schedules[0].name: 'a b'; expected 1 to 128 characters",
        "f.toml:2: schedules[0].task: not set",
        "f.toml:5: schedules[0].cron: '0 25 * * *': hour '25'; expected 0 to 23",
        "f.toml:6: schedules[0].tz: 'Europe/Berln'; expected a zone of the tz database, as in 'Europe/Berlin' or 'UTC'; did you mean 'Europe/Berlin'?",
        "f.toml:7: schedules[0].mised: unknown key; expected",
        "f.toml:8: schedules[0].missed: 'lates'; expected all, latest, skip; did you mean 'latest'?",
        "f.toml:9: schedules[0].attempts: 0",
        "f.toml:10: schedules[0].args: 5; expected a table",
        "f.toml:11: schedules[0].every: '0.1s'; expected at least 1s",
        "f.toml:12: schedules[0].expires: 'soon'; expected a duration",
        "f.toml:14: schedules[0].unique.untl: unknown; expected by, key, replace, ttl, until; did you mean 'until'?",
        "f.toml:15: schedules[0].group: 'a b'; expected 1 to 128",
        "f.toml:13: schedules[0].delay: a schedule's slot is its job's time",
        "f.toml:2: schedules[0]: both cron and every",
        "f.toml:16: schedules[1]: neither cron nor every",
        "f.toml:25: schedules[2].tz: an interval has no zone",
        "f.toml:35: schedules[4].cron: '0 0 31 2 *' names a day that no such month has",
        "f.toml:37: schedules[5].name: 'twice' is the name of schedules[3] on the same queue",
    ):
        assert [problem for problem in problems if problem.startswith(said)], (said, problems)
    assert len(problems) == 18, problems


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schedules = 5", "f:1: schedules: 5; expected tables, each begun with [[schedules]]"),
        ("schedules = [5]", "f:1: schedules[0]: 5; expected a table"),
        (
            "[schedules]\nname = 'n'",
            "f:1: schedules: {'name': 'n'}; expected tables, each begun with [[schedules]]",
        ),
    ],
)
def test_what_is_no_list_of_tables_is_refused(text: str, said: str) -> None:
    """And does not break the reading."""
    with pytest.raises(ConfigError) as refused:
        load(text, "f")
    assert refused.value.problems[0].startswith(said)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"unique": {"until": "ended"}}, "expected finished, started, ttl"),
        ({"unique": {"by": "user"}}, "did you mean 'user_id'"),
        ({"group": "two words"}, "1 to 128 characters"),
        ({"meta": 7}, "expected a small dict"),
        ({"on_duplicate": "skip"}, "unknown option"),
    ],
)
def test_what_a_job_of_a_schedule_may_not_say(options: dict[str, object], said: str) -> None:
    """Refused where it is written, as in a call."""
    with pytest.raises(OptionError, match=said):
        read_schedule("n", "t", cron="@daily", args='{"user_id": 1}', options=options)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_does_not_know_are_refused_in_arguments(number: float) -> None:
    with pytest.raises(NotSerializable, match="NaN or infinity"):
        encode_args({"n": [number]}, what="args")
    assert encode_args({"n": None}, what="args") == '{"n":null}'
