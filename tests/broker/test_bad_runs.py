"""Every end of a run is counted in its minute, and what never ran as no run."""

from __future__ import annotations

import msgspec
import pytest

from jobd.broker.browse import Browser
from jobd.broker.commands import Blame, Ending
from jobd.broker.connection import Client
from jobd.broker.keys import QueueKeys
from jobd.broker.new_job import NewJob
from jobd.broker.store import Store, register_queues
from jobd.broker.why import WhyFacts
from jobd.core.why_facts import QueueFacts

LEASE = 60_000
NOW = 1_800_000_000_000


def claimed(client: Client, *ids: str, at: int = NOW) -> tuple[Store, int]:
    register_queues(client, "t", ["q"])
    store = Store(client, "t", "q", now=at)
    store.add([NewJob(job, "mail", b"{}") for job in ids])
    store.join("h.1", LEASE)
    claim = store.claim("h.1", LEASE, budget_us=10**9, costs=["mail", 1])
    assert len(claim.jobs) == len(ids)
    return store, claim.number


def failed(client: Client) -> tuple[int, float | None, int]:
    """Runs that failed this minute, by the row; the error rate; those of the task."""
    browser = Browser(client, "t", now=NOW)
    [row] = browser.queues()
    return row.failed[-1], row.error_rate, sum(each.failed_runs for each in browser.tasks("q"))


@pytest.mark.parametrize(
    ("counter", "bad"), [("crashes", 1), ("suspected", 1), ("lost", 1), ("interrupted", 0)]
)
def test_a_run_that_ended_with_its_process_is_a_bad_run(
    client: Client, counter: str, bad: int
) -> None:
    """Unless it was a stop, which is nobody's fault; what was only held is no run."""
    store, claim = claimed(client, "a", "held")
    note = msgspec.json.encode({"kind": "crash"})
    store.release("h.1", [Blame("a", counter, note, claim)])
    assert failed(client) == (bad, 1.0 if bad else None, bad)


def test_jobs_of_a_vanished_host_are_bad_runs_and_name_it(client: Client) -> None:
    """In the minute in which they were taken back."""
    claimed(client, "a", "b", at=NOW - 2 * LEASE)
    store = Store(client, "t", "q", now=NOW)
    assert store.reap("h.1", store.open_leases()["h.1"], 'web 1"')
    assert failed(client) == (2, 1.0, 2)
    [line] = msgspec.json.decode(client.hget(QueueKeys("t", "q").job("a"), "history"))
    assert "host" not in line  # a stranger's name is no part of a document

    store.join("h.2", LEASE)
    store.claim("h.2", LEASE, budget_us=10**9, costs=["mail", 1])
    later = Store(client, "t", "q", now=NOW + 2 * LEASE)
    assert later.reap("h.2", later.open_leases()["h.2"], "web-1.example")
    *_, line = msgspec.json.decode(client.hget(QueueKeys("t", "q").job("a"), "history"))
    assert (line["kind"], line["worker"], line["host"]) == ("lost", "h.2", "web-1.example")


@pytest.mark.parametrize(("figures", "bad"), [("mail|1|1|2", 1), ("mail|||", 0), ("?|||", 0)])
def test_a_death_without_a_run_is_no_failed_run(client: Client, figures: str, bad: int) -> None:
    """Expired, not readable, of a task that nobody knows; it is dead all the same."""
    store, claim = claimed(client, "a")
    store.settle("h.1", LEASE, completed=[], endings=[Ending("dead", b"a", claim, figures, 0, "x")])
    assert failed(client) == (bad, 1.0 if bad else None, bad)
    assert Browser(client, "t", now=NOW).queues()[0].counts["dead"] == 1


def test_a_death_without_a_run_is_one_end_in_the_pace(client: Client) -> None:
    """Not two, although it is counted by two words."""
    store, claim = claimed(client, "a")
    ending = Ending("dead", b"a", claim, "mail|||", 0, "expired")
    store.settle("h.1", LEASE, completed=[], endings=[ending])
    store.add([NewJob("next", "mail", b"{}")])
    found = WhyFacts(client, "t", "q", now=NOW + 10_000).read("next")
    assert found is not None
    assert isinstance(found.queue, QueueFacts)
    assert found.queue.pace == pytest.approx(1 / 10)


def test_jobs_that_were_set_aside_are_seen_in_the_row(client: Client) -> None:
    """For as long as the minute, and the next."""
    store, claim = claimed(client, "a")
    ending = Ending("retry", b"a", claim, "?|||", 15_000, "parked", {"parked": NOW})
    store.settle("h.1", LEASE, completed=[], endings=[ending])
    assert [Browser(client, "t", now=NOW + n * 60_000).queues()[0].parked for n in range(3)] == [
        1, 1, 0,
    ]  # fmt: skip
    assert failed(client) == (0, None, 0)
