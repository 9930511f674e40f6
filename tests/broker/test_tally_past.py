"""What is kept of how a queue's tally stood: once for all hosts, a few copies, and what came since is right."""

from __future__ import annotations

import pytest

from jobd.broker.browse import Browser
from jobd.broker.browse_queues import QueueBrowser
from jobd.broker.commands import Completed, Ending
from jobd.broker.connection import Client
from jobd.broker.new_job import NewJob
from jobd.broker.store import Store, register_queues
from jobd.broker.tally_past import EVERY_MS, KEPT, MOST_FIELDS, Past, remember
from jobd.core.errors import StoreFull

LEASE = 36_000_000
NOW = 1_800_000_000_000


def work(client: Client, count: int, at: int, figures: str, bad: int = 0) -> None:
    register_queues(client, "t", ["q"])
    s = Store(client, "t", "q", now=at)
    s.add([NewJob(f"{n}-{at}-{figures}", "mail", b"{}") for n in range(count)])
    s.join("h.1", LEASE)
    claim = s.claim("h.1", LEASE, budget_us=10**9, costs=["mail", 1])
    failed = [Ending("dead", j.id, claim.number, figures, 0, "failed") for j in claim.jobs[:bad]]
    done = [Completed(j.id, claim.number, figures, b"") for j in claim.jobs[bad:]]
    assert s.settle("h.1", LEASE, completed=done, endings=failed) == []


def test_one_of_all_hosts_keeps_it_and_a_few_are_kept(client: Client) -> None:
    work(client, 3, NOW, "mail|0|0|0")
    for step in range(3 * KEPT):
        at = NOW + step * EVERY_MS
        assert remember(client, "t", ["q", "q"], now=at) == ["kept", "soon"]
        assert remember(client, "t", ["q"], now=at + EVERY_MS - 1) == ["soon"]

    marks = sorted(int(mark) for mark in client.hkeys("t:{q}:tally-past"))
    assert marks == [NOW + step * EVERY_MS for step in range(2 * KEPT, 3 * KEPT)]
    found = Past(client, "t").read(["q", "other"], NOW + (3 * KEPT - 1) * EVERY_MS)
    assert list(found) == ["q"]
    assert found["q"].at == marks[0]
    assert found["q"].tally.tasks["mail"].outcomes == {"completed": 3}


def test_a_task_says_how_it_gets_on_lately(client: Client) -> None:
    """Beside what it was an hour ago, also to who has never looked before."""
    work(client, 50, NOW - 90_000_000, "mail|0|0|0")
    remember(client, "t", ["q"], now=NOW)
    work(client, 4, NOW + 60_000, "mail|3|12|12", bad=1)
    [task] = Browser(client, "t", now=NOW + 120_000).tasks("q")

    assert task.outcomes == {"completed": 53, "dead": 1}
    assert (task.lately, task.lately_for) == ({"completed": 3, "dead": 1}, 120.0)
    assert (task.run.count, task.run_lately.count, task.wait_lately.count) == (54, 4, 4)
    assert 2**11 <= (task.run_lately.p95_ms or 0) <= 2**12
    [row] = QueueBrowser(client, "t").rows(now=NOW + 120_000)  # too soon to say anything
    assert (row.run.count, row.spread_for) == (54, None)
    [row] = QueueBrowser(client, "t").rows(now=NOW + 600_000)
    assert (row.run.count, row.spread_for) == (4, 600.0)

    [later] = Browser(client, "t", now=NOW + 7_200_000).tasks("q")
    assert (later.lately, later.lately_for) == ({}, None)


def test_a_tally_that_began_anew_is_all_of_now(client: Client) -> None:
    """After a flush, say, of which the copy was spared."""
    work(client, 9, NOW, "mail|0|0|0")
    remember(client, "t", ["q"], now=NOW)
    client.delete("t:{q}:tally")
    work(client, 2, NOW + 5, "mail|0|0|0")
    [task] = Browser(client, "t", now=NOW + 10).tasks("q")
    assert task.lately == {"completed": 2}


def test_what_a_stranger_put_there_counts_for_nothing(client: Client) -> None:
    work(client, 1, NOW, "mail|0|0|0")
    client.set("t:{q}:tally-past", "x")
    [task] = Browser(client, "t", now=NOW).tasks("q")
    assert task.lately_for is None
    assert remember(client, "t", ["q"], now=NOW) == ["kept"]
    client.hset(
        "t:{q}:tally-past",
        mapping={"x": "y", f"{NOW + 10**9}": "later", f"{NOW - 5}": b"\xff\nz\n1"},
    )
    [task] = Browser(client, "t", now=NOW).tasks("q")
    assert task.lately == {"completed": 1}
    assert remember(client, "t", ["q"], now=NOW + EVERY_MS) == ["kept"]
    assert client.hkeys("t:{q}:tally-past") != []
    client.hset("t:{q}:tally-past", mapping={f"{n}": "" for n in range(500)})
    assert remember(client, "t", ["q"], now=NOW + EVERY_MS) == ["kept"]
    assert client.hlen("t:{q}:tally-past") == 1
    client.delete("t:{q}:tally")
    client.set("t:{q}:tally", "x")
    assert remember(client, "t", ["q"], now=NOW + 5 * EVERY_MS) == ["much"]


def test_what_is_not_worth_the_room_is_not_kept(client: Client) -> None:
    """Of very many fields, and in a full store."""
    client.hset("t:{q}:tally", mapping={f"completed|{n}": "1" for n in range(MOST_FIELDS + 1)})
    assert remember(client, "t", ["q"], now=NOW) == ["much"]
    client.hset("t:{r}:tally", "completed|a", "1")
    client.config_set("maxmemory", "1")
    with pytest.raises(StoreFull):
        remember(client, "t", ["r"], now=NOW)
