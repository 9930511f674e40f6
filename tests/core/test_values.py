"""Durations, names, ids, options: what people write, and what a wrong one is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd.core.config import PROCESS_KEYS
from jobd.core.durations import milliseconds, seconds, words
from jobd.core.errors import OptionError
from jobd.core.ids import uuid7
from jobd.core.names import check_name
from jobd.core.options import (
    FILE_OPTIONS,
    QUEUE_OPTIONS,
    RUN_OPTIONS,
    TASK_OPTIONS,
    check_known,
    read_due,
    read_run_options,
    resolve,
    write_run_options,
)
from jobd.core.retry import Exponential, Fixed, Linear, read_backoff, write_backoff


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("30s", 30.0), ("1h30m", 5400.0), ("250ms", 0.25), (2, 2.0), (0.5, 0.5), ("1.5m", 90.0),
        (timedelta(minutes=2), 120.0),
    ],
)  # fmt: skip
def test_a_duration_is_read(written: object, meant: float) -> None:
    """Text, numbers of seconds and timedeltas mean the same."""
    assert meant == pytest.approx(seconds(written))


@pytest.mark.parametrize(
    "wrong", ["", "5", "soon", "5 parsecs", -1, True, None, float("nan"), "200y", -(10**400)]
)
def test_a_wrong_duration_is_refused_with_its_value(wrong: object) -> None:
    """The message shows what was written and what would do."""
    with pytest.raises(OptionError) as refused:
        milliseconds(wrong, what="delay")

    assert repr(wrong) in str(refused.value)
    assert "'30s'" in str(refused.value)


@pytest.mark.parametrize("endless", ["9999w", 10**400, float("inf")])
def test_a_duration_beyond_all_plans_is_refused(endless: object) -> None:
    """A whole number that is larger than any float too."""
    with pytest.raises(OptionError, match="at most 100 years"):
        seconds(endless)


@given(st.floats(min_value=1, max_value=1e8))
def test_a_span_in_words_is_a_duration(span: float) -> None:
    """What we print, we can read; within the two parts we print."""
    assert seconds(words(span)) == pytest.approx(span, rel=0.05)


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**74 - 1))
def test_an_id_is_a_version_7_uuid_in_order_of_time(ms: int, bits: int) -> None:
    """RFC 9562: version, variant, and time first."""
    made = UUID(uuid7(ms, bits))

    assert made.version == 7
    assert made.variant == "specified in RFC 4122"
    assert ms == made.int >> 80


@pytest.mark.parametrize("wrong", ["", "a b", "ä", "x" * 129, 7, None, "a/b", "a\n"])
def test_a_wrong_name_is_refused(wrong: object) -> None:
    """And told what a name is."""
    with pytest.raises(OptionError, match="1 to 128 characters"):
        check_name(wrong, what="task name")


@given(st.integers(1, 500), st.floats(0, 1, exclude_max=True))
def test_no_backoff_is_negative_or_beyond_its_cap(failures: int, drawn: float) -> None:
    """For any number of failures and any luck."""
    for strategy in (Fixed("3s"), Linear("2s", cap="1m"), Exponential("1s", cap="1m")):
        assert 0 <= strategy.delay(failures, lambda: drawn) <= 60


def test_exponential_doubles_and_jitters_downwards() -> None:
    """base·factor^(n-1), drawn from the jittered share below it."""
    plain = Exponential("2s", jitter=0)
    assert [plain.delay(n, lambda: 0.9) for n in (1, 2, 3, 4)] == [2, 4, 8, 16]
    assert pytest.approx(Exponential("2s", jitter=0.2).delay(3, lambda: 0.5)) == 7.2


@pytest.mark.parametrize("strategy", [Fixed("3s"), Linear("2s"), Exponential("1s", jitter=0.5)])
def test_a_strategy_survives_being_written(strategy: Fixed | Linear | Exponential) -> None:
    """As a call's option travels with its job."""
    assert strategy == read_backoff(write_backoff(strategy))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"kind": "exponental", "base": "1s"}, "did you mean 'exponential'"),
        ({"kind": "fixed", "base": "1s", "cpa": 1}, "cpa: unknown"),
        ({"kind": "fixed"}, "expected kind and base"),
        ("fast", "expected Fixed"),
        ({"kind": "exponential", "factor": True}, "factor: True; expected a number from 1"),
        ({"kind": "exponential", "jitter": True}, "jitter: True; expected a number from 0"),
        ({"kind": "exponential", "jitter": False}, "jitter: False; expected a number from 0"),
    ],
)
def test_a_wrong_backoff_is_told_the_right_one(wrong: object, said: str) -> None:
    """The nearest right name, or the shape."""
    with pytest.raises(OptionError, match=said):
        read_backoff(wrong)


def test_the_stronger_level_wins_field_by_field() -> None:
    """Built-in < queue < task < call; also inside retain."""
    queue = read_run_options(
        {"attempts": 5, "retain": {"completed": {"age": "1h", "count": 7}}}, what="queue"
    )
    task = read_run_options({"timeout": "9s", "retain": {"completed": {"age": "2h"}}}, what="task")
    call = read_run_options({"attempts": 2}, what="call")

    policy = resolve(queue, task, call)
    assert (
        policy.attempts, policy.timeout, policy.completed_ms, policy.completed_count,
        policy.max_crashes,
    ) == (2, 9.0, 7_200_000, 7, 3)  # fmt: skip


def test_what_a_call_says_survives_being_written() -> None:
    """The worker reads what the producer meant."""
    said = read_run_options(
        {
            "attempts": 2,
            "backoff": Fixed(1),
            "timeout": 3,
            "soft_timeout": 2,
            "retain": {"dead": {"age": "1d"}},
        },
        what="call",
    )

    assert said == read_run_options(write_run_options(said), what="call")


@pytest.mark.parametrize("name", ["concurrency", "processes", "memory_limit"])
def test_what_is_said_of_processes_is_told_its_place(name: str) -> None:
    """Many look for it in the code. All that the file says of processes, and nothing else, is known so."""
    with pytest.raises(
        OptionError, match=rf"^queue 'q': unknown option '{name}'.*; it is set in jobd.toml"
    ):
        check_known({name: 5}, QUEUE_OPTIONS, what="queue 'q'")
    assert {*FILE_OPTIONS, "app"} == PROCESS_KEYS.keys()


@pytest.mark.parametrize("name", ["delay", "expires", "group", "meta", "job_id"])
def test_what_is_said_of_one_job_is_told_its_place(name: str) -> None:
    """It belongs to the call."""
    for known, what in ((QUEUE_OPTIONS, "queue 'q'"), (TASK_OPTIONS, "task 't'")):
        with pytest.raises(
            OptionError, match=rf"unknown option '{name}'.*; .*using\({name}=\.\.\.\)"
        ):
            check_known({name: "x"}, known, what=what)


def test_an_unknown_option_is_told_the_nearest() -> None:
    """Wherever options are given."""
    with pytest.raises(OptionError, match="did you mean 'attempts'"):
        check_known({"atempts": 1}, RUN_OPTIONS, what="task")


def test_due_times() -> None:
    """A delay counts from Redis' clock, a time must have a zone."""
    assert read_due({"delay": "1500ms"}, what="call") == "+1500"
    assert read_due({"run_after": datetime.fromtimestamp(1, UTC)}, what="call") == "1000"
    with pytest.raises(OptionError, match="time zone"):
        read_due({"run_after": datetime(2026, 1, 1)}, what="call")  # noqa: DTZ001
    with pytest.raises(OptionError, match="one of the two"):
        read_due({"delay": 1, "run_after": datetime.now(UTC)}, what="call")
