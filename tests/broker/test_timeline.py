"""A job's attempts, out of what is recorded: all that is known of each, and nothing that makes no sense."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd.broker.connection import Client
from jobd.broker.new_job import NewJob
from jobd.broker.store import Store, store_ms
from jobd.broker.timeline import Attempt, attempts_of
from jobd.broker.views import JobInfo, Views
from jobd.core.ran import Ran


def info(state: str = "waiting", **fields: Any) -> JobInfo:
    return JobInfo(id="j", queue="q", task="t", state=state, **fields)


FAILED = {
    "kind": "failed", "at": 5000, "worker": "q.1", "host": "web1", "token": 7, "ran_ms": 1000,
    "error": "ValueError: no", "traceback": "Traceback", "note": "why",
}  # fmt: skip
CRASHED = {
    "kind": "crash", "at": 9000, "how": "SIGKILL", "worker": "0123456789abcdef.3", "host": "web2",
    "slot": "q.2", "token": 8, "among": 4,
}  # fmt: skip


def test_a_run_that_ended_well_says_where_and_how_long_it_ran_if_it_left_a_line() -> None:
    ran = Ran(1500, 9, "q.1", "web1")
    [end] = attempts_of(info("completed", finished_at=12_000, ran=ran))
    assert end == Attempt(
        number=1, outcome="completed", started_at=10_500, ended_at=12_000, ran_ms=1500, host="web1",
        slot="q.1", token=9,
    )  # fmt: skip


def test_each_says_when_where_and_how_it_ended() -> None:
    first, second, end = attempts_of(
        info("completed", history=[FAILED, CRASHED], failed=1, crashes=1, finished_at=12_000)
    )

    assert first == Attempt(
        number=1, outcome="failed", started_at=4000, ended_at=5000, ran_ms=1000, host="web1", slot="q.1",
        token=7, error="ValueError: no", traceback="Traceback", note="why",
    )  # fmt: skip
    assert second == Attempt(
        number=2, outcome="crash", ended_at=9000, host="web2", slot="q.2", worker="0123456789abcdef.3",
        token=8, how="SIGKILL", among=4,
    )  # fmt: skip
    assert end == Attempt(number=3, outcome="completed", ended_at=12_000)


def test_what_is_not_kept_leaves_a_gap() -> None:
    """The first line is always there."""
    found = attempts_of(info(history=[FAILED] * 3, failed=30))
    assert [each.number for each in found] == [1, 29, 30]


RETRIED = {"kind": "retried", "at": 9500, "was": "dead"}


def test_what_somebody_did_with_it_is_no_attempt() -> None:
    """Retried by hand, its counters begin anew; the runs before that stay what they were."""
    found = attempts_of(info("active", history=[FAILED, FAILED, RETRIED, CRASHED], crashes=1))
    assert [(each.number, each.outcome) for each in found] == [
        (1, "failed"), (2, "failed"), (3, "crash"), (4, "running"),
    ]  # fmt: skip


def test_what_is_not_kept_since_a_retry_leaves_a_gap_too() -> None:
    history = [FAILED, RETRIED, *[FAILED] * 3]
    found = attempts_of(info(history=history, failed=30))
    assert [each.number for each in found] == [1, 29, 30, 31]


def test_what_runs_is_the_last(client: Client) -> None:
    """By the claim that its worker holds."""
    store = Store(client, "t", "q")
    store.add([NewJob("j", "work", b"{}")])
    store.join("0123456789abcdef.3", 30_000)
    before = store_ms(client)
    store.claim("0123456789abcdef.3", 30_000)

    found = Views(client, "t").info("q", "j")
    assert found is not None
    [attempt] = attempts_of(found)
    assert (attempt.number, attempt.outcome) == (1, "running")
    assert attempt.worker == "0123456789abcdef.3"
    assert attempt.started_at is not None
    assert before <= attempt.started_at <= store_ms(client)


@pytest.mark.parametrize("worker", ["0123456789abcdef.3", 'a"}\n'])
def test_a_lost_run_is_one_of_them(client: Client, worker: str) -> None:
    """It says whose host was gone; what a stranger named does no harm."""
    store = Store(client, "t", "q")
    store.add([NewJob("j", "work", b"{}")])
    store.join(worker, 30_000)
    claim = store.claim(worker, 30_000)
    client.zadd("t:{q}:leases", {worker: 5})
    assert store.reap(worker, "5")

    found = Views(client, "t").info("q", "j")
    assert found is not None
    [attempt] = attempts_of(found)
    named = None if "}" in worker else worker
    assert (attempt.outcome, attempt.worker, attempt.token) == ("lost", named, claim.number)
    assert attempt.ended_at is not None


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from([*FAILED, *CRASHED]),
            st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers()),
        )
    )
)
def test_whatever_stands_there_is_read(history: list[dict[str, Any]]) -> None:
    assert len(attempts_of(info("dead", history=history))) == len(history)
