"""No call does more than a bite: what is sent together is cut, in order, and nothing is left out."""

from __future__ import annotations

import pytest

from jobd.broker.bites import ENDINGS_BITE
from jobd.broker.commands import Command, Completed, Ending, QueueCommands
from jobd.broker.connection import Client
from jobd.broker.link import Link
from jobd.broker.new_job import NewJob
from jobd.broker.store import Store
from jobd.broker.views import Views

FIGURES = "noop|0|0|0"


@pytest.mark.parametrize(
    ("done", "endings", "calls"),
    [(1, 0, 1), (0, 1, 1), (3, ENDINGS_BITE, 1), (3, ENDINGS_BITE + 1, 2), (0, 250, 3)],
)
def test_many_endings_are_settled_in_several_calls_of_one_round_trip(
    client: Client, done: int, endings: int, calls: int
) -> None:
    """A death with its history takes ten times as long as a plain completion."""
    store, ids = Store(client, "t", "q"), [f"j{i}" for i in range(done + endings)]
    store.add([NewJob(i, "noop", b"{}") for i in ids])
    store.join("w.1", 60_000)
    claim = store.claim("w.1", 60_000, budget_us=10**6, costs=["noop", 1])
    link = Link(client)
    fields: dict[str, str | bytes | int] = {"error": "x"}
    sent: list[Command] = QueueCommands("t", "q").settles(
        "w.1",
        60_000,
        keep=1000,
        completed=[Completed(job.id, claim.number, FIGURES, b"") for job in claim.jobs[:done]],
        endings=[
            Ending("dead", job.id, claim.number, FIGURES, 0, "failed", fields)
            for job in claim.jobs[done:]
        ],
        sums=["wait_ms|noop", 70],
    )
    replies = link.roundtrip(sent)
    link.close()

    assert (len(sent), [reply[2:] for reply in replies]) == (calls, [[]] * calls)
    counts = Views(client, "t").counts("q")
    assert (counts["completed"], counts["dead"], counts["active"]) == (done, endings, 0)
    assert client.hget("t:{q}:tally", "wait_ms|noop") == b"70"
