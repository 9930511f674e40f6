"""Why a job has not run, and when it will: one explanation for each reason there is."""

from __future__ import annotations

from typing import Any

import pytest

from jobd.core.states import DEAD_CAUSES
from jobd.core.why import Explanation, explain
from jobd.core.why_facts import Busy, JobFacts, QueueFacts

NOW = 1_900_000_000_000
SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000
SERVED: dict[str, Any] = {"leases": {"w.1": NOW + 20 * SECOND}, "idle": 1}


def asked(job: dict[str, Any], queue: dict[str, Any] | None = None) -> Explanation:
    base = {"id": "j", "queue": "email", "task": "welcome", "state": "waiting"}
    facts = QueueFacts(now=NOW, **({"ahead": 0, "waiting": 1} | SERVED | (queue or {})))
    return explain(JobFacts(**base | job), facts, lambda at: f"T{(at - NOW) / SECOND:+g}s")


def words(said: Explanation) -> list[str]:
    return [reason.word for reason in said.reasons]


def test_the_next_in_line_starts_now() -> None:
    """A worker is idle."""
    said = asked({})
    assert (words(said), said.starts_at) == ([], NOW)
    assert said.when == "now: it is the next, and a slot is free"


def test_a_delay_says_until_when_and_how_not_to_wait() -> None:
    """Asked for when it was added."""
    said = asked({"state": "delayed", "due_at": NOW + HOUR}, {"ahead": None})
    [reason] = said.reasons
    assert (reason.word, reason.until) == ("delayed", NOW + HOUR)
    assert reason.do == "`jobd jobs run-now j` does not wait"
    assert (said.starts_at, said.when) == (NOW + HOUR, "T+3600s")


def test_a_retry_says_which_and_after_what() -> None:
    """Delayed, or in line again; of how many where the call said so."""
    job = {
        "failed": 1, "timeouts": 1, "error": "SMTPError:\n down", "due_at": NOW + MINUTE,
        "options": {"attempts": 5}, "history": [{"error": "SMTPError:\n down"}], "snoozed": 2,
    }  # fmt: skip
    [reason] = asked(job | {"state": "delayed"}, {"ahead": None}).reasons
    assert reason.word == "retry"
    assert reason.text == "attempt 3 of 5 is due T+60s, after SMTPError: down"
    [reason] = asked(job | {"due_at": None}).reasons
    assert reason.text == "attempt 3 of 5 is due, after SMTPError: down"


def test_a_snooze_is_told_from_a_retry() -> None:
    """By which of the two wrote the error last."""
    job = {"state": "delayed", "due_at": NOW + HOUR, "snoozed": 1, "error": "Snooze: closed"}
    [reason] = asked(job).reasons
    assert (reason.word, reason.text) == (
        "snoozed", "its task put it off until T+3600s: Snooze: closed",
    )  # fmt: skip
    after = {"failed": 1, "history": [{"kind": "failed", "error": "ValueError"}]}
    assert words(asked(job | after)) == ["snoozed"]
    assert words(asked(job | after | {"error": "ValueError"})) == ["retry"]


def test_a_name_that_nobody_knows() -> None:
    """Parked; and what is to be done."""
    line = "no worker knows the task 'welcome'; deploy the code that declares it"
    job = {"state": "delayed", "due_at": NOW + SECOND, "parked_since": NOW - HOUR, "error": line}
    [reason] = asked(job).reasons
    assert reason.word == "unknown_task"
    assert "no worker knows the task 'welcome', since T-3600s" in reason.text
    assert reason.do is not None
    assert reason.do.startswith("deploy the code that declares it")
    [reason] = asked(job | {"state": "waiting"}).reasons
    assert reason.text == "no worker that took it has known the task 'welcome', since T-3600s"
    for state in ("delayed", "waiting"):
        said = asked(job | {"state": state})
        assert (said.starts_at, said.when) == (None, "not before that has changed: unknown_task")


def test_a_paused_queue_holds_all_of_its_jobs() -> None:
    """Delayed ones too; nobody can say until when."""
    queue = {"paused_since": NOW - MINUTE, "paused_why": "the provider is down"}
    said = asked({}, queue)
    [reason] = said.reasons
    assert reason.text == "queue 'email' is paused since T-60s: the provider is down"
    assert (reason.do, said.starts_at) == ("`jobd queues resume email`", None)
    assert said.when == "not before that has changed: paused"
    assert words(asked({"state": "delayed", "due_at": NOW + HOUR}, queue)) == ["delayed", "paused"]


def test_a_paused_task_holds_its_jobs() -> None:
    """Whether it was set aside already or still stands in line."""
    for job in ({}, {"state": "delayed", "due_at": None}):
        [reason] = asked(job, {"task_paused": True}).reasons
        assert reason.word == "task_paused"
        assert reason.do == "`jobd queues resume email --task welcome`"
    later = {"state": "delayed", "due_at": NOW + HOUR}
    assert words(asked(later, {"task_paused": True})) == ["delayed", "task_paused"]
    assert words(asked({"state": "delayed"}, {"task_resuming": True})) == ["resumed"]


def test_a_queue_without_workers() -> None:
    """None at all, or none that lives."""
    [reason] = asked({}, {"leases": {}, "idle": 0}).reasons
    assert (reason.word, reason.text) == ("no_workers", "no worker serves queue 'email'")
    [reason] = asked({}, {"leases": {"w.1": NOW - MINUTE, "w.2": 0}, "idle": 0}).reasons
    assert reason.text.endswith("the last one was heard of 1m ago or before")
    assert reason.do is not None
    assert "jobd run" in reason.do


def test_a_queue_that_is_held_back_by_a_task() -> None:
    """Until then, and by whom; past that nothing is said."""
    said = asked({}, {"held_until": NOW + MINUTE, "held_by": "j7"})
    [reason] = said.reasons
    assert (reason.word, reason.until, said.starts_at) == ("throttled", NOW + MINUTE, NOW + MINUTE)
    assert reason.text == "queue 'email' is held back until T+60s, asked for by job j7"
    assert words(asked({}, {"held_until": NOW - 1})) == []


def test_a_rate_limit_that_is_used_up() -> None:
    """And when it lets the next one begin."""
    said = asked({}, {"rate": (100, MINUTE), "rate_opens_at": NOW + SECOND})
    [reason] = said.reasons
    assert reason.text == "the rate limit of 100 in 1m is used up until T+1s"
    assert said.starts_at == NOW + SECOND
    assert words(asked({}, {"rate": (100, MINUTE), "rate_opens_at": NOW})) == []


BUSY = [
    Busy(worker="w.1", job="a", task="report", since=NOW - 5 * MINUTE, claim=7),
    Busy(worker="w.2", job="b", task="report", since=NOW - SECOND),
]


def test_a_cap_that_is_reached() -> None:
    """By whom."""
    [reason] = asked({}, {"max_active": 2, "active": 2, "busy": BUSY}).reasons
    assert reason.word == "max_active"
    assert reason.text.endswith("report a for 5m, report b for 1s")
    assert words(asked({}, {"max_active": 3, "active": 2, "busy": BUSY})) == []


def test_busy_workers_with_what_and_since_when() -> None:
    """And how many more."""
    leases = {"w.1": NOW + SECOND, "w.2": NOW + SECOND, "w.3": NOW - SECOND}
    said = asked({}, {"leases": leases, "idle": 0, "busy": BUSY, "active": 12})
    [reason] = said.reasons
    assert reason.word == "busy"
    assert reason.text == (
        "all 2 slots of the queue's workers are busy: report a for 5m, report b for 1s and 10 more"
    )
    more = asked({}, {"leases": leases, "slots": 6, "busy": BUSY[:1], "idle": 0, "active": 1})
    assert more.reasons[0].text.startswith("all 12 slots of the queue's workers are busy")
    assert (said.starts_at, said.when) == (None, "as soon as a slot is free: it is the next")
    later = {"state": "delayed", "due_at": NOW + HOUR}
    assert words(asked(later, {"leases": leases, "idle": 0, "busy": BUSY})) == ["delayed"]


def test_a_line_before_it_and_the_pace() -> None:
    """So many, at so many a second."""
    said = asked({}, {"ahead": 120, "waiting": 200, "pace": 2.0, "idle": 0})
    assert [r.text for r in said.reasons] == [
        "120 of the 200 waiting jobs come before it; lately 2 a second ended"
    ]
    assert (said.starts_at, said.when) == (NOW + MINUTE, "about T+60s, at that pace")
    said = asked({}, {"ahead": 1, "waiting": 2, "pace": 0.05})
    assert "3 a minute" in said.reasons[0].text
    said = asked({}, {"ahead": 1, "waiting": 2})
    assert (said.starts_at, said.when.partition(":")[0]) == (None, "unknown")


def test_what_came_back_says_so() -> None:
    """After crashes, losses and stops."""
    [reason] = asked({"crashes": 2, "interrupted": 1}).reasons
    assert reason.word == "came_back"
    assert reason.text == "it ran before and crashed 2 times and was interrupted once"
    [reason] = asked({"throttled": 1}).reasons
    assert reason.text == "it ran before and held its queue back once"


def test_a_deadline_and_whether_it_can_be_kept() -> None:
    """And one that has passed."""
    assert asked({"expires_at": NOW + HOUR}).reasons[0].text == (
        "it has to start until T+3600s, or it is dead"
    )
    late = asked({"state": "delayed", "due_at": NOW + 2 * HOUR, "expires_at": NOW + HOUR})
    assert late.reasons[1].text.endswith("and that is too late")
    assert words(asked({"expires_at": NOW - 1})) == ["expired"]


def test_an_active_job_says_who_has_it() -> None:
    """Since when, by which claim; and whether its worker lives."""
    job = {"state": "active", "worker": "w.1", "id": "a"}
    said = asked(job, {"busy": BUSY})
    assert [r.text for r in said.reasons] == ["worker w.1 has it since T-300s, by claim 7"]
    assert (said.starts_at, said.when) == (None, "")
    assert words(asked(job, {"leases": {"w.1": NOW - 1}})) == ["active", "lease_ended"]
    assert words(asked(job, {"leases": {"w.1": 0}})) == ["active", "released"]
    assert words(asked(job | {"cancel_asked_at": NOW})) == ["active", "cancel_asked"]
    assert words(asked(job | {"worker": None})) == ["active"]


@pytest.mark.parametrize("cause", [*DEAD_CAUSES, "of-tomorrow"])
def test_a_dead_job_says_of_what_and_what_to_do(cause: str) -> None:
    """Every cause there is, and one of another version."""
    [reason] = asked({"state": "dead", "cause": cause, "error": "E: x", "finished_at": NOW}).reasons
    assert reason.text.startswith(
        f"it died T+0s of {cause}: {DEAD_CAUSES.get(cause, 'of another')}"
    )
    assert reason.text.endswith("; E: x")
    assert reason.do is not None
    assert "`jobd jobs retry j`" in reason.do


def test_other_ends() -> None:
    """Completed, cancelled."""
    assert words(asked({"state": "completed", "finished_at": NOW})) == ["completed"]
    [reason] = asked({"state": "cancelled"}).reasons
    assert (reason.text, reason.do) == ("it was cancelled", "`jobd jobs retry j` runs it again")


def test_it_reads_as_text() -> None:
    """For programs that print it."""
    assert str(asked({"expires_at": NOW - 1}, {"paused_since": NOW})) == (
        "job j (welcome) in queue email: waiting\n"
        "  queue 'email' is paused since T+0s; `jobd queues resume email`\n"
        "  it had to start until T-0.001s: it will be dead, cause expired\n"
        "  starts: not before that has changed: paused"
    )
