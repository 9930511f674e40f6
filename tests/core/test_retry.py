"""When a failed job runs again, and when it does not: laws of the verdict, in no time."""

from __future__ import annotations

import functools
import json
import pickle
import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd import Discard, Exponential, Fixed, Linear, Retry, Snooze
from jobd.core.config import load
from jobd.core.errors import ConfigError, OptionError
from jobd.core.options import (
    QUEUE_OPTIONS,
    Policy,
    check_known,
    read_run_options,
    resolve,
    write_run_options,
)
from jobd.core.raised import SHORTEST_SNOOZE
from jobd.core.retry import read_backoff, wait_after
from jobd.core.retry_function import read_function
from jobd.core.verdict import (
    CRASHED_AGAIN,
    Bury,
    Counters,
    Postpone,
    RetryLater,
    Run,
    after_error,
    before_start,
)


def policy(**options: object) -> Policy:
    return resolve(read_run_options({"attempts": 5, "backoff": Fixed("7s"), **options}, what="q"))


UNTOUCHED = Counters()


def judged(error: BaseException, counters: Counters = UNTOUCHED, **options: object) -> object:
    return after_error(error, counters, policy(**options), lambda: 0.5)[0]


# --- the kinds of back-off ---


@given(
    st.sampled_from([Fixed("7s"), Linear("2s", cap="1m"), Exponential("1s", cap="1m", jitter=0.3)]),
    st.integers(1, 10_000),
    st.floats(0, 1, exclude_max=True),
)
def test_a_wait_is_in_the_band_of_its_strategy(
    strategy: Fixed | Linear | Exponential, failures: int, drawn: float
) -> None:
    """Capped, never negative, and below the full delay by at most the jitter (I-18)."""
    wait, note = wait_after(strategy, failures, None, lambda: drawn)
    full = {
        "fixed": 7.0,
        "linear": min(60.0, 2.0 * failures),
        "exponential": min(60.0, 2.0 ** min(failures - 1, 100)),
    }[strategy.kind]
    share = strategy.jitter if isinstance(strategy, Exponential) else 0.0

    assert note == ""
    assert full * (1 - share) - 1e-9 <= wait <= full


def test_jitter_spreads_a_herd_evenly() -> None:
    """A thousand jobs that failed together: uniform over the band (Kolmogorov-Smirnov, 1 %)."""
    draw = random.Random(18).random
    strategy = Exponential("64s", cap="64s", jitter=0.5)
    n = 1000
    waits = sorted((strategy.delay(1, draw) - 32) / 32 for _ in range(n))

    distance = max(max((i + 1) / n - x, x - i / n) for i, x in enumerate(waits))
    assert distance < 1.63 / n**0.5
    bins = [sum(b / 10 <= x < (b + 1) / 10 for x in waits) for b in range(10)]
    assert max(bins) <= 3 * n / 10


# --- a function of the application ---


@pytest.mark.parametrize("returned", [90, 90.0, "90s", "1m30s", timedelta(seconds=90)])
def test_a_function_gives_any_duration(returned: object) -> None:
    """Seconds, text and timedeltas mean the same, as everywhere."""
    assert judged(ValueError(), backoff=lambda failures: returned) == RetryLater(90.0)


def test_a_function_is_told_the_failures_and_the_error() -> None:
    """One parameter gets the number alone, two the error too; None after a timeout."""
    told: list[object] = []

    def wait(failures: int, error: BaseException | None) -> int:
        told.append((failures, error))
        return failures * 10

    error = ValueError("no")
    used = Counters(failed=1, timeouts=1)
    assert judged(error, used, backoff=wait) == RetryLater(30.0)
    verdict = before_start(used, policy(backoff=wait), lambda: 0.5, ended="timeouts")
    assert verdict == RetryLater(20.0)
    assert told == [(3, error), (2, None)]
    assert judged(error, used, backoff=lambda failures: failures) == RetryLater(3.0)


class Unspeakable(Exception):
    """Its own text raises."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


def raises(error: BaseException) -> Any:
    def wait(failures: int) -> float:
        raise error

    return wait


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (raises(ValueError("no such table")), "raised ValueError: no such table"),
        (raises(SystemExit(3)), "raised SystemExit: 3"),
        (raises(Unspeakable()), "raised Unspeakable"),
        (raises(ValueError("\udcff" * 10_000)), "raised ValueError"),
        (lambda failures: None, "it returned: None; expected a duration"),
        (lambda failures: "soon", "it returned: 'soon'; expected a duration"),
        (lambda failures: -1, "it returned: -1; expected a duration"),
        (lambda failures: True, "it returned: True; expected a duration"),
        (lambda failures: float("nan"), "it returned: nan; expected a duration"),
        (lambda failures: 10**400, "expected at most 100 years"),
        (lambda failures: Unspeakable(), "returned what raised RuntimeError"),
        (lambda failures: "x" * 10_000, "it returned: 'xxx"),
    ],
)
def test_a_function_that_is_no_use_costs_no_job(function: Any, said: str) -> None:
    """The default's wait is taken, and a note of bounded length says why."""
    verdict = judged(ValueError(), backoff=function)

    assert isinstance(verdict, RetryLater)
    assert verdict.delay == 2.5  # half of the default's first wait, by the number drawn
    assert said in verdict.note
    assert "waited by the default" in verdict.note
    assert len(verdict.note) < 2500
    json.dumps(verdict.note).encode("utf-8")
    verdict.note.encode("utf-8")


async def later(failures: int) -> int:
    return failures


class Waits:
    """A callable object."""

    def __call__(self, failures: int) -> int:
        return failures * 100


class WaitsLater:
    """One that nobody can wait for."""

    async def __call__(self, failures: int) -> int:
        return failures


@pytest.mark.parametrize("function", [Waits(), functools.partial(pow, 100)])
def test_whatever_can_be_called_is_a_function(function: Any) -> None:
    """Objects and partials too; they have a name for the history."""
    assert judged(ValueError(), backoff=function) == RetryLater(100.0)
    assert "." in read_function(function, what="backoff").name


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (later, "an async function"),
        (WaitsLater(), "an async function"),
        (lambda: 3, "no required parameters"),
        (lambda a, b, c: 3, "3 required parameters"),
        (lambda *, failures: 3, "required parameters"),
        (Exponential, "expected Fixed"),
        (int, "expected Fixed"),
        (max, "no required parameters"),
    ],
)
def test_a_function_that_cannot_be_asked_is_refused_where_it_is_written(
    wrong: object, said: str
) -> None:
    """Also a strategy without its parentheses."""
    with pytest.raises(OptionError, match=said):
        read_backoff(wrong)


def test_a_function_does_not_travel_with_a_call() -> None:
    """It is told to name it on the task."""
    said = read_run_options({"backoff": lambda failures: 3}, what="task 't'")
    with pytest.raises(OptionError, match="give the task the function"):
        write_run_options(said, what="task 't'")


# --- which errors are tried again ---


class Declined(Exception):
    """Not to be tried again."""


class DeclinedForGood(Declined):
    """Nor this."""


@pytest.mark.parametrize(
    ("options", "error", "tried_again"),
    [
        ({}, ValueError(), True),
        ({"give_up_on": Declined}, ValueError(), True),
        ({"give_up_on": Declined}, DeclinedForGood(), False),
        ({"give_up_on": (KeyError, Declined)}, Declined(), False),
        ({"retry_on": (OSError, KeyError)}, TimeoutError(), True),
        ({"retry_on": (OSError, KeyError)}, ValueError(), False),
        ({"retry_on": OSError, "give_up_on": TimeoutError}, ConnectionError(), True),
        ({"retry_on": OSError, "give_up_on": TimeoutError}, TimeoutError(), False),
        ({"retry_on": ()}, ValueError(), False),
        ({"give_up_on": ()}, ValueError(), True),
        ({"give_up_on": Declined}, ExceptionGroup("g", [ValueError(), Declined()]), False),
        ({"retry_on": OSError}, ExceptionGroup("g", [OSError(), TimeoutError()]), True),
        ({"retry_on": OSError}, ExceptionGroup("g", [OSError(), ValueError()]), False),
        ({"retry_on": ExceptionGroup}, ExceptionGroup("g", [ValueError()]), True),
    ],
)
def test_give_up_on_wins_and_retry_on_says_what_else(
    options: dict[str, object], error: BaseException, tried_again: bool
) -> None:
    """By type, subclasses too, as `except` does; of a group its members count."""
    verdict = judged(error, **options)

    if tried_again:
        assert verdict == RetryLater(7.0)
    else:
        assert isinstance(verdict, Bury)
        assert verdict.cause == "failed"
        assert "not tried again" in verdict.note


def test_timeouts_are_tried_again_whatever_the_lists_say() -> None:
    """No exception was raised: the process was ended."""
    strict = policy(retry_on=(), give_up_on=BaseException)

    verdict = before_start(Counters(timeouts=1), strict, lambda: 0.5, ended="timeouts")
    assert verdict == RetryLater(7.0)


def test_a_stronger_level_replaces_the_lists_of_a_weaker_one() -> None:
    """They are not added up: () is how a task takes back what its queue says."""
    queue = read_run_options({"give_up_on": ValueError}, what="queue")
    task = read_run_options({"give_up_on": (), "attempts": 2}, what="task")

    again = after_error(ValueError(), Counters(), resolve(queue, task), lambda: 0.5)[0]
    assert isinstance(again, RetryLater)
    given_up = after_error(ValueError(), Counters(), resolve(queue), lambda: 0.5)[0]
    assert isinstance(given_up, Bury)


def test_the_types_of_a_call_travel_as_names() -> None:
    """The worker compares names with those of the error's classes, and imports nothing."""
    said = read_run_options({"retry_on": OSError, "give_up_on": (Declined,)}, what="call")
    written = json.loads(json.dumps(write_run_options(said)))
    read = read_run_options(written, what="the job's options", by_name=True)

    merged = resolve(read_run_options({"attempts": 3}, what="q"), read)
    outcomes = {
        type(error): type(after_error(error, Counters(), merged, lambda: 0.5)[0])
        for error in (DeclinedForGood(), TimeoutError(), ValueError())
    }
    assert outcomes == {DeclinedForGood: Bury, TimeoutError: RetryLater, ValueError: Bury}


def test_a_type_that_workers_cannot_know_is_refused_in_a_call() -> None:
    """One of a function's inside, or of the program that was started."""

    class Mine(Exception):
        pass

    for kind in (Mine, type("Odd", (Exception,), {"__module__": "__main__"})):
        said = read_run_options({"give_up_on": kind}, what="call")
        with pytest.raises(OptionError, match="know by the same name"):
            write_run_options(said, what="call")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("ValueEror", "did you mean 'ValueError'"),
        (["TimeoutError"], "'TimeoutError', a text; expected exception types"),
        (ValueError("x"), "without parentheses"),
        (int, "builtins.int, which is no exception"),
        (None, "None; expected exception types"),
        (Retry, "Retry says itself what is to happen"),
    ],
)
def test_what_is_no_exception_type_is_refused_where_it_is_written(wrong: object, said: str) -> None:
    """With what was written, and the nearest right name."""
    with pytest.raises(OptionError, match=said):
        read_run_options({"retry_on": wrong}, what="task 't'")


def test_a_misspelt_list_is_told_its_name() -> None:
    """In code the nearest name; in jobd.toml where it belongs."""
    with pytest.raises(OptionError, match="did you mean 'give_up_on'"):
        check_known({"giveup_on": ValueError}, QUEUE_OPTIONS, what="task 't'")
    with pytest.raises(ConfigError, match=r"queues\.q\.retry_on: .*set it on the queue or task"):
        load("[queues.q]\nretry_on = ['OSError']", "jobd.toml")


# --- what a task may raise ---


def test_retry_is_a_failed_attempt_with_a_wait_of_its_own() -> None:
    """It goes before the lists; without `after` the back-off holds."""
    wish = Retry(after="5m")
    verdict, after = after_error(wish, Counters(failed=1), policy(), lambda: 0.5)
    assert (verdict, after) == (RetryLater(300.0), Counters(failed=2))
    assert judged(wish, give_up_on=Exception, retry_on=()) == RetryLater(300.0)
    assert judged(Retry(), give_up_on=Exception) == RetryLater(7.0)
    assert judged(Retry(after=0)) == RetryLater(0.0)
    assert str(wish) == "asked to run again after 5m"


def test_retry_without_an_attempt_left_is_a_death_that_says_so() -> None:
    """`attempts` is 1 unless it was said otherwise: who forgot that must be able to see it."""
    verdict = judged(Retry(after="5m"), attempts=1)

    assert isinstance(verdict, Bury)
    assert verdict.cause == "failed"
    assert "no attempt is left of 1, see `attempts`" in verdict.note


def test_a_back_off_function_is_given_the_retry_it_is_for() -> None:
    """So that it may look at what it was raised from."""
    told: list[object] = []
    wish = Retry()
    judged(wish, backoff=lambda failures, error: told.append(error) or 1)

    assert told == [wish]


@given(st.integers(0, 10), st.integers(0, 10), st.integers(0, 10**6))
def test_snooze_and_discard_use_up_nothing(failed: int, timeouts: int, snoozed: int) -> None:
    """Whatever came before, also with no attempt left."""
    before = Counters(failed=failed, timeouts=timeouts, snoozed=snoozed)
    verdict, after = after_error(Snooze("1h"), before, policy(), lambda: 0.5)
    assert verdict == Postpone(3600.0)
    assert after == Counters(failed=failed, timeouts=timeouts, snoozed=snoozed + 1)
    verdict, after = after_error(Discard("sold out"), before, policy(), lambda: 0.5)
    assert (verdict, after) == (Bury("discarded"), before)


@pytest.mark.parametrize("short", [0, "1ms", 0.999])
def test_a_snooze_cannot_spin(short: Any) -> None:
    """It costs no attempt, so it has a least delay."""
    assert Snooze(short).delay == SHORTEST_SNOOZE


def test_what_a_task_asks_for_comes_out_of_a_task_group_too() -> None:
    """Alone in an exception group it is meant; beside other errors it is one of several."""
    nested = ExceptionGroup("a", [ExceptionGroup("b", [Snooze("1h")])])
    assert judged(nested) == Postpone(3600.0)
    assert judged(ExceptionGroup("a", [Snooze("1h"), ValueError()])) == RetryLater(7.0)


def test_nonsense_is_refused_where_it_is_raised() -> None:
    """The task fails with what was wrong about it."""
    with pytest.raises(OptionError, match="Retry: after: 'soon'; expected a duration"):
        Retry(after="soon")
    with pytest.raises(OptionError, match="Snooze: -1; expected a duration"):
        Snooze(-1)


@pytest.mark.parametrize("wish", [Retry(after="5m", why="busy"), Discard("old"), Snooze("1h")])
def test_what_a_task_raises_survives_the_way_out_of_a_process_pool(
    wish: Retry | Discard | Snooze,
) -> None:
    """A task may use processes of its own."""
    copy = pickle.loads(pickle.dumps(wish))

    assert (type(copy), vars(copy), str(copy)) == (type(wish), vars(wish), str(wish))


def test_after_a_second_crash_others_go_first() -> None:
    """The first may have been bad luck: it runs again at once."""

    def judge(crashes: int) -> object:
        return before_start(
            Counters(crashes=crashes), policy(max_crashes=4), lambda: 0.5, ended="crashes"
        )

    assert judge(1) == Run()
    assert judge(2) == judge(3) == RetryLater(CRASHED_AGAIN, "crashed again, so others go first")
    assert judge(4) == Bury("poison")
    put_off_already = before_start(Counters(crashes=2), policy(), lambda: 0.5)
    assert put_off_already == Run()
