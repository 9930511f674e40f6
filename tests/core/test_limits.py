"""Rate limits and caps as people write them, in code and in jobd.toml."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobd import Jobd, Throttle
from jobd.core.config import Config, load
from jobd.core.errors import ConfigError, OptionError
from jobd.core.limits import Limits, read_limits, resolve_limits
from jobd.core.options import Policy, resolve
from jobd.core.verdict import Counters, Postpone, after_error

POLICY: Policy = resolve()


def limits_of(*levels: dict[str, object]) -> Limits:
    return resolve_limits(*(read_limits(level, what="q") for level in levels))


def test_what_is_said_later_goes_before_and_what_is_not_said_stays() -> None:
    """The file before code; false and 0 lift what code has set."""
    code: dict[str, object] = {"rate_limit": {"max": 100, "per": "1m"}, "max_active": 5}
    assert limits_of({}) == Limits()
    assert limits_of(code) == Limits(rate_max=100, rate_ms=60_000, max_active=5)
    assert limits_of(code, {"max_active": 7}).max_active == 7
    assert limits_of(code, {"max_active": 7}).rate_max == 100
    per_second: dict[str, object] = {"rate_limit": {"max": 3, "per": timedelta(seconds=1)}}
    assert limits_of(code, per_second).rate_ms == 1000
    assert limits_of(code, {"rate_limit": False, "max_active": 0}) == Limits()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"rate_limit": 100}, "rate_limit: 100; expected {'max': 100, 'per': '1m'}, or false"),
        ({"rate_limit": True}, "rate_limit: True; expected"),
        ({"rate_limit": None}, "rate_limit: None; expected"),
        ({"rate_limit": {"max": 5}}, "rate_limit.per: not set; expected both"),
        ({"rate_limit": {"per": "1s"}}, "rate_limit.max: not set; expected both"),
        (
            {"rate_limit": {"mx": 5, "per": "1s"}},
            "mx: unknown; expected max, per; did you mean 'max'",
        ),
        ({"rate_limit": {"max": 0, "per": "1s"}}, "max: 0; expected a whole number from 1"),
        ({"rate_limit": {"max": 1.5, "per": "1s"}}, "max: 1.5; expected a whole number"),
        ({"rate_limit": {"max": 1, "per": "1 parsec"}}, "per: '1 parsec'; expected a duration"),
        ({"rate_limit": {"max": 1, "per": "1ms"}}, "per: '1ms'; expected 100ms to 31d"),
        ({"rate_limit": {"max": 1, "per": "40d"}}, "per: '40d'; expected 100ms to 31d"),
        ({"max_active": -1}, "max_active: -1; expected a whole number from 0"),
        ({"max_active": True}, "max_active: True; expected a whole number"),
        ({"max_active": "5"}, "max_active: '5'; expected a whole number"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused_where_it_is_written(
    given: dict[str, object], says: str
) -> None:
    """By the queue in code, and by the file, with the value and what was expected."""
    with pytest.raises(OptionError) as refused:
        Jobd().queue("q", **given)
    assert says in str(refused.value)


def test_the_file_may_say_them_and_is_told_all_that_is_wrong() -> None:
    """With its key path."""
    config = load('[queues.q]\nrate_limit = { max = 9, per = "2s" }\nmax_active = 4', "jobd.toml")
    assert config.queues["q"].limits == {"rate_limit": {"max": 9, "per": "2s"}, "max_active": 4}
    assert load("[queues.q]\nrate_limit = false", "f").queues["q"].limits == {"rate_limit": False}
    assert Config() == load("", "jobd.toml")
    with pytest.raises(ConfigError) as refused:
        load("[queues.q]\nrate_limit = { max = 9 }\nmax_active = -4\nmax_activ = 1", "jobd.toml")
    rate, most, name = refused.value.problems
    assert name.startswith("jobd.toml:4: queues.q.max_activ: unknown key")
    assert rate.startswith("jobd.toml:2: queues.q.rate_limit.per: not set; expected both")
    assert most.startswith("jobd.toml:3: queues.q.max_active: -4; expected a whole number from 0")


def test_a_limit_is_not_a_tasks() -> None:
    """It is told where it belongs."""
    queue = Jobd().queue("q")
    with pytest.raises(
        OptionError, match=r"a limit belongs to the whole queue; set it on the queue"
    ):
        queue.task("t", rate_limit={"max": 1, "per": "1s"})(print)
    with pytest.raises(OptionError, match="belongs to the whole queue"):
        queue.add("t", {}, max_active=1)


def test_a_throttle_is_bounded_and_charged_to_nobody() -> None:
    """From 100 ms to a day; what is no duration is refused where it is raised."""
    delays = [
        after_error(Throttle(span), Counters(failed=1), POLICY, lambda: 0.5)
        for span in ("30s", 0, "400d")
    ]
    counters = Counters(failed=1, throttled=1)
    assert delays == [
        (Postpone(30.0, whole_queue=True), counters),
        (Postpone(0.1, whole_queue=True), counters),
        (Postpone(86_400.0, whole_queue=True), counters),
    ]
    assert str(Throttle("30s")) == "asked the whole queue to wait for 30s"
    with pytest.raises(OptionError, match="Throttle: 'soon'; expected a duration"):
        Throttle("soon")
